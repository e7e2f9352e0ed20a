"""Stage `split`: labelled rows become the windows train, valid and test."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.util import hash_array, hash_pandas_object

from ..contract import Contract, load_contract
from ..errors import ProjectError
from ..params import Params, SplitParams
from ..paths import Paths
from ..reports import read_report, write_report
from ..tables import read_tables, write_table

WINDOWS = ("train", "valid", "test")


def run(paths: Paths, params: Params) -> str:
    """Writes the three windows and the account of every row that the source ever offered."""
    contract = load_contract(paths.contract)
    rows = read_tables(sorted(paths.accepted.glob("*.parquet")))
    labelled = rows[rows[contract.target.name].notna()].reset_index(drop=True)
    windows = split_rows(labelled, contract, params.split, params.seed)
    check_windows(windows, contract, params.split)
    for name, window in windows.items():
        write_table(paths.splits / f"{name}.parquet", window)
    account = account_rows(
        read_report(paths.reports / "ingest.json"),
        read_report(paths.reports / "validation.json"),
        unlabelled=len(rows) - len(labelled),
        used=len(labelled),
    )
    report = {"account": account, "windows": describe_windows(windows, contract)}
    write_report(paths.reports / "split.json", report)
    return ", ".join(f"{len(window):,} rows to {name}" for name, window in windows.items())


def split_rows(
    rows: pd.DataFrame, contract: Contract, params: SplitParams, seed: int
) -> dict[str, pd.DataFrame]:
    """Parts rows into windows by the configured strategy.

    Raises:
        ProjectError: The strategy needs a column that the contract does not have.
    """
    if params.strategy == "time":
        if contract.event_time is None:
            raise ProjectError(
                "split.strategy is 'time', but the contract has no column tagged event_time; "
                "choose 'random' or 'group' in params.yaml."
            )
        window = _windows_by_day(rows[contract.event_time.name], params)
    else:
        window = pd.Series(_windows_by_hash(rows[_name_identity(contract, params)], params, seed))
    return {name: rows[(window == name).to_numpy()].reset_index(drop=True) for name in WINDOWS}


def _windows_by_day(moments: pd.Series, params: SplitParams) -> pd.Series:
    """Whole days (UTC), counted back from the day of the last row."""
    last = moments.max().normalize() + pd.Timedelta(days=1)
    test_from = last - pd.Timedelta(days=params.test_days)
    valid_from = test_from - pd.Timedelta(days=params.valid_days)
    window = pd.Series("train", index=moments.index)
    window[moments >= valid_from] = "valid"
    window[moments >= test_from] = "test"
    return window


def describe_split(contract: Contract, params: SplitParams, seed: int) -> str | None:
    """What decides the window of a row, whatever other rows there are; None where time does."""
    if params.strategy == "time":
        return None
    shares = f"valid {params.valid_share:g}, test {params.test_share:g}"
    return f"seed {seed}, {shares}, by {', '.join(_name_identity(contract, params))}"


def _name_identity(contract: Contract, params: SplitParams) -> list[str]:
    """The columns by which a row, or a group of rows, is the same one in other data."""
    if params.strategy == "random":
        return [contract.key.name] if contract.key else [c.name for c in contract.columns]
    if params.group is None:
        raise ProjectError(
            "split.strategy is 'group', but split.group names no column; name the one whose "
            "rows must stay together."
        )
    return [contract.column(params.group).name]


def _windows_by_hash(parts: pd.DataFrame, params: SplitParams, seed: int) -> NDArray[Any]:
    """By what a row is: it stays where it is when rows come or go, and equal ones stay together."""
    content = hash_pandas_object(parts, index=False).astype(str).to_numpy(dtype=object)
    draws = hash_array(content, hash_key=f"{seed % 10**16:016d}", categorize=False) / 2**64
    bounds = [params.test_share, params.test_share + params.valid_share]
    return np.array(["test", "valid", "train"])[np.digitize(draws, bounds)]


def check_windows(
    windows: Mapping[str, pd.DataFrame], contract: Contract, params: SplitParams
) -> None:
    """Stops on windows from which nothing can be learnt or concluded.

    Raises:
        ProjectError: A window is too small, lacks a class, or overlaps a later one.
    """
    for name, window in windows.items():
        if len(window) < params.min_rows:
            raise ProjectError(
                f"The {name} window holds {len(window)} rows, fewer than split.min_rows "
                f"({params.min_rows}); bring more data or widen the window in params.yaml."
            )
        present = set(window[contract.target.name].unique())
        absent = [label for label in contract.classes if label not in present]
        if absent:
            raise ProjectError(
                f"The {name} window has no row of class {absent[0]!r} of "
                f"'{contract.target.name}'; bring more data or widen the window in params.yaml."
            )
    if params.strategy == "time" and contract.event_time is not None:
        _check_order(windows, contract.event_time.name)
    if contract.key is not None:
        _check_keys(windows, contract.key.name)


def _check_order(windows: Mapping[str, pd.DataFrame], event_time: str) -> None:
    for earlier, later in (("train", "valid"), ("valid", "test")):
        last, first = windows[earlier][event_time].max(), windows[later][event_time].min()
        if last >= first:
            raise ProjectError(
                f"The {earlier} window reaches to {last}, beyond the start of the {later} window "
                f"({first}); windows must follow one another in time."
            )


def _check_keys(windows: Mapping[str, pd.DataFrame], key: str) -> None:
    keys = pd.concat([window[key] for window in windows.values()])
    twice = keys[keys.duplicated()]
    if len(twice):
        raise ProjectError(
            f"The row '{twice.iloc[0]}' is in two windows ({len(twice)} such rows); windows must "
            "not share a row."
        )


def account_rows(
    ingest: Mapping[str, int], validation: Mapping[str, int], unlabelled: int, used: int
) -> dict[str, int]:
    """Where every row that the source offers has gone.

    Raises:
        ProjectError: The parts do not add up, so rows were lost or doubled on the way.
    """
    account = {
        "not_yet_arrived": ingest["not_yet_arrived"],
        "quarantined": validation["quarantined"],
        "unlabelled": unlabelled,
        "used": used,
    }
    parts = sum(account.values())
    if parts != ingest["offered"] or validation["accepted"] != unlabelled + used:
        raise ProjectError(
            f"{ingest['offered']} rows were offered and {validation['accepted']} accepted, but "
            f"{parts} are accounted for and {unlabelled + used} reached the split: rows were lost "
            "or doubled between the stages; run `dvc repro --force`."
        )
    return {"offered": ingest["offered"], **account}


def describe_windows(
    windows: Mapping[str, pd.DataFrame], contract: Contract
) -> dict[str, dict[str, Any]]:
    """Per window: rows, first and last event time, and the target's mean where it has one."""
    described: dict[str, dict[str, Any]] = {}
    for name, window in windows.items():
        facts: dict[str, Any] = {"rows": len(window)}
        if contract.event_time is not None:
            moments = window[contract.event_time.name]
            facts |= {"from": moments.min().isoformat(), "until": moments.max().isoformat()}
        if contract.target.is_numeric:
            facts["target_mean"] = float(window[contract.target.name].astype(float).mean())
        described[name] = facts
    return described
