"""Limits of the drift tests, from windows that are drawn from the reference.

The statistic of a column is its distance from the most similar window of the reference: so many
consecutive days as the window of production has. So a January week is compared with January weeks,
and a column that moves with the seasons does not alarm each spring.

Windows of as many consecutive days are drawn from the reference, as many rows as the window of
production has are drawn from each, and each is compared with the other days of the reference. So
a limit knows how much weeks differ, and how much chance moves so few rows.

Many tests are made at once: two for each column. Each statistic is divided by its usual size in the
drawn windows, and the limit is a quantile of the largest quotient of each window (max statistic).
So a false alarm has the same probability for all tests together, whatever their dependence.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlchassis.bundle.cells import Cells, Counts
from mlchassis.monitoring.drift.distances import (
    Floats,
    find_jensen_shannon,
    find_ks,
    find_missing,
    find_proportions,
)

SMALLEST_DISTANCE = 0.02
"""A smaller usual distance is taken for this one: less does not matter to a model."""
_USUAL = 0.99
"""Quantile of a statistic in the drawn windows that is its usual size."""

Measure = Callable[[Floats, Floats], Floats]

Test = tuple[str, str]
"""Column, and the statistic: `distribution` or `missing`."""


@dataclass(frozen=True, slots=True)
class History:
    """A column of the reference: its cells, and rows by day and cell."""

    cells: Cells
    counts: Counts


@dataclass(frozen=True, slots=True)
class Limits:
    """Limit of each test.

    Attributes:
        by_test: Largest value of the statistic without an alarm.
        blocks: Different windows of consecutive days in the reference.
    """

    by_test: Mapping[Test, float]
    blocks: int


def find_statistics(cells: Cells, windows: Floats, samples: Floats) -> dict[str, Floats]:
    """Return the statistics that are tested: of present values by the kind, and of missing ones.

    Args:
        cells: Division of the column's values.
        windows: Rows by cell of windows of the reference, shape (windows, cells).
        samples: The same of the windows to compare, shape (samples, cells).

    Returns:
        Each statistic of each sample and window, shape (samples, windows).
    """
    measure = find_ks if cells.kind == "numeric" else find_jensen_shannon
    distances = _measure_pairs(measure, find_proportions(windows), find_proportions(samples))
    # Without values in one of them there is nothing to compare.
    has_values = _has_values(samples)[:, np.newaxis] & _has_values(windows)
    missing = find_missing(samples)[:, np.newaxis] - find_missing(windows)
    return {
        "distribution": np.where(has_values, distances, 0.0),
        "missing": np.abs(missing),
    }


def _measure_pairs(measure: Measure, windows: Floats, samples: Floats) -> Floats:
    """Return the distance of each sample and window; the loop runs over the fewer of them."""
    if len(samples) < len(windows):
        return np.stack([measure(windows, sample) for sample in samples], axis=0)
    return np.stack([measure(window, samples) for window in windows], axis=1)


def _has_values(counts: Floats) -> NDArray[np.bool_]:
    present: NDArray[np.bool_] = counts[:, :-1].sum(axis=1) > 0
    return present


def find_nearest(
    history: History, days: int, samples: Floats, starts: NDArray[np.intp] | None = None
) -> dict[str, Floats]:
    """Return the statistics against the most similar window of the reference, shape (samples,).

    Args:
        history: Reference of the column.
        days: Days of a window.
        samples: Rows by cell of the windows to compare, shape (samples, cells).
        starts: First days of windows that were drawn from this reference: they are compared with
            windows that share no day with them.
    """
    count = len(history.counts)
    blocks = np.arange(0, max(1, count - days + 1), max(1, days // 2))
    windows = cut_windows(history.counts, blocks, days)
    usable = np.broadcast_to(windows.sum(axis=1) > 0, (len(samples), len(blocks)))
    if starts is not None:
        usable = usable & (np.abs(starts[:, np.newaxis] - blocks) >= days)
    # A reference that is hardly longer than a window has no other one.
    total = history.counts.sum(axis=0, keepdims=True).astype(np.float64)
    whole = find_statistics(history.cells, total, samples)
    nearest = {}
    for name, values in find_statistics(history.cells, windows, samples).items():
        smallest = np.where(usable, values, np.inf).min(axis=1)
        nearest[name] = np.where(np.isfinite(smallest), smallest, whole[name][:, 0])
    return nearest


def find_limits(
    reference: Mapping[str, History],
    days: int,
    rows: int,
    draws: int,
    false_alarms: float,
    generator: np.random.Generator,
) -> Limits:
    """Draw windows from the reference, and find the limits of all tests together.

    Args:
        reference: Columns that are tested, counted on the same days.
        days: Days of a window.
        rows: Rows of a window.
        draws: Number of windows.
        false_alarms: Probability that a window like those of the reference exceeds any limit.
        generator: Source of chance.
    """
    first = next(iter(reference.values()))
    blocks = max(1, len(first.counts) - days + 1)
    starts = draw_starts(first.counts, days, draws, generator)
    drawn: dict[Test, Floats] = {}
    for name, history in reference.items():
        sample = draw_rows(cut_windows(history.counts, starts, days), rows, generator)
        for statistic, values in find_nearest(history, days, sample, starts).items():
            drawn[name, statistic] = values
    usual = {test: _find_usual(values) for test, values in drawn.items()}
    largest = np.max([values / usual[test] for test, values in drawn.items()], axis=0)
    factor = max(1.0, float(np.quantile(largest, 1 - false_alarms, method="higher")))
    return Limits({test: factor * size for test, size in usual.items()}, blocks)


def _find_usual(values: Floats) -> float:
    return max(SMALLEST_DISTANCE, float(np.quantile(values, _USUAL, method="higher")))


def draw_starts(
    counts: Counts, days: int, draws: int, generator: np.random.Generator
) -> NDArray[np.intp]:
    """Draw the first days of windows; each possible one equally often, as far as draws suffice."""
    blocks = max(1, len(counts) - days + 1)
    if draws < blocks:
        return generator.choice(blocks, draws, replace=False)
    return generator.permutation(np.resize(np.arange(blocks), draws))


def cut_windows(counts: Counts, starts: NDArray[np.intp], days: int) -> Floats:
    """Return the rows by cell of windows, shape (windows, cells)."""
    edges = np.vstack([np.zeros(counts.shape[1], dtype=np.int64), np.cumsum(counts, axis=0)])
    ends = np.minimum(starts + days, len(counts))
    windows: Floats = (edges[ends] - edges[starts]).astype(np.float64)
    return windows


def draw_rows(counts: Floats, rows: int, generator: np.random.Generator) -> Floats:
    """Draw so many rows, with replacement, from each of the windows."""
    totals = counts.sum(axis=1, keepdims=True)
    proportions = counts / np.maximum(totals, 1)
    sample: Floats = generator.multinomial(rows, proportions).astype(np.float64)
    return sample
