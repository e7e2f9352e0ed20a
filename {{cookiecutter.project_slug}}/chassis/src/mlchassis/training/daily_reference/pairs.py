"""Pairs of columns whose values go together, found for the reference of a bundle."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, islice

import numpy as np
from numpy.typing import NDArray

from mlchassis.bundle.cells import Counts, count_cells
from mlchassis.bundle.relations import LEVELS, PairRelation, find_levels
from mlchassis.training.daily_reference.effects import divide_into_folds

Indices = NDArray[np.intp]

FOLDS = 6
"""Blocks of days; the level of a row comes from the other blocks."""
MAX_COMPARED = 1000
"""Pairs that are compared; the columns of a wide table have more."""
MAX_ROWS = 20_000
"""Rows by which pairs are compared."""
MAX_PAIRS = 24
MAX_LINES = 8_000
"""Days times pairs."""
PER_COLUMN = 2
"""Most related columns of each column of categories."""
MIN_INFORMATION = 0.1
"""Bits that one column must tell of the other, on days that were not counted."""


@dataclass(frozen=True, slots=True)
class CodedColumn:
    """A column of the reference.

    Attributes:
        name: Its name.
        cells: Cell of each row's value.
        size: Number of cells.
        is_categorical: True for strings.
    """

    name: str
    cells: Indices
    size: int
    is_categorical: bool


@dataclass(frozen=True, slots=True)
class _Pair:
    first: CodedColumn
    second: CodedColumn
    information: float = 0.0


def find_pairs(columns: Sequence[CodedColumn], days: Indices) -> tuple[PairRelation, ...]:
    """Find the pairs of columns that tell most of each other, and count their combinations.

    One column of a pair has categories: a number that belongs to others is found by its residual.

    Args:
        columns: Columns that the service logs.
        days: Number of each row's day.
    """
    folds = divide_into_folds(days, FOLDS)
    most = max(1, min(MAX_PAIRS, MAX_LINES // (int(days.max()) + 1)))
    return tuple(_describe(pair, days, folds) for pair in _choose(columns, folds)[:most])


def _choose(columns: Sequence[CodedColumn], folds: Indices) -> list[_Pair]:
    """Return the pairs that tell most, the most telling first."""
    rows = np.linspace(0, len(folds) - 1, min(MAX_ROWS, len(folds))).astype(np.intp)
    ranked = sorted(
        _compare(columns, rows, folds[rows]),
        key=lambda pair: (-pair.information, pair.first.name, pair.second.name),
    )
    taken: dict[str, int] = {}
    chosen = []
    for pair in ranked:
        categorical = [c.name for c in (pair.first, pair.second) if c.is_categorical]
        if any(taken.get(name, 0) < PER_COLUMN for name in categorical):
            chosen.append(pair)
            for name in categorical:
                taken[name] = taken.get(name, 0) + 1
    return chosen


def _compare(columns: Sequence[CodedColumn], rows: Indices, folds: Indices) -> Iterator[_Pair]:
    """Yield the pairs that are related, with their information."""
    pairs = (
        (first, second)
        for first, second in combinations(columns, 2)
        if first.is_categorical or second.is_categorical
    )
    for first, second in islice(pairs, MAX_COMPARED):
        information = _measure_information(first, second, rows, folds)
        if information >= MIN_INFORMATION:
            yield _Pair(first, second, information)


def _measure_information(
    first: CodedColumn, second: CodedColumn, rows: Indices, folds: Indices
) -> float:
    """Return the mean logarithm of the lift of rows, by the counts of other blocks of days."""
    flat = first.cells[rows] * second.size + second.cells[rows]
    size = first.size * second.size
    by_fold = count_cells(flat, folds, int(folds.max()) + 1, size)
    total = 0.0
    for counts in by_fold:
        others = (by_fold.sum(axis=0) - counts).reshape(first.size, second.size)
        expected = np.outer(others.sum(axis=1), others.sum(axis=0)) / max(1, int(others.sum()))
        lifts = np.log2((others + 1) / (expected + 1))
        total += float(counts @ lifts.ravel())
    return total / len(rows)


def _describe(pair: _Pair, days: Indices, folds: Indices) -> PairRelation:
    """Count the combinations of a pair, and the level of each row by those of other days."""
    shape = pair.first.size, pair.second.size
    flat = pair.first.cells * pair.second.size + pair.second.cells
    by_fold = count_cells(flat, folds, int(folds.max()) + 1, shape[0] * shape[1])
    whole: Counts = by_fold.sum(axis=0)
    levels = np.stack([find_levels((whole - counts).reshape(shape)).ravel() for counts in by_fold])
    counted = count_cells(levels[folds, flat], days, int(days.max()) + 1, LEVELS.size)
    names = pair.first.name, pair.second.name
    return PairRelation.from_table(names, find_levels(whole.reshape(shape)), counted)
