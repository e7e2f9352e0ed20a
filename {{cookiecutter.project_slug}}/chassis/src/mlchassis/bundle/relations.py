"""Relations between columns: the form in which a bundle keeps which values go together.

A value may be ordinary in a column and impossible beside those of other columns: an aircraft of one
manufacturer with the model of another, or a temperature that does not fit the dew point.

- `PairRelation`: how often each combination of two columns' cells occurs, in units of what
  independent columns would have (lift), rounded to a few levels. A combination of fewer rows than
  `MIN_ROWS` counts as one that never occurred, so that no single row can be seen.
- `NumberRelation`: a prediction of a number from other columns, and its residuals.

Both need no library but NumPy where they are read.
"""

from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray

from mlchassis.bundle.cells import Cells, Counts, Signal
from mlchassis.bundle.record import BundleRecord

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

LIFTS = (1 / 16, 1 / 4, 1 / 2, 3 / 4, 4 / 3, 2, 4)
"""Upper ends of the levels; a further level lies above the last."""
_UNUSUAL_LEVELS = (0, 1)
MIN_ROWS = 5
LARGEST = 4.0
"""Standard deviations from the mean beyond which a value counts as this far."""

LEVELS = Cells(kind="numeric", edges=tuple(float(level) for level in range(len(LIFTS))))
"""Cells of the levels, for counts by day."""


class PairRelation(BundleRecord):
    """Combinations of the values of two columns.

    Attributes:
        columns: Names of the two columns.
        levels: A line for each cell of the first column, with a digit for each cell of the second:
            the level of their combination.
        signal: Rows of the reference at each level, by day. The level of a row comes from the rows
            of other days.
    """

    columns: tuple[str, str]
    levels: tuple[str, ...]
    signal: Signal

    @classmethod
    def from_table(cls, columns: tuple[str, str], table: Indices, counts: Counts) -> Self:
        """Write levels as lines.

        Args:
            columns: Names of the two columns.
            table: Level of each combination, shape (cells of the first, cells of the second).
            counts: Rows by day and level.
        """
        lines = tuple("".join(map(str, row)) for row in table.tolist())
        return cls(columns=columns, levels=lines, signal=Signal.from_counts(LEVELS, counts))

    @property
    def names(self) -> tuple[str, str]:
        """The two columns that are named in a report."""
        return self.columns

    @property
    def unusual(self) -> tuple[int, ...]:
        """Cells of the signal that hardly any row of the reference has."""
        return _UNUSUAL_LEVELS

    def assign(self, _numbers: Mapping[str, Floats], cells: Mapping[str, Indices]) -> Indices:
        """Return the level of each row's combination.

        Args:
            cells: Cells of each row by column.
        """
        table = np.array([[int(level) for level in line] for line in self.levels], dtype=np.intp)
        first, second = self.columns
        levels: Indices = table[cells[first], cells[second]]
        return levels


class Scale(BundleRecord):
    """Standardization of a number: its mean and its standard deviation."""

    center: float
    deviation: float

    def standardize(self, values: Floats) -> Floats:
        """Return values in standard deviations from the mean; missing ones stay missing."""
        scaled: Floats = np.clip((values - self.center) / self.deviation, -LARGEST, LARGEST)
        return scaled


class Prediction(BundleRecord):
    """Sum of linear and squared terms of numbers, and an effect of each category.

    Attributes:
        intercept: Prediction without any term.
        linear: Coefficient of each number.
        missing: Effect of a missing value of each number.
        products: Coefficients of the products of each two numbers: a line for each of them, from
            its own square on.
        categories: Effect of each cell of each column of strings.
    """

    intercept: float
    linear: dict[str, float]
    missing: dict[str, float]
    products: tuple[tuple[float, ...], ...]
    categories: dict[str, tuple[float, ...]]

    def predict(self, scaled: Floats, cells: Mapping[str, Indices]) -> Floats:
        """Return the prediction of each row.

        Args:
            scaled: Standardized numbers, shape (rows, numbers).
            cells: Cells of the strings.
        """
        known = np.nan_to_num(scaled)
        predicted: Floats = self.intercept + known @ _list_values(self.linear)
        predicted += np.isnan(scaled) @ _list_values(self.missing)
        square = np.zeros((len(self.products), len(self.products)))
        for place, line in enumerate(self.products):
            square[place, place:] = line
        predicted += ((known @ square) * known).sum(axis=1)
        for name, effects in self.categories.items():
            predicted += np.array(effects)[cells[name]]
        return predicted


class NumberRelation(BundleRecord):
    """Prediction of a number from other columns, and its residuals in the reference.

    Attributes:
        column: The predicted number.
        partner: The column that tells most of it.
        scales: Standardization of the number itself and of the numbers that predict it.
        prediction: In standard deviations of the number.
        signal: Rows of the reference by day and range of the residual. The prediction of a row
            comes from the rows of other days.
    """

    column: str
    partner: str
    scales: dict[str, Scale]
    prediction: Prediction
    signal: Signal

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of all columns that are read."""
        return (self.column, *self.prediction.linear, *self.prediction.categories)

    @property
    def names(self) -> tuple[str, str]:
        """The two columns that are named in a report."""
        return self.column, self.partner

    @property
    def unusual(self) -> tuple[int, ...]:
        """Cells of the signal that hardly any row of the reference has: the outer ranges."""
        return 0, self.signal.cells.size - 2

    def assign(self, numbers: Mapping[str, Floats], cells: Mapping[str, Indices]) -> Indices:
        """Return the range of each row's residual.

        Args:
            numbers: Values of the number and of those that predict it.
            cells: Cells of the predicting strings.
        """
        names = list(self.prediction.linear)
        scaled = standardize(numbers, self.scales, names, len(numbers[self.column]))
        own = self.scales[self.column].standardize(numbers[self.column])
        return self.signal.cells.assign(own - self.prediction.predict(scaled, cells))


Relation = PairRelation | NumberRelation


class Relations(BundleRecord):
    """All relations between the columns of a reference."""

    pairs: tuple[PairRelation, ...] = ()
    numbers: tuple[NumberRelation, ...] = ()

    @property
    def every(self) -> tuple[Relation, ...]:
        """Pairs and numbers together."""
        return (*self.pairs, *self.numbers)


def standardize(
    numbers: Mapping[str, Floats], scales: Mapping[str, Scale], names: Sequence[str], rows: int
) -> Floats:
    """Return some numbers in standard deviations, shape (rows, names)."""
    scaled = np.empty((rows, len(names)))
    for place, name in enumerate(names):
        scaled[:, place] = scales[name].standardize(numbers[name])
    return scaled


def find_levels(counts: Counts) -> Indices:
    """Return the level of each combination.

    Args:
        counts: Rows by cell of the first and of the second column.
    """
    total = max(1, int(counts.sum()))
    expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / total
    shown = np.where(counts >= MIN_ROWS, counts, 0)
    # One more row of both: combinations of which hardly one was to be expected are ordinary.
    return np.searchsorted(np.array(LIFTS), (shown + 1) / (expected + 1), side="left")


def _list_values(coefficients: Mapping[str, float]) -> Floats:
    return np.array(list(coefficients.values()), dtype=np.float64)
