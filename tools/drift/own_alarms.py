"""Test windows that were drawn by the monitor of their project.

Runs with the project's interpreter, in its folder. For each window, these files have the columns
that alarm, their number, and whether the broken one is among them:

- `columns.json`: each column by itself;
- `own.json`: related columns too, as the monitor does;
- `whole.json`: the same, with the days of the window in the reference and in the fits.

A window has few rows in the bench, so limits are drawn as `compare_window` draws them, and once for
the windows of the same days, rows and seed.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from draw_windows import LATER, read_rows
from mlchassis.bundle.bundle import Bundle, read_bundle
from mlchassis.bundle.daily_counts import DailyReference, number_days
from mlchassis.bundle.relations import NumberRelation, Relation, Relations
from mlchassis.config.params import MonitorParams
from mlchassis.features.encoding import Columns, columns_from_frame
from mlchassis.monitoring.drift.thresholds import History, Limits, find_limits, find_nearest
from mlchassis.training.daily_reference.counts import find_relations

FOLDS = 6
"""Blocks of days; the fits of relations lack the whole blocks that a window touches."""
PARAMS = MonitorParams()
BOTH = ("distribution", "missing")
RELATED = ("distribution",)

Window = Mapping[str, Any]
Counts = dict[str, Any]


@dataclass(frozen=True)
class Family:
    """Signals whose limits are found together.

    Attributes:
        histories: Reference of each signal.
        named: Columns that each signal names.
        statistics: Statistics that are tested.
    """

    histories: Mapping[str, History]
    named: Mapping[str, tuple[str, ...]]
    statistics: tuple[str, ...]

    def leave_out(self, kept: Any) -> "Family":
        """Return the family without some days of the reference."""
        histories = {
            name: History(history.cells, history.counts[kept])
            for name, history in self.histories.items()
        }
        return Family(histories, self.named, self.statistics)


@dataclass
class Tester:
    """Test of windows by one kind of signals.

    Attributes:
        days: Days of all rows.
        limits: Limits that have been found, by the reference's days, rows and seed.
    """

    days: Sequence[str]
    limits: dict[Any, Limits] = field(default_factory=dict)

    def find_alarms(self, family: Family, window: Window, counts: Counts, key: Any) -> set[str]:
        """Return the columns that are named by an alarm.

        Args:
            family: Signals of the reference.
            window: Facts of the window.
            counts: Rows of the window by signal and cell.
            key: Name of the days of the reference, and the seed of the limits.
        """
        if not family.histories:
            return set()
        length = sum(within(day, window["days"]) for day in self.days)
        known = (key, window["size"])
        if known not in self.limits:
            self.limits[known] = find_limits(
                family.histories,
                length,
                window["size"],
                PARAMS.draws,
                PARAMS.false_alarms,
                np.random.default_rng(key[-1]),
            )
        limits = self.limits[known].by_test
        named: set[str] = set()
        for name, history in family.histories.items():
            nearest = find_nearest(history, length, counts[name][np.newaxis])
            if any(nearest[each][0] > limits[name, each] for each in family.statistics):
                named.update(family.named[name])
        return named


@dataclass
class Fits:
    """Relations of the rows without some blocks of days.

    Attributes:
        bundle: The bundle, whose relations know all days.
        rows: Rows of the reference.
        days: Its days.
        numbers: Number of each row's day.
        known: Relations that were found, by the days that they know.
    """

    bundle: Bundle
    reference: DailyReference
    rows: pd.DataFrame
    days: Sequence[str]
    numbers: Any
    known: dict[Any, Relations] = field(default_factory=dict)

    def find(self, window: Window) -> tuple[Any, Relations]:
        """Return the days and the relations that a bundle without the window's days would have.

        The whole blocks of days that the window touches are left out, so that no day beside it
        tells its weather.
        """
        out = np.array([within(day, window["left_out"]) for day in self.days])
        if window["kind"] != LATER:
            folds = np.arange(len(out)) * FOLDS // len(out)
            out = np.isin(folds, folds[out])
        key = tuple(out.tolist())
        if key not in self.known:
            self.known[key] = self._fit(~out[self.numbers])
        return key, self.known[key]

    def _fit(self, chosen: Any) -> Relations:
        rows = self.rows[chosen]
        _, numbers = number_days(rows["day"].to_list())
        columns = read_columns(self.bundle, rows)
        return find_relations(self.bundle.contract, columns, self.reference.features, numbers)


@dataclass
class Alarms:
    """All tests of windows.

    Attributes:
        reference: Reference of the bundle.
        names: Columns that are tested.
        fits: Relations without the days of a window.
        inputs: Test of single columns.
        related: Test of related columns.
    """

    reference: DailyReference
    names: Sequence[str]
    fits: Fits
    inputs: Tester
    related: Tester

    def find(self, window: Window, columns: Columns) -> dict[str, set[str]]:
        """Return the columns that alarm in a window, by file."""
        alone = self._find_single(window, columns)
        days, relations = self.fits.find(window)
        key = (days, window["seed"])
        return {
            "columns": alone,
            "own": alone | self._find_related(window, columns, relations, key),
            "whole": self._find_single(window, columns, whole=True)
            | self._find_related(window, columns, self.reference.relations, ("whole", 0)),
        }

    def _find_single(self, window: Window, columns: Columns, *, whole: bool = False) -> set[str]:
        period = ("", "") if whole else window["left_out"]
        kept = np.array([not within(day, period) for day in self.reference.days])
        family = read_inputs(self.reference, self.names).leave_out(kept)
        counts = count_inputs(self.reference, columns, self.names)
        key = (tuple(period), 0 if whole else window["seed"])
        return self.inputs.find_alarms(family, window, counts, key)

    def _find_related(
        self, window: Window, columns: Columns, relations: Relations, key: Any
    ) -> set[str]:
        counts = count_related(self.reference, columns, relations)
        return self.related.find_alarms(read_related(relations), window, counts, key)


def name_relation(relation: Relation) -> str:
    """Return the key of a relation."""
    return relation.column if isinstance(relation, NumberRelation) else " ".join(relation.columns)


def main(folder: Path) -> None:
    """Write the alarms."""
    bundle = read_bundle(Path("models/bundle"))
    reference = bundle.metadata.monitoring
    if reference is None:
        raise SystemExit("error: the bundle has no reference for monitoring.")
    facts = json.loads((folder / "windows.json").read_text(encoding="utf-8"))
    rows = read_rows(bundle.contract, reference)
    fits = Fits(bundle, reference, rows, *number_days(rows["day"].to_list()))
    testers = Tester(reference.days), Tester(reference.days)
    tests = Alarms(reference, facts["columns"], fits, *testers)
    windows = pd.read_parquet(folder / "windows.parquet").groupby("window")
    alarms: dict[str, list[dict[str, Any]]] = {"columns": [], "own": [], "whole": []}
    for number, window in enumerate(facts["windows"]):
        columns = read_columns(bundle, windows.get_group(number))
        for name, named in tests.find(window, columns).items():
            alarms[name].append(describe(window, named))
    for name, found in alarms.items():
        (folder / f"{name}.json").write_text(json.dumps(found, indent=1), encoding="utf-8")


def describe(window: Window, named: set[str]) -> dict[str, Any]:
    """Return what alarms in a window."""
    columns = sorted(named)
    return {"count": len(columns), "broken": window["column"] in named, "columns": columns}


def within(day: str, period: Sequence[str]) -> bool:
    """Return whether a day lies in a period."""
    return period[0] <= day <= period[1]


def read_inputs(reference: DailyReference, columns: Sequence[str]) -> Family:
    """Return the signals of single columns."""
    histories = {
        name: History(reference.features[name].cells, reference.features[name].counts)
        for name in columns
    }
    return Family(histories, {name: (name,) for name in columns}, BOTH)


def read_related(relations: Relations) -> Family:
    """Return the signals of related columns."""
    named = {name_relation(each): each for each in relations.every}
    histories = {
        name: History(each.signal.cells, each.signal.counts) for name, each in named.items()
    }
    return Family(histories, {name: each.names for name, each in named.items()}, RELATED)


def read_columns(bundle: Bundle, rows: pd.DataFrame) -> Columns:
    """Return all feature columns; those that are not tested are empty."""
    absent: dict[str, Any] = {
        column.name: None for column in bundle.contract.features if column.name not in rows
    }
    return columns_from_frame(bundle.contract, rows.assign(**absent))


def count_inputs(reference: DailyReference, columns: Columns, names: Sequence[str]) -> Counts:
    """Return the rows of a window by cell of each column."""
    return {
        name: np.bincount(
            reference.features[name].cells.assign(columns[name]),
            minlength=reference.features[name].cells.size,
        ).astype(np.float64)
        for name in names
    }


def count_related(reference: DailyReference, columns: Columns, relations: Relations) -> Counts:
    """Return the rows of a window by cell of each relation."""
    cells = {name: reference.features[name].cells.assign(columns[name]) for name in columns}
    numbers = {name: values for name, values in columns.items() if values.dtype.kind == "f"}
    return {
        name_relation(each): np.bincount(
            each.assign(numbers, cells), minlength=each.signal.cells.size
        ).astype(np.float64)
        for each in relations.every
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]))
