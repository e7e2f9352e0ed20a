"""Performance by slice: the main metric of parts of the rows, beside the whole and the baselines.

Among fifty slices one looks bad by chance. The intervals therefore hold for all slices at once:
they come from the resampled largest deviation over all of them (the single-step max-t method of
Westfall & Young 1993), which corrects overlapping slices no more than needed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Unpack

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlchassis.config.params import Resampling
from mlchassis.evaluation.bootstrap import (
    LEAST_UNITS,
    Interval,
    count_units,
    gain,
    resample,
    widen,
)
from mlchassis.evaluation.metrics import Floats, Groups, Metric, Statistic
from mlchassis.evaluation.results import MeasuredInterval, SliceBaseline, SliceGain, SliceResult

MAX_CATEGORIES = 20
"""Numbers with more values than this are cut into quarters of the rows."""
MISSING_LABEL = "(missing)"
"""Name of the slice of rows without a value."""


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
        Slice({name: str(labels[name].iloc[rows_of[0]]) for name in names}, np.asarray(rows_of))
        for count in (1, 2)
        for names in combinations(columns, count)
        for rows_of in labels.groupby(list(names)).indices.values()
        if min_rows <= len(rows_of) < len(rows)
    ]
    # A pair that holds no other rows than one of its columns is not a slice of its own.
    return list({part.rows.tobytes(): part for part in reversed(found)}.values())[::-1]


@dataclass(frozen=True, slots=True)
class _Part:
    """A slice, and the metric of each model in it as a function of group weights."""

    rows: Slice
    units: int
    statistics: Mapping[str, Statistic]


@dataclass(frozen=True, slots=True)
class _Sample:
    """Statistics with their resamples, and the confidence of intervals made from them."""

    values: Floats
    draws: Floats
    sign: int
    confidence: float

    def differences(self, pairs: Sequence[tuple[int, int]], units: Sequence[int]) -> list[Interval]:
        """Return how much better the first statistic of each pair is than the second."""
        if not pairs:
            return []
        first = [one for one, _ in pairs]
        second = [other for _, other in pairs]
        values = self.sign * (self.values[first] - self.values[second])
        draws = self.sign * (self.draws[:, first] - self.draws[:, second])
        return simultaneous(values, draws, self.confidence, units)


def measure_slices(
    slices: Sequence[Slice],
    metric: Metric,
    target: Floats,
    scores: Mapping[str, Floats],
    groups: Groups,
    **settings: Unpack[Resampling],
) -> list[SliceResult]:
    """Measure the candidate in each slice, beside all rows and beside each baseline in that slice.

    A slice in which the metric does not exist, since it lacks a class, is left out, and so is one
    of too few units. Differences are positive where the candidate is better.

    Args:
        slices: The slices.
        metric: The metric.
        target: Shape (rows,).
        scores: Answers by model: `candidate` and the baselines.
        groups: The resampling unit of each row.
        settings: Those of `bootstrap`: resamples, confidence and seed. The intervals of the values,
            of the differences from the whole and of the gains each hold for all slices at once.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        parts = _prepare_parts(slices, metric, target, scores, groups)
        if not parts:
            return []
        whole = metric.prepare(target, scores["candidate"], groups)
        statistics = [whole, *(each for part in parts for each in part.statistics.values())]
        values, draws = resample(statistics, groups, settings["resamples"], settings["seed"])
    sign = 1 if metric.higher_is_better else -1
    return _describe_parts(parts, _Sample(values, draws, sign, settings["confidence"]))


def _prepare_parts(
    slices: Sequence[Slice],
    metric: Metric,
    target: Floats,
    scores: Mapping[str, Floats],
    groups: Groups,
) -> list[_Part]:
    """Prepare the metric of each model in each slice, where it exists for the candidate."""
    ones = np.ones(int(groups.max()) + 1)
    parts = []
    for part in slices:
        units = count_units(groups[part.rows])
        if units < LEAST_UNITS:
            continue
        statistics = {
            model: _within(part.rows, metric, target, answers, groups)
            for model, answers in scores.items()
        }
        existing = {model: each for model, each in statistics.items() if np.isfinite(each(ones))}
        if "candidate" in existing:
            parts.append(_Part(part, units, existing))
    return parts


