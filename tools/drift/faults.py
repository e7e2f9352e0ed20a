"""Faults of production that a drift test should see, each in one column of a window."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

CONVERSIONS = (0.3048, 0.4536, 1.609, 2.54)
"""Feet to meters, pounds to kilograms, miles to kilometers, inches to centimeters."""
MIN_VALUES = 10
"""Different values of a number that has a unit."""
MAX_COMMON = 0.5
"""Proportion of a column that may be one value or missing."""
MIN_SWAP = 0.05
"""Difference of the proportions of two categories that are swapped."""


@dataclass(frozen=True)
class Columns:
    """Columns in which a fault is possible, from the reference.

    Attributes:
        deviations: Numbers with a unit, with their standard deviations.
        swaps: Two categories of each column of strings, to be swapped.
        names: All columns.
    """

    names: Sequence[str]
    deviations: Mapping[str, float] = field(default_factory=dict)
    swaps: Mapping[str, tuple[str, str]] = field(default_factory=dict)


Fault = Callable[[pd.DataFrame, Columns, np.random.Generator], tuple[pd.DataFrame, str]]
"""Break a window; return it and the column."""


def find_columns(rows: pd.DataFrame, numeric: Sequence[str], strings: Sequence[str]) -> Columns:
    """Return the columns of a reference in which each fault is possible."""
    deviations = {
        name: float(rows[name].std()) for name in numeric if _is_measured(rows[name].astype(float))
    }
    pairs = {name: _find_swap(rows[name]) for name in strings}
    swaps = {name: pair for name, pair in pairs.items() if pair is not None}
    return Columns([*numeric, *strings], deviations, swaps)


def _is_measured(values: "pd.Series[float]") -> bool:
    counts = values.value_counts(dropna=False, normalize=True)
    return len(counts) > MIN_VALUES and float(counts.iloc[0]) <= MAX_COMMON


def _find_swap(values: "pd.Series[str]") -> tuple[str, str] | None:
    """Return the most common category, and the most common of the clearly rarer ones."""
    counts = values.value_counts(normalize=True)
    if counts.empty:
        return None
    rarer = counts[counts <= counts.iloc[0] - MIN_SWAP]
    return None if rarer.empty else (str(counts.index[0]), str(rarer.index[0]))


def shift(
    rows: pd.DataFrame, columns: Columns, draw: np.random.Generator
) -> tuple[pd.DataFrame, str]:
    """Add half a standard deviation of the reference to a number."""
    name = str(draw.choice(list(columns.deviations)))
    return rows.assign(**{name: rows[name] + 0.5 * columns.deviations[name]}), name


def swap(
    rows: pd.DataFrame, columns: Columns, draw: np.random.Generator
) -> tuple[pd.DataFrame, str]:
    """Swap two categories."""
    name = str(draw.choice(list(columns.swaps)))
    one, other = columns.swaps[name]
    return rows.assign(**{name: rows[name].replace({one: other, other: one})}), name


def remove(
    rows: pd.DataFrame, columns: Columns, draw: np.random.Generator
) -> tuple[pd.DataFrame, str]:
    """Remove a fifth of the values."""
    name = str(draw.choice(list(columns.names)))
    return rows.assign(**{name: rows[name].mask(draw.random(len(rows)) < 0.2)}), name


def convert(
    rows: pd.DataFrame, columns: Columns, draw: np.random.Generator
) -> tuple[pd.DataFrame, str]:
    """Convert a number into another unit."""
    name = str(draw.choice(list(columns.deviations)))
    return rows.assign(**{name: rows[name] * float(draw.choice(CONVERSIONS))}), name


FAULTS: dict[str, Fault] = {
    "0.5 SD shift": shift,
    "category swap": swap,
    "20 % nulls": remove,
    "unit change": convert,
}
