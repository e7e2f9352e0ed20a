"""Stage `split`: labeled rows become the splits train, validation and test."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.util import hash_array, hash_pandas_object

from mlchassis.config.params import Params, SplitParams
from mlchassis.contract.model import ClassLabel, Column, Contract, load_contract
from mlchassis.data.dependence import measure_neighbors
from mlchassis.data.results.ingestion import IngestReport
from mlchassis.data.results.splits import RowAccount, SplitFacts, SplitReport, SplitsFacts
from mlchassis.data.results.validation import ValidationReport
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

SPLITS = ("train", "validation", "test")
COPIES = 10
"""Rows with equal features that stay in one split; a faulty join makes fewer copies."""


def run(paths: Paths, params: Params) -> str:
    """Write the three splits and the account of every row that the source ever offered."""
    contract = load_contract(paths.contract)
    rows = read_tables(sorted(paths.accepted.glob("*.parquet")))
    labeled = rows[rows[contract.target.name].notna()].reset_index(drop=True)
    splits = split_rows(labeled, contract, params.split, params.seed)
    check_splits(splits, contract, params.split)
    for name, split in splits.items():
        write_table(paths.splits / f"{name}.parquet", split)
    account = account_rows(
        IngestReport.load(paths.reports),
        ValidationReport.load(paths.reports),
        unlabeled=len(rows) - len(labeled),
        used=len(labeled),
    )
    report = SplitReport(
        account=account,
        splits=describe_splits(splits, contract),
        explanation=explain_split(labeled, contract, params.split),
    )
    report.write(paths.reports)
    return ", ".join(f"{len(split):,} rows to {name}" for name, split in splits.items())


def split_rows(
    rows: pd.DataFrame, contract: Contract, params: SplitParams, seed: int
) -> dict[str, pd.DataFrame]:
    """Split rows into splits by the configured strategy.

    Raises:
        ProjectError: The strategy needs a column that the contract does not have.
    """
    if params.strategy == "time":
        if contract.event_time is None:
            raise ProjectError(
                "split.strategy is 'time', but the contract has no column tagged event_time; "
                "choose 'random' or 'group' in params.yaml."
            )
        split = _split_by_day(rows[contract.event_time.name], params)
    else:
        split = pd.Series(_draw_splits(_identify(rows, contract, params), params, seed))
    return {name: rows[(split == name).to_numpy()].reset_index(drop=True) for name in SPLITS}


def _split_by_day(timestamps: pd.Series, params: SplitParams) -> pd.Series:
    """Assign whole days (UTC), counted back from the day of the last row."""
    last = timestamps.max().normalize() + pd.Timedelta(days=1)
    test_from = last - pd.Timedelta(days=params.test_days)
    validation_from = test_from - pd.Timedelta(days=params.validation_days)
    split = pd.Series("train", index=timestamps.index)
    split[timestamps >= validation_from] = "validation"
    split[timestamps >= test_from] = "test"
    return split


def describe_split(contract: Contract, params: SplitParams, seed: int) -> str | None:
    """Describe what decides the split of a row in any version of the data; None for time."""
    if params.strategy == "time":
        return None
    proportions = f"validation {params.validation_proportion:g}, test {params.test_proportion:g}"
    by = "equal " if params.strategy == "random" and contract.key is None else ""
    return f"seed {seed}, {proportions}, by {by}{', '.join(_name_identity(contract, params))}"


def explain_split(rows: pd.DataFrame, contract: Contract, params: SplitParams) -> str:
    """Explain how rows were split, when that is right, and what speaks against it."""
    if params.strategy == "time":
        return (
            "Rows are split by time: the test split holds the latest days. That is right where "
            "predictions are about the future."
        )
    if params.strategy == "group":
        return (
            f"Rows are split by '{params.group}': all rows of one value lie in one split. That is "
            "right where predictions are about new ones."
        )
    explanation = (
        "Rows are split at random, equal records together. That is right only if tomorrow's rows "
        "are like a draw from these: where rows follow one another in time, or several are about "
        "one person or thing, name a time or a group (split.strategy in params.yaml)."
    )
    target = encode_target(rows[contract.target.name].to_numpy(), contract.classes)
    like = measure_neighbors(target, classes=bool(contract.classes))
    if like is None:
        return explanation
    return (
        f"{explanation} Neighboring rows of the data have like outcomes (autocorrelation "
        f"{like:.2f}), so the figures probably promise too much."
    )


def _name_identity(contract: Contract, params: SplitParams) -> list[str]:
    """Name the columns that identify a row, or a group of rows, in any version of the data.

    Never the target: a split that follows from the outcome contradicts the rows of the others.
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
            "split of its own; name another column in params.yaml."
        )
    return [contract.column(params.group).name]


