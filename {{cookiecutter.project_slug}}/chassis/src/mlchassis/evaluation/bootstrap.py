"""Confidence intervals by units of rows: days, groups or single rows.

Rows of one day, or of one patient, share what that day or patient brought to all of them;
resampling single rows would take them for independent and give intervals that are too narrow. So
the unit by which rows are split is drawn whole (the block bootstrap of Künsch 1989), with one set
of draws for every statistic: differences between models are paired.

Percentiles of so few units as a test split has are too narrow as well: of 15 days the usual 95 %
interval covers the truth in 92 % of cases. Its tails are moved out as far as Student's t lies
beyond the normal distribution (the expanded percentile interval of Hesterberg 2015). Of fewer than
`FEW_UNITS` the bootstrap knows too few different samples; there the interval is a t-interval with
the jackknife's standard error. Where a few days are far worse than the others, both are still too
narrow, by (1 + 2 t²) / (6 t) of the statistic's skewness at Student's quantile t (Johnson 1978):
0.8 of it for 15 units. The skewness of a sample is smaller than the true one, so both ends move out
by the whole of it. The table in `docs/intervals.md` says how often intervals hold the truth.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Unpack

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, stdtrit

from mlchassis.config.params import Resampling, SplitParams
from mlchassis.contract.model import Contract
from mlchassis.evaluation.metrics import Floats, Groups, Metric, Statistic

FEW_UNITS = 15
"""Of fewer units an interval is taken from Student's t and the jackknife."""
LEAST_UNITS = 5
"""Fewer units support no verdict."""
_MANY_UNITS = 400
"""Of more units the skewness of a statistic no longer counts, and its jackknife takes long."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A value with a confidence interval."""

    value: float
    low: float
    high: float

    def as_dict(self) -> dict[str, float]:
        """For a report."""
        return asdict(self)

    def clip(self, least: float, most: float) -> "Interval":
        """Cut the ends to the values that there can be."""
        low, high = (min(max(end, least), most) for end in (self.low, self.high))
        return Interval(self.value, low, high)


def name_unit(contract: Contract, split: SplitParams) -> str:
    """Name the unit by which rows are split: "day", the group's column, or "row"."""
    if split.strategy == "time" and contract.event_time is not None:
        return "day"
    return split.group if split.strategy == "group" and split.group else "row"


def group_rows(rows: pd.DataFrame, contract: Contract, split: SplitParams) -> Groups:
    """Number the resampling unit of each row, which is the unit by which rows are split.

    Fewer than `LEAST_UNITS` days or groups cannot be resampled: there each row is a unit, and the
    interval says nothing about other days or groups.
    """
    units = number_units(rows, contract, split)
    return units if count_units(units) >= LEAST_UNITS else np.arange(len(rows))


def number_units(rows: pd.DataFrame, contract: Contract, split: SplitParams) -> Groups:
    """Number the day (UTC), group or row that each row belongs to.

    A row without a group is a unit of its own.
    """
    unit = name_unit(contract, split)
    if unit == "row":
        return np.arange(len(rows))
    if unit == "day" and contract.event_time is not None:
        return np.asarray(pd.factorize(rows[contract.event_time.name].dt.floor("D"))[0])
    units = np.asarray(pd.factorize(rows[unit])[0])
    absent = units < 0
    units[absent] = units.max(initial=-1) + 1 + np.arange(absent.sum())
    return units


def count_units(groups: Groups) -> int:
    """Count the units of some rows."""
    return len(np.unique(groups))


def spell_units(count: int, unit: str) -> str:
    """Spell a number of units: "12 days", "40 rows", "9 groups by 'patient'"."""
    if unit in ("day", "row"):
        return f"{count:,} {unit}{'s' if count != 1 else ''}"
    return f"{count:,} group{'s' if count != 1 else ''} by '{unit}'"


def bootstrap(
    statistics: Mapping[str, Statistic],
    groups: Groups,
    resamples: int,
    confidence: float,
    seed: int,
) -> dict[str, Interval]:
    """Confidence intervals of all statistics from the same resamples.

    Args:
        statistics: Functions of group weights, of rows with these groups.
        groups: The group of each row, numbered from 0, shape (rows,).
        resamples: Number of resamples; each draws as many groups as there are, with replacement.
        confidence: Probability with which an interval holds the true value.
        seed: Seed of the draws.
    """
    functions = list(statistics.values())
    units = int(groups.max()) + 1
    if units < FEW_UNITS:
        values, errors, skew = jackknife(functions, units)
        half_widths = _t_quantile(confidence, units - 1) * errors
        low = values - half_widths
        high = values + half_widths
    else:
        values, draws = resample(functions, groups, resamples, seed)
        low, high = find_percentiles(draws, confidence, units)
        many = units > _MANY_UNITS
        skew = np.zeros(len(functions)) if many else jackknife(functions, units)[2]
    more = np.abs(skew) * (high - low) / 2
    ends = zip(statistics, values, low - more, high + more, strict=True)
    return {
        name: Interval(float(value), float(start), float(end)) for name, value, start, end in ends
    }


def widen_at_ends(interval: Interval, rows: int, confidence: float) -> Interval:
    """Widen the interval of a proportion that is 0 or 1, as it is in every resample.

    Its other end is that of so many independent rows (Clopper & Pearson 1934).
    """
    room = 1 - ((1 - confidence) / 2) ** (1 / rows)
    low = min(interval.low, 1 - room) if interval.value == 1 else interval.low
    high = max(interval.high, room) if interval.value == 0 else interval.high
    return Interval(interval.value, low, high)


def find_percentiles(draws: Floats, confidence: float, units: int) -> tuple[Floats, Floats]:
    """Ends of the expanded percentile intervals of resamples, shape (resamples, …)."""
    tail = float(ndtr(-ndtri((1 + confidence) / 2) * widen(confidence, units)))
    low, high = np.nanquantile(draws, [tail, 1 - tail], axis=0)
    return low, high


