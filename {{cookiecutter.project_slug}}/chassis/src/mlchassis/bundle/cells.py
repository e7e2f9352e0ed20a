"""Cells of a column's values, and counts by day and cell.

The values of a column are divided into cells: ranges between quantiles, or the most common
categories, and one cell for a missing value.
"""

from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from mlchassis.bundle.record import BundleRecord
from mlchassis.features.encoding import MISSING

Counts = NDArray[np.int64]
"""Rows by day and cell, shape (days, cells)."""


class Cells(BundleRecord):
    """Division of the values of one column; the last cell is that of missing values.

    Attributes:
        kind: Numbers have ranges; strings have categories and a cell for all others.
        edges: Upper ends of the ranges, which belong to them; a further range lies above the last.
        means: Mean of the reference's values in each range, in the unit of the column.
        categories: Most common categories of the reference.
    """

    kind: Literal["numeric", "categorical"]
    edges: tuple[float, ...] = ()
    means: tuple[float, ...] = ()
    categories: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Number of cells, with that of missing values."""
        return len(self.edges) + len(self.categories) + 2

    def assign(self, values: NDArray[Any]) -> NDArray[np.intp]:
        """Return the cell of each value, shape (rows,)."""
        if self.kind == "numeric":
            cells = np.searchsorted(np.array(self.edges), values, side="left")
            return np.where(np.isnan(values), self.size - 1, cells)
        places = {category: place for place, category in enumerate(self.categories)}
        places[MISSING] = self.size - 1
        others = self.size - 2
        return np.fromiter((places.get(value, others) for value in values), np.intp, len(values))


class Signal(BundleRecord):
    """Reference of one column.

    Attributes:
        cells: Division of its values.
        daily: Rows in each cell, a line of numbers for each day.
    """

    cells: Cells
    daily: tuple[str, ...]

    @classmethod
    def from_counts(cls, cells: Cells, counts: Counts) -> Self:
        """Write counts as lines."""
        return cls(cells=cells, daily=tuple(" ".join(map(str, day)) for day in counts.tolist()))

    @property
    def counts(self) -> Counts:
        """Rows by day and cell."""
        rows = [np.array(day.split(), dtype=np.int64) for day in self.daily]
        return np.array(rows).reshape(len(rows), self.cells.size)


def count_cells(
    cells: NDArray[np.intp], days: NDArray[np.intp], day_count: int, size: int
) -> Counts:
    """Count rows by day and cell.

    Args:
        cells: Cell of each row.
        days: Number of each row's day.
        day_count: Number of days.
        size: Number of cells.
    """
    flat = np.bincount(days * size + cells, minlength=day_count * size)
    return flat.reshape(day_count, size).astype(np.int64)