def _name_record(contract: Contract) -> list[str]:
    """Name the features but for the event time: rows with equal ones are equal records."""
    time = contract.event_time
    names = [column.name for column in contract.features if column != time]
    return names or [column.name for column in contract.features]


def _identify(rows: pd.DataFrame, contract: Contract, params: SplitParams) -> NDArray[Any]:
    """Return a hash by which a row is drawn into a split; rows with one hash stay together."""
    names = _name_identity(contract, params)
    identity = _hash_rows(rows[names])
    if params.strategy == "random" and contract.key is None:
        return _part_crowds(identity)
    absent = rows[names[0]].isna().to_numpy()
    if params.strategy == "group" and absent.any():
        # Rows without a group are not one group: each record is drawn by itself.
        identity[absent] = _part_crowds(_hash_rows(rows.loc[absent, _name_record(contract)]))
    return identity


def _part_crowds(identity: NDArray[Any]) -> NDArray[Any]:
    """Keep the first `COPIES` equal records together, and take all further ones one by one.

    Copies of one record stay in one split. A combination of a few categories that thousands of
    cases share is drawn row by row, so that no split lacks it.
    """
    number = pd.Series(identity).groupby(identity, sort=False).cumcount().to_numpy()
    place = np.maximum(number - COPIES + 1, 0)
    return _hash_rows(pd.DataFrame({"identity": identity, "place": place}))


def _hash_rows(parts: pd.DataFrame) -> NDArray[Any]:
    hashed: NDArray[Any] = hash_pandas_object(parts, index=False).to_numpy().copy()
    return hashed


def _draw_splits(identity: NDArray[Any], params: SplitParams, seed: int) -> NDArray[Any]:
    """Draw splits by seed and identity alone: a row stays in its split when others come or go."""
    content = identity.astype(str).astype(object)
    draws = hash_array(content, hash_key=f"{seed % 10**16:016d}", categorize=False) / 2**64
    bounds = [params.test_proportion, params.test_proportion + params.validation_proportion]
    return np.array(["test", "validation", "train"])[np.digitize(draws, bounds)]


def check_splits(
    splits: Mapping[str, pd.DataFrame], contract: Contract, params: SplitParams
) -> None:
    """Stop on splits from which nothing can be learned or concluded.

    Raises:
        ProjectError: A split is too small, lacks a class, holds too few days or groups for a
            verdict, or overlaps a later one.
    """
    for name, split in splits.items():
        if len(split) < params.min_rows:
            raise ProjectError(
                f"The {name} split holds {len(split)} rows, fewer than split.min_rows "
                f"({params.min_rows}); bring more data or {_spell_widening(name, params)}."
            )
        present = set(split[contract.target.name].unique())
        absent = [label for label in contract.classes if label not in present]
        if absent:
            raise ProjectError(
                f"The {name} split has no row of class {_spell_class(absent[0])} of "
                f"'{contract.target.name}'; bring more data or {_spell_widening(name, params)}."
            )
    _check_units(splits["test"], contract, params)
    if params.strategy == "time" and contract.event_time is not None:
        _check_order(splits, contract.event_time.name)
    if contract.key is not None:
        _check_keys(splits, contract.key)


def _spell_class(label: ClassLabel) -> str:
    """Spell a class as the contract does: 'late', 3, or true."""
    return str(label).lower() if isinstance(label, bool) else repr(label)


