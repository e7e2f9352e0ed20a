"""Performance by slice: metrics of parts of the rows beside the whole.

Who looks at fifty slices finds one that looks bad by chance. So the intervals hold for all slices
at once: the largest deviation over all of them is what is resampled (the single-step max-t method
of Westfall & Young 1993). Overlapping slices are thereby corrected for no more than they must be.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlchassis.evaluation.bootstrap import (
    LEAST_UNITS,
    Interval,
    count_units,
    gain,
    resample,
    widen,
)
from mlchassis.evaluation.metrics import Floats, Groups, Metric, Statistic

MANY = 20
"""Numbers with more values than this are cut into quarters of the rows."""
MISSING_LABEL = "(missing)"
"""Stands for rows without a value."""


@dataclass(frozen=True, slots=True)
class Slice:
    """Rows that have something in common.

    Attributes:
        where: Value by column: one column, or a pair.
        rows: Their positions.
    """

    where: Mapping[str, str]
    rows: NDArray[np.intp]

    def as_dict(self) -> dict[str, Any]:
        """For a report: what its rows have in common, and how many there are."""
        return {"where": dict(self.where), "rows": len(self.rows)}


def find_slices(rows: pd.DataFrame, columns: Sequence[str], min_rows: int) -> list[Slice]:
    """Every value of the columns, and of their pairs, that has at least so many rows."""
    labels = pd.DataFrame({column: _label(rows[column]) for column in columns})
    found = [
        Slice({n: str(labels[n].iloc[rows_of[0]]) for n in names}, np.asarray(rows_of))
        for count in (1, 2)
        for names in combinations(columns, count)
        for rows_of in labels.groupby(list(names)).indices.values()
        if min_rows <= len(rows_of) < len(rows)
    ]
    # A pair that holds no other rows than one of its columns is no slice of its own.
    return list({part.rows.tobytes(): part for part in reversed(found)}.values())[::-1]


def measure_slices(
    slices: Sequence[Slice],
    metric: Metric,
    target: Floats,
    scores: Floats,
    groups: Groups,
    **settings: Any,
) -> list[dict[str, Any]]:
    """The metric in each slice, and how far above the whole it lies; positive is better.

    `settings` are those of `bootstrap`: resamples, confidence and seed. A slice in which the metric
    does not exist, since it lacks a class, is left out, and so is one of too few units.
    """
    whole, sign = metric.prepare(target, scores, groups), 1 if metric.higher_is_better else -1
    ones = np.ones(int(groups.max()) + 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        parts = [
            (s, _within(s.rows, metric, target, scores, groups))
            for s in slices
            if count_units(groups[s.rows]) >= LEAST_UNITS
        ]
        parts = [(s, part) for s, part in parts if np.isfinite(part(ones))]
        if not parts:
            return []
        statistics = [whole, *(part for _, part in parts)]
        values, draws = resample(statistics, groups, settings["resamples"], settings["seed"])
    units, confidence = [count_units(groups[s.rows]) for s, _ in parts], settings["confidence"]
    absolute = simultaneous(values[1:], draws[:, 1:], confidence, units)
    gaps = simultaneous(
        sign * (values[1:] - values[0]), sign * (draws[:, 1:] - draws[:, :1]), confidence, units
    )
    return [
        {**part.as_dict(), "value": value.as_dict(), "gap": gap.as_dict()}
        for (part, _), value, gap in zip(parts, absolute, gaps, strict=True)
    ]


def compare_slices(
    slices: Sequence[Slice],
    metric: Metric,
    target: Floats,
    scores: Floats,
    other: Floats,
    groups: Groups,
    **settings: Any,
) -> list[dict[str, Any]]:
    """Improvement of `scores` over `other` by slice, worst first."""
    ones = np.ones(int(groups.max()) + 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mine = [_within(s.rows, metric, target, scores, groups) for s in slices]
        theirs = [_within(s.rows, metric, target, other, groups) for s in slices]
        pairs = [
            (s, new, old)
            for s, new, old in zip(slices, mine, theirs, strict=True)
            if np.isfinite(new(ones)) and count_units(groups[s.rows]) >= LEAST_UNITS
        ]
        if not pairs:
            return []
        gains = [gain(metric, new, old) for _, new, old in pairs]
        values, draws = resample(gains, groups, settings["resamples"], settings["seed"])
    units = [count_units(groups[s.rows]) for s, _, _ in pairs]
    intervals = simultaneous(values, draws, settings["confidence"], units)
    found = [
        {**s.as_dict(), "value": new(ones), "other": old(ones), "gain": interval.as_dict()}
        for (s, new, old), interval in zip(pairs, intervals, strict=True)
    ]
    return sorted(found, key=lambda part: part["gain"]["value"])


def simultaneous(
    values: Floats, draws: Floats, confidence: float, units: Sequence[int]
) -> list[Interval]:
    """Intervals that hold for all of some statistics at once.

    Args:
        values: The statistics, shape (statistics,).
        draws: Their resamples, shape (resamples, statistics); NaN where one did not exist.
        confidence: Probability with which every interval holds its true value.
        units: Number of resampling units behind each statistic.
    """
    spread = np.maximum(np.nanstd(draws, axis=0), np.finfo(float).tiny)
    largest = np.nanmax(np.abs(draws - values) / spread, axis=1)
    wider = np.array([widen(confidence, count) for count in units])
    reach = float(np.quantile(largest, confidence)) * spread * wider
    return [
        Interval(float(value), float(value - part), float(value + part))
        for value, part in zip(values, reach, strict=True)
    ]


def _within(
    rows: NDArray[np.intp], metric: Metric, target: Floats, scores: Floats, groups: Groups
) -> Statistic:
    return metric.prepare(target[rows], scores[rows], groups[rows])


def _label(values: "pd.Series[Any]") -> NDArray[np.object_]:
    if pd.api.types.is_numeric_dtype(values) and values.nunique() > MANY:
        values = pd.qcut(values.astype(float), 4, duplicates="drop")
    filled: NDArray[np.object_] = (
        values.astype(object).where(values.notna(), MISSING_LABEL).astype(str).to_numpy(object)
    )
    return filled