def _describe_parts(parts: Sequence[_Part], sample: _Sample) -> list[SliceResult]:
    """Describe slices whose statistics follow that of the whole, part by part."""
    keys = [(index, model) for index, part in enumerate(parts) for model in part.statistics]
    position = {key: place for place, key in enumerate(keys, start=1)}
    own = [position[index, "candidate"] for index in range(len(parts))]
    units = [part.units for part in parts]
    values = simultaneous(sample.values[own], sample.draws[:, own], sample.confidence, units)
    differences = sample.differences([(place, 0) for place in own], units)
    compared = [(index, model) for index, model in keys if model != "candidate"]
    gains = sample.differences(
        [(own[index], position[index, model]) for index, model in compared],
        [units[index] for index, _ in compared],
    )
    baselines: list[dict[str, SliceBaseline]] = [{} for _ in parts]
    for (index, model), gain_there in zip(compared, gains, strict=True):
        value = float(sample.values[position[index, model]])
        measured = MeasuredInterval.of(gain_there)
        baselines[index][model] = SliceBaseline(value=value, gain=measured)
    return [
        SliceResult(
            **part.rows.as_dict(),
            value=MeasuredInterval.of(value),
            difference=MeasuredInterval.of(difference),
            baselines=there,
        )
        for part, value, difference, there in zip(
            parts, values, differences, baselines, strict=True
        )
    ]


def compare_slices(
    slices: Sequence[Slice],
    metric: Metric,
    target: Floats,
    scores: Floats,
    other: Floats,
    groups: Groups,
    **settings: Unpack[Resampling],
) -> list[SliceGain]:
    """Improvement of `scores` over `other` by slice, worst first."""
    ones = np.ones(int(groups.max()) + 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mine = [_within(part.rows, metric, target, scores, groups) for part in slices]
        theirs = [_within(part.rows, metric, target, other, groups) for part in slices]
        pairs = [
            (part, new, old)
            for part, new, old in zip(slices, mine, theirs, strict=True)
            if np.isfinite(new(ones)) and count_units(groups[part.rows]) >= LEAST_UNITS
        ]
        if not pairs:
            return []
        statistics = [gain(metric, new, old) for _, new, old in pairs]
        values, draws = resample(statistics, groups, settings["resamples"], settings["seed"])
    units = [count_units(groups[part.rows]) for part, _, _ in pairs]
    intervals = simultaneous(values, draws, settings["confidence"], units)
    found = [
        _describe_gain(part, new(ones), old(ones), interval)
        for (part, new, old), interval in zip(pairs, intervals, strict=True)
    ]
    return sorted(found, key=lambda part: part.gain.value)


def _describe_gain(part: Slice, value: float, other: float, improvement: Interval) -> SliceGain:
    gain_there = MeasuredInterval.of(improvement)
    return SliceGain(**part.as_dict(), value=value, other=other, gain=gain_there)


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
    half_widths = float(np.quantile(largest, confidence)) * spread * wider
    return [
        Interval(float(value), float(value - half_width), float(value + half_width))
        for value, half_width in zip(values, half_widths, strict=True)
    ]


def name_rows(where: Mapping[str, str]) -> str:
    """Name the rows of a slice, for messages and tables: "carrier UA, origin EWR"."""
    return ", ".join(f"{column} {label}" for column, label in where.items())


def _within(
    rows: NDArray[np.intp], metric: Metric, target: Floats, scores: Floats, groups: Groups
) -> Statistic:
    return metric.prepare(target[rows], scores[rows], groups[rows])


def _label(values: "pd.Series[Any]") -> NDArray[np.object_]:
    if pd.api.types.is_numeric_dtype(values) and values.nunique() > MAX_CATEGORIES:
        values = pd.qcut(values.astype(float), 4, duplicates="drop")
    filled: NDArray[np.object_] = (
        values.astype(object).where(values.notna(), MISSING_LABEL).astype(str).to_numpy(object)
    )
    return filled