def widen(confidence: float, units: int) -> float:
    """Factor by which an interval from resamples of so many units is too narrow.

    Resamples spread like a standard deviation that is divided by n and not by n - 1, and their
    percentiles are those of a normal distribution instead of Student's t.
    """
    freedom = max(1, units - 1)
    t_over_normal = _t_quantile(confidence, freedom) / float(ndtri((1 + confidence) / 2))
    return t_over_normal * math.sqrt((freedom + 1) / freedom)


def _t_quantile(confidence: float, freedom: float) -> float:
    return float(stdtrit(max(1.0, freedom), (1 + confidence) / 2))


def jackknife(statistics: Sequence[Statistic], units: int) -> tuple[Floats, Floats, Floats]:
    """Values, standard errors and skewness, from leaving out one unit after the other.

    The skewness is that of the statistics, which falls with the root of the number of units. A
    statistic that does not exist without some unit is judged by the others.
    """
    values = np.array([statistic(np.ones(units)) for statistic in statistics])
    without = []
    for left_out in range(units):
        weights = np.ones(units)
        weights[left_out] = 0.0
        without.append([statistic(weights) for statistic in statistics])
    parts = np.array(without)
    there = np.isfinite(parts)
    count = np.maximum(there.sum(axis=0), 1)
    parts = np.where(there, parts, 0.0)
    moved = np.where(there, parts.sum(axis=0) / count - parts, 0.0)
    squares = (moved**2).sum(axis=0)
    skew = (moved**3).sum(axis=0) / np.maximum(squares**1.5, np.finfo(float).tiny)
    return values, np.sqrt(squares * (count - 1) / count), skew


def resample(
    statistics: Sequence[Statistic], groups: Groups, resamples: int, seed: int
) -> tuple[Floats, Floats]:
    """Compute the statistics as they are, and in each resample: shape (resamples, statistics)."""
    generator = np.random.default_rng(seed)
    count = int(groups.max()) + 1

    def measure(weights: NDArray[Any]) -> list[float]:
        weights = weights.astype(np.float64)  # One array for all, which `memoize_last` recognizes.
        return [statistic(weights) for statistic in statistics]

    drawn = (generator.integers(count, size=count) for _ in range(resamples))
    draws = [measure(np.bincount(these, minlength=count)) for these in drawn]
    return np.array(measure(np.ones(count))), np.array(draws)


def paired_difference(
    metric: Metric,
    target: Floats,
    scores: Floats,
    other: Floats,
    groups: Groups,
    **settings: Unpack[Resampling],
) -> Interval:
    """Improvement of `scores` over `other` on the same rows; positive is better.

    `settings` are those of `bootstrap`: resamples, confidence and seed.
    """
    mine, theirs = (metric.prepare(target, part, groups) for part in (scores, other))
    statistic = gain(metric, mine, theirs)
    return bootstrap({"gain": statistic}, groups, **settings)["gain"]


def memoize_last(statistic: Statistic) -> Statistic:
    """Memoize the value for the most recent weights.

    Each resample needs a model's value for itself and for every difference from it.
    """
    last: Floats | None = None
    value = float("nan")

    def remember(weights: Floats) -> float:
        nonlocal last, value
        if weights is not last:
            last = weights
            value = statistic(weights)
        return value

    return remember


def gain(metric: Metric, candidate: Statistic, other: Statistic) -> Statistic:
    """The difference between two statistics, turned so that positive is better."""
    sign = 1 if metric.higher_is_better else -1
    return lambda weights: sign * (candidate(weights) - other(weights))


def difference_between_splits(
    earlier: tuple[Statistic, Groups],
    later: tuple[Statistic, Groups],
    resamples: int,
    confidence: float,
    seed: int,
) -> Interval:
    """Difference of a statistic from an earlier split to a later, disjoint one.

    Args:
        earlier: The statistic there, and the group of each row there.
        later: The same of the later split.
        resamples: Of each split; each is drawn by itself.
        confidence: Proportion of resamples inside the interval.
        seed: Seed of the draws.
    """
    parts = [
        _measure_spread(statistic, groups, resamples, seed + shift)
        for shift, (statistic, groups) in enumerate((earlier, later))
    ]
    (before, some, count), (after, others, counted) = parts
    difference = after - before
    if min(count, counted) >= FEW_UNITS:
        low, high = find_percentiles(others - some, confidence, min(count, counted))
        return Interval(difference, float(low), float(high))
    variances = [float(np.nanvar(some)), float(np.nanvar(others))]
    quantile = _t_quantile(confidence, _join_freedom(variances, [count, counted]))
    half_width = quantile * math.sqrt(sum(variances))
    return Interval(difference, difference - half_width, difference + half_width)


def _measure_spread(
    statistic: Statistic, groups: Groups, resamples: int, seed: int
) -> tuple[float, Floats, int]:
    """Value of a statistic, draws that spread as it does, and the number of units."""
    units = int(groups.max()) + 1
    if units < FEW_UNITS:
        values, errors, _ = jackknife([statistic], units)
        spread = np.array([-1.0, 1.0]) * errors[0]
        return float(values[0]), values[0] + spread, units
    values, draws = resample([statistic], groups, resamples, seed)
    return float(values[0]), draws[:, 0], units


def _join_freedom(variances: Sequence[float], units: Sequence[int]) -> float:
    """Degrees of freedom of a difference (Welch & Satterthwaite)."""
    parts = [
        variance**2 / max(1, count - 1) for variance, count in zip(variances, units, strict=True)
    ]
    return sum(variances) ** 2 / sum(parts) if sum(parts) else 1.0