def _spell_widening(split: str, params: SplitParams) -> str:
    """Spell which settings make a split larger."""
    kind = "days" if params.strategy == "time" else "proportion"
    if split == "train":
        return f"lower split.validation_{kind} and split.test_{kind} in params.yaml"
    return f"raise split.{split}_{kind} in params.yaml"


def _check_units(test: pd.DataFrame, contract: Contract, params: SplitParams) -> None:
    """Stop where other days or groups than those few of the test split would not be known."""
    units = count_units(number_units(test, contract, params))
    unit = name_unit(contract, params)
    if units >= LEAST_UNITS or (unit == "day" and _stand_for_months(test, contract)):
        return
    setting = "split.test_days" if unit == "day" else "split.test_proportion"
    raise ProjectError(
        f"The test split holds only {spell_units(units, unit)}, and fewer than {LEAST_UNITS} "
        f"support no verdict; raise {setting} in params.yaml, or bring more data."
    )


def _stand_for_months(test: pd.DataFrame, contract: Contract) -> bool:
    """Return True if each day is the only one of its month, as in a monthly panel."""
    if contract.event_time is None:
        return False
    days = test[contract.event_time.name].dt.floor("D").drop_duplicates()
    return bool((days.dt.year * 12 + days.dt.month).nunique() == len(days))


def _check_order(splits: Mapping[str, pd.DataFrame], event_time: str) -> None:
    for earlier, later in (("train", "validation"), ("validation", "test")):
        last = splits[earlier][event_time].max()
        first = splits[later][event_time].min()
        if last >= first:
            raise ProjectError(
                f"The {earlier} split reaches to {last}, beyond the start of the {later} split "
                f"({first}); splits must follow one another in time."
            )


def _check_keys(splits: Mapping[str, pd.DataFrame], key: Column) -> None:
    keys = pd.concat([split[key.name] for split in splits.values()])
    twice = keys[keys.duplicated()]
    if len(twice):
        shown = show_cell(twice.iloc[0], personal="pii" in key.roles)
        raise ProjectError(
            f"The row {shown} is in two splits ({len(twice)} such rows); splits must "
            "not share a row."
        )


def account_rows(
    ingest: IngestReport, validation: ValidationReport, unlabeled: int, used: int
) -> RowAccount:
    """Account for every row of the source: used, unlabeled, quarantined and so on.

    Raises:
        ProjectError: The parts do not add up, so rows were lost or duplicated on the way.
    """
    parts = ingest.not_yet_arrived + validation.quarantined + unlabeled + used
    if parts != ingest.offered or validation.accepted != unlabeled + used:
        raise ProjectError(
            f"{ingest.offered} rows were offered and {validation.accepted} accepted, but "
            f"{parts} are accounted for and {unlabeled + used} reached the split: rows were lost "
            "or doubled between the stages; run `.venv/bin/dvc repro --force`."
        )
    return RowAccount(
        offered=ingest.offered,
        not_yet_arrived=ingest.not_yet_arrived,
        quarantined=validation.quarantined,
        unlabeled=unlabeled,
        used=used,
    )


def describe_splits(splits: Mapping[str, pd.DataFrame], contract: Contract) -> SplitsFacts:
    """Describe each split: rows, event times, and the outcome's mean or proportions."""
    return SplitsFacts(
        train=_describe_part(splits["train"], contract),
        validation=_describe_part(splits["validation"], contract),
        test=_describe_part(splits["test"], contract),
    )


def _describe_part(split: pd.DataFrame, contract: Contract) -> SplitFacts:
    begin, until = None, None
    if contract.event_time is not None:
        timestamps = split[contract.event_time.name]
        begin, until = timestamps.min().isoformat(), timestamps.max().isoformat()
    outcome = describe_target(split[contract.target.name], contract)
    return SplitFacts(
        rows=len(split),
        begin=begin,
        until=until,
        target_mean=outcome.mean,
        target_proportions=outcome.proportions,
    )
