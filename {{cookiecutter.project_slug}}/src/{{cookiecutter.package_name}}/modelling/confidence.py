"""Bootstrap intervals by groups of rows.

Rows of one day share what that day brought to all of them; resampling single rows would take them
for independent and give intervals that are too narrow. So whole days are drawn (the block bootstrap
of Künsch 1989 with the day as block), with one set of draws for every statistic: differences
between models are paired.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..contract import Contract
from .metrics import Floats, Groups, Metric, Statistic


@dataclass(frozen=True, slots=True)
class Interval:
    """A value with a percentile interval."""

    value: float
    low: float
    high: float

    def as_dict(self) -> dict[str, float]:
        """For a report."""
        return asdict(self)


def group_rows(rows: pd.DataFrame, contract: Contract) -> Groups:
    """The resampling unit of each row: its day (UTC), or the row itself without an event time."""
    if contract.event_time is None:
        return np.arange(len(rows))
    days = rows[contract.event_time.name].dt.floor("D")
    return np.asarray(pd.factorize(days)[0])


def bootstrap(
    statistics: Mapping[str, Statistic],
    groups: Groups,
    resamples: int,
    confidence: float,
    seed: int,
) -> dict[str, Interval]:
    """Percentile intervals of all statistics from the same resamples.

    Args:
        statistics: Functions of group weights, of rows with these groups.
        groups: The group of each row, numbered from 0, shape (rows,).
        resamples: How often as many groups are drawn with replacement as there are.
        confidence: Share of resamples inside the interval.
        seed: Seed of the draws.
    """
    values, draws = resample(list(statistics.values()), groups, resamples, seed)
    tail = (1 - confidence) / 2
    low, high = np.nanquantile(draws, [tail, 1 - tail], axis=0)
    return {
        name: Interval(float(values[k]), float(low[k]), float(high[k]))
        for k, name in enumerate(statistics)
    }


def resample(
    statistics: Sequence[Statistic], groups: Groups, resamples: int, seed: int
) -> tuple[Floats, Floats]:
    """The statistics as they are, and in each resample: shape (resamples, statistics)."""
    generator, count = np.random.default_rng(seed), int(groups.max()) + 1

    def measure(weights: NDArray[Any]) -> list[float]:
        weights = weights.astype(np.float64)  # One array for all, which `once` knows again.
        return [statistic(weights) for statistic in statistics]

    drawn = (generator.integers(count, size=count) for _ in range(resamples))
    draws = [measure(np.bincount(these, minlength=count)) for these in drawn]
    return np.array(measure(np.ones(count))), np.array(draws)


def paired_difference(
    metric: Metric, target: Floats, scores: Floats, other: Floats, groups: Groups, **settings: Any
) -> Interval:
    """How much better `scores` are than `other` on the same rows; positive is better.

    `settings` are those of `bootstrap`: resamples, confidence and seed.
    """
    mine, theirs = (metric.prepare(target, part, groups) for part in (scores, other))
    statistic = gain(metric, mine, theirs)
    return bootstrap({"gain": statistic}, groups, **settings)["gain"]


def once(statistic: Statistic) -> Statistic:
    """Remembers the answer about the weights that were asked for last.

    In each resample a model is asked for its own value and again for every difference.
    """
    last: Floats | None = None
    value = float("nan")

    def remember(weights: Floats) -> float:
        nonlocal last, value
        if weights is not last:
            last, value = weights, statistic(weights)
        return value

    return remember


def gain(metric: Metric, candidate: Statistic, other: Statistic) -> Statistic:
    """The difference between two statistics, turned so that positive is better."""
    sign = 1 if metric.higher_is_better else -1
    return lambda weights: sign * (candidate(weights) - other(weights))


def rise_between_windows(
    earlier: tuple[Statistic, Groups],
    later: tuple[Statistic, Groups],
    resamples: int,
    confidence: float,
    seed: int,
) -> Interval:
    """By how much a statistic is larger on one window than on an earlier one, which share no row.

    Args:
        earlier: The statistic there, and the group of each row there.
        later: The same of the later window.
        resamples: Of each window; each is drawn by itself.
        confidence: Share of resamples inside the interval.
        seed: Seed of the draws.
    """
    (before, some), (after, others) = (
        resample([statistic], groups, resamples, seed + shift)
        for shift, (statistic, groups) in enumerate((earlier, later))
    )
    tail = (1 - confidence) / 2
    low, high = np.nanquantile(others - some, [tail, 1 - tail])
    return Interval(float(after[0] - before[0]), float(low), float(high))
