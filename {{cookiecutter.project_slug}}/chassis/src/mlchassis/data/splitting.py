"""Stage `split`: labelled rows become the windows train, valid and test."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.util import hash_array, hash_pandas_object

from mlchassis.config.params import Params, SplitParams
from mlchassis.contract.model import ClassLabel, Column, Contract, load_contract
from mlchassis.data.dependence import measure_neighbors
from mlchassis.data.shifts import describe_target
from mlchassis.data.tables import read_tables, write_table
from mlchassis.errors import ProjectError
from mlchassis.evaluation.bootstrap import (
    LEAST_UNITS,
    count_units,
    name_unit,
    number_units,
    spell_units,
)
from mlchassis.evaluation.metrics import encode_target
from mlchassis.paths import Paths
from mlchassis.printable import show_cell
from mlchassis.reports import read_report, write_report

WINDOWS = ("train", "valid", "test")
COPIES = 10
"""Rows with equal features that stay in one window; a faulty join makes fewer copies."""


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
    report = {
        "account": account,
        "windows": describe_windows(windows, contract),
        "explanation": explain_split(labelled, contract, params.split),
    }
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
        window = pd.Series(_draw_windows(_identify(rows, contract, params), params, seed))
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
    """Describe what decides the window of a row in any version of the data; None for time."""
    if params.strategy == "time":
        return None
    shares = f"valid {params.valid_share:g}, test {params.test_share:g}"
    by = "equal " if params.strategy == "random" and contract.key is None else ""
    return f"seed {seed}, {shares}, by {by}{', '.join(_name_identity(contract, params))}"


def explain_split(rows: pd.DataFrame, contract: Contract, params: SplitParams) -> str:
    """Explain how rows were split, when that is right, and what speaks against it."""
    if params.strategy == "time":
        return (
            "Rows are split by time: the test window holds the latest days. That is right where "
            "predictions are about the future."
        )
    if params.strategy == "group":
        return (
            f"Rows are split by '{params.group}': all rows of one value lie in one window. That is "
            "right where predictions are about new ones."
        )
    said = (
        "Rows are split at random, equal records together. That is right only if tomorrow's rows "
        "are like a draw from these: where rows follow one another in time, or several are about "
        "one person or thing, name a time or a group (split.strategy in params.yaml)."
    )
    target = encode_target(rows[contract.target.name].to_numpy(), contract.classes)
    like = measure_neighbors(target, classes=bool(contract.classes))
    if like is None:
        return said
    return (
        f"{said} Neighboring rows of the data have like outcomes (autocorrelation {like:.2f}), so "
        "the figures probably promise too much."
    )


def _name_identity(contract: Contract, params: SplitParams) -> list[str]:
    """Columns that identify a row, or a group of rows, in any version of the data.

    Never the target: a window that follows from the outcome contradicts the rows of the others.
    """
    if params.strategy == "random":
        return [contract.key.name] if contract.key else _name_record(contract)
    if params.group is None:
        raise ProjectError(
            "split.strategy is 'group', but split.group names no column; name the one whose "
            "rows must stay together."
        )
    if params.group == contract.target.name:
        raise ProjectError(
            f"split.group is '{params.group}', which is the target: each outcome would lie in a "
            "window of its own; name another column in params.yaml."
        )
    return [contract.column(params.group).name]


def _name_record(contract: Contract) -> list[str]:
    """Features but for the event time: what makes two rows equal records."""
    time = contract.event_time
    names = [column.name for column in contract.features if column != time]
    return names or [column.name for column in contract.features]


def _identify(rows: pd.DataFrame, contract: Contract, params: SplitParams) -> NDArray[Any]:
    """A hash by which a row is drawn into a window; rows with one hash stay together."""
    names = _name_identity(contract, params)
    identity = _hash_rows(rows[names])
    if params.strategy == "random" and contract.key is None:
        return _part_crowds(identity)
    absent = rows[names[0]].isna().to_numpy()
    if params.strategy == "group" and absent.any():
        # Rows without a group are no group: each record is drawn by itself.
        identity[absent] = _part_crowds(_hash_rows(rows.loc[absent, _name_record(contract)]))
    return identity


def _part_crowds(identity: NDArray[Any]) -> NDArray[Any]:
    """The first `COPIES` rows of equal records together, all further ones each by itself.

    Copies of one record stay in one window. A combination of a few categories that thousands of
    cases share is drawn row by row, so that no window lacks it.
    """
    number = pd.Series(identity).groupby(identity, sort=False).cumcount().to_numpy()
    place = np.maximum(number - COPIES + 1, 0)
    return _hash_rows(pd.DataFrame({"identity": identity, "place": place}))


def _hash_rows(parts: pd.DataFrame) -> NDArray[Any]:
    hashed: NDArray[Any] = hash_pandas_object(parts, index=False).to_numpy().copy()
    return hashed


def _draw_windows(identity: NDArray[Any], params: SplitParams, seed: int) -> NDArray[Any]:
    """Windows by the seed and the identity alone: a row stays in its own when others come or go."""
    content = identity.astype(str).astype(object)
    draws = hash_array(content, hash_key=f"{seed % 10**16:016d}", categorize=False) / 2**64
    bounds = [params.test_share, params.test_share + params.valid_share]
    return np.array(["test", "valid", "train"])[np.digitize(draws, bounds)]


def check_windows(
    windows: Mapping[str, pd.DataFrame], contract: Contract, params: SplitParams
) -> None:
    """Stops on windows from which nothing can be learnt or concluded.

    Raises:
        ProjectError: A window is too small, lacks a class, holds too few days or groups for a
            verdict, or overlaps a later one.
    """
    for name, window in windows.items():
        if len(window) < params.min_rows:
            raise ProjectError(
                f"The {name} window holds {len(window)} rows, fewer than split.min_rows "
                f"({params.min_rows}); bring more data or {_spell_widening(name, params)}."
            )
        present = set(window[contract.target.name].unique())
        absent = [label for label in contract.classes if label not in present]
        if absent:
            raise ProjectError(
                f"The {name} window has no row of class {_spell_class(absent[0])} of "
                f"'{contract.target.name}'; bring more data or {_spell_widening(name, params)}."
            )
    _check_units(windows["test"], contract, params)
    if params.strategy == "time" and contract.event_time is not None:
        _check_order(windows, contract.event_time.name)
    if contract.key is not None:
        _check_keys(windows, contract.key)


def _spell_class(label: ClassLabel) -> str:
    """Spell a class as the contract does: 'late', 3, or true."""
    return str(label).lower() if isinstance(label, bool) else repr(label)


def _spell_widening(window: str, params: SplitParams) -> str:
    """Spell which settings make a window larger."""
    kind = "days" if params.strategy == "time" else "share"
    if window == "train":
        return f"lower split.valid_{kind} and split.test_{kind} in params.yaml"
    return f"raise split.{window}_{kind} in params.yaml"


def _check_units(test: pd.DataFrame, contract: Contract, params: SplitParams) -> None:
    """Stop where other days or groups than those few of the test window would not be known."""
    units = count_units(number_units(test, contract, params))
    unit = name_unit(contract, params)
    if units >= LEAST_UNITS or (unit == "day" and _stand_for_months(test, contract)):
        return
    setting = "split.test_days" if unit == "day" else "split.test_share"
    raise ProjectError(
        f"The test window holds only {spell_units(units, unit)}, and fewer than {LEAST_UNITS} "
        f"support no verdict; raise {setting} in params.yaml, or bring more data."
    )


def _stand_for_months(test: pd.DataFrame, contract: Contract) -> bool:
    """Return True if each day is the only one of its month, as in a monthly panel."""
    if contract.event_time is None:
        return False
    days = test[contract.event_time.name].dt.floor("D").drop_duplicates()
    return bool((days.dt.year * 12 + days.dt.month).nunique() == len(days))


def _check_order(windows: Mapping[str, pd.DataFrame], event_time: str) -> None:
    for earlier, later in (("train", "valid"), ("valid", "test")):
        last, first = windows[earlier][event_time].max(), windows[later][event_time].min()
        if last >= first:
            raise ProjectError(
                f"The {earlier} window reaches to {last}, beyond the start of the {later} window "
                f"({first}); windows must follow one another in time."
            )


def _check_keys(windows: Mapping[str, pd.DataFrame], key: Column) -> None:
    keys = pd.concat([window[key.name] for window in windows.values()])
    twice = keys[keys.duplicated()]
    if len(twice):
        shown = show_cell(twice.iloc[0], personal="pii" in key.roles)
        raise ProjectError(
            f"The row {shown} is in two windows ({len(twice)} such rows); windows must "
            "not share a row."
        )


def account_rows(
    ingest: Mapping[str, int], validation: Mapping[str, int], unlabelled: int, used: int
) -> dict[str, int]:
    """Account for every row of the source: used, unlabelled, quarantined and so on.

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
            "or doubled between the stages; run `.venv/bin/dvc repro --force`."
        )
    return {"offered": ingest["offered"], **account}


def describe_windows(
    windows: Mapping[str, pd.DataFrame], contract: Contract
) -> dict[str, dict[str, Any]]:
    """Per window: rows, first and last event time, and the outcome's mean or shares."""
    described: dict[str, dict[str, Any]] = {}
    for name, window in windows.items():
        facts: dict[str, Any] = {"rows": len(window)}
        if contract.event_time is not None:
            moments = window[contract.event_time.name]
            facts |= {"from": moments.min().isoformat(), "until": moments.max().isoformat()}
        described[name] = facts | describe_target(window[contract.target.name], contract)
    return described
