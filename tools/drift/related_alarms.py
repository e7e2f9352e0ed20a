"""Test windows that were drawn by a signal that the monitor does not have: related columns.

Trees predict each number from the other columns, and a window is tested by its residuals: a
temperature in another unit no longer fits the dew point, whatever the season is. The rows of a day
are predicted by trees that were fitted on other days. Limits are found as the monitor finds them.

Runs with the interpreter of a project whose pipeline has run, in its folder. Writes `related.json`
like `own.json`.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
from draw_windows import read_rows
from mlchassis.bundle.bundle import read_bundle
from mlchassis.bundle.daily_counts import count_cells, number_days
from mlchassis.config.params import MonitorParams
from mlchassis.monitoring.drift.thresholds import History, find_limits, find_nearest
from mlchassis.training.daily_reference.counts import divide_numbers

FOLDS = 6
FIT_ROWS = 20_000
LARGEST = 5.0
"""Standard deviations from the mean beyond which a value counts as this far."""
TREES: dict[str, Any] = {
    "n_estimators": 150,
    "min_child_samples": 50,
    "n_jobs": 1,
    "random_state": 0,
    "verbose": -1,
}

Frame = pd.DataFrame
Residuals = dict[str, Any]
"""Residual of each row, by column."""


@dataclass(frozen=True)
class Relation:
    """Trees that predict a column from the others, for one block of days."""

    column: str
    center: float
    scale: float
    trees: Any

    def find_residuals(self, rows: Frame) -> Any:
        """Return the residuals in standard deviations of the column."""
        predicted = self.trees.predict(rows.drop(columns=self.column))
        return scale_values(rows[self.column], self.center, self.scale) - predicted


def main(folder: Path) -> None:
    """Write the alarms."""
    bundle = read_bundle(Path("models/bundle"))
    reference = bundle.metadata.monitoring
    if reference is None:
        raise SystemExit("error: the bundle has no reference for monitoring.")
    facts = json.loads((folder / "windows.json").read_text(encoding="utf-8"))
    rows = read_rows(bundle.contract, reference)
    days, numbers = number_days(rows["day"].to_list())
    types = {name: find_type(rows[name]) for name in facts["columns"]}
    table = rows[facts["columns"]].astype(types)
    relations = [
        fit_relations(table[numbers * FOLDS // len(days) != fold]) for fold in range(FOLDS)
    ]
    history = count_residuals(predict(relations, table, numbers, len(days)), numbers, len(days))
    places = {day: place for place, day in enumerate(days)}
    windows = pd.read_parquet(folder / "windows.parquet").groupby("window")
    alarms: list[dict[str, Any]] = []
    limits: dict[Any, Mapping[tuple[str, str], float]] = {}
    for number, window in enumerate(facts["windows"]):
        drawn = windows.get_group(number)
        at = drawn["day"].map(places).to_numpy()
        residuals = predict(relations, drawn[facts["columns"]].astype(types), at, len(days))
        rest = leave_out(history, days, window["left_out"])
        length = days.index(window["days"][1]) - days.index(window["days"][0]) + 1
        key = (*window["left_out"], window["size"])
        if key not in limits:
            limits[key] = draw_limits(rest, length, window["size"])
        found = find_alarms(rest, residuals, length, limits[key])
        alarms.append({"count": len(found), "broken": window["column"] in found, "columns": found})
    (folder / "related.json").write_text(json.dumps(alarms, indent=1), encoding="utf-8")


def find_type(values: "pd.Series[Any]") -> Any:
    """Return the type in which trees read a column."""
    if pd.api.types.is_numeric_dtype(values):
        return "float64"
    return pd.CategoricalDtype(sorted(values.dropna().unique()))


def scale_values(values: "pd.Series[float]", center: float, scale: float) -> Any:
    """Return values in standard deviations from the mean."""
    return np.clip((values.to_numpy() - center) / scale, -LARGEST, LARGEST)


def fit_relations(table: Frame) -> list[Relation]:
    """Fit trees for each number that varies."""
    sample = table.sample(min(FIT_ROWS, len(table)), random_state=0)
    relations = []
    for name in sample.select_dtypes("number"):
        present = sample[sample[name].notna()]
        center = float(present[name].mean())
        scale = float(present[name].std())
        if len(present) < FIT_ROWS // FOLDS or not scale:
            continue
        trees = lightgbm.LGBMRegressor(**TREES)
        trees.fit(present.drop(columns=name), scale_values(present[name], center, scale))
        relations.append(Relation(name, center, scale, trees))
    return relations


def predict(
    relations: Sequence[Sequence[Relation]], table: Frame, numbers: Any, days: int
) -> Residuals:
    """Return the residuals of each row by the trees that have not seen its day."""
    folds = numbers * FOLDS // days
    residuals: Residuals = {}
    for fold in np.unique(folds):
        chosen = np.flatnonzero(folds == fold)
        part = table.iloc[chosen]
        for relation in relations[fold]:
            values = residuals.setdefault(relation.column, np.full(len(table), np.nan))
            values[chosen] = relation.find_residuals(part)
    return residuals


def count_residuals(residuals: Residuals, numbers: Any, days: int) -> dict[str, History]:
    """Count the residuals of the reference by day."""
    counted = {}
    for name, values in residuals.items():
        cells = divide_numbers(values)
        counted[name] = History(cells, count_cells(cells.assign(values), numbers, days, cells.size))
    return counted


def leave_out(
    history: Mapping[str, History], days: Sequence[str], period: Sequence[str]
) -> dict[str, History]:
    """Return the history without some days."""
    kept = np.array([not period[0] <= day <= period[1] for day in days])
    return {name: History(part.cells, part.counts[kept]) for name, part in history.items()}


def draw_limits(
    history: Mapping[str, History], days: int, size: int
) -> Mapping[tuple[str, str], float]:
    """Return the limits as the monitor finds them."""
    params = MonitorParams()
    generator = np.random.default_rng(0)
    return find_limits(history, days, size, params.draws, params.false_alarms, generator).by_test


def find_alarms(
    history: Mapping[str, History],
    residuals: Residuals,
    days: int,
    limits: Mapping[tuple[str, str], float],
) -> list[str]:
    """Return the columns whose residuals alarm."""
    found = []
    for name, part in history.items():
        cells = part.cells.assign(residuals[name])
        counts = np.bincount(cells, minlength=part.cells.size).astype(np.float64)[np.newaxis]
        nearest = find_nearest(part, days, counts)
        if nearest["distribution"][0] > limits[name, "distribution"]:
            found.append(name)
    return sorted(found)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
