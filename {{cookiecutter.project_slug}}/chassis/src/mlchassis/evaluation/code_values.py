"""Whole numbers that are codes: each has outcomes of its own, unlike those of its neighbors."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlchassis.evaluation.metrics import Floats

_LEAST_CODES = 10
"""Fewer different numbers show no difference between a code and a magnitude."""
_LEAST_ROWS = 3
"""Rows of a number, in each half of the table, from which on its mean outcome counts."""
_ERRORS = 5.0
"""Standard errors by which equal numbers in both halves agree."""
_NEIGHBORS = 0.25
"""Part of that agreement that neighboring numbers of a code have at most."""


def are_codes(numbers: "pd.Series[Any]", target: Floats) -> bool:
    """Return True if equal numbers have like outcomes and neighboring numbers do not.

    The mean outcome of each number in one half of the rows is compared, by its rank, with that of
    the same number in the other half, and with that of the next number there. Of a magnitude, the
    next number has nearly the same mean.

    Args:
        numbers: Whole numbers, with gaps.
        target: The outcome of each row: numbers, or 0 and 1; NaN where it is not known.
    """
    there = numbers.notna().to_numpy() & np.isfinite(target)
    values, codes = np.unique(numbers[there].to_numpy(dtype=np.float64), return_inverse=True)
    if len(values) < _LEAST_CODES:
        return False
    outcome = np.asarray(pd.Series(target[there]).rank(), dtype=np.float64)
    first = np.random.default_rng(0).random(len(codes)) < 1 / 2
    one = _average(codes[first], outcome[first], len(values))
    other = _average(codes[~first], outcome[~first], len(values))
    counted = np.isfinite(one) & np.isfinite(other)
    one = one[counted]
    other = other[counted]
    if len(one) < _LEAST_CODES:
        return False
    equal = _correlate(one, other)
    next_to = (_correlate(one[:-1], other[1:]) + _correlate(other[:-1], one[1:])) / 2
    errors = np.arctanh(min(equal, 1 - 1e-9)) * np.sqrt(len(one) - 3)
    return bool(errors >= _ERRORS and next_to <= _NEIGHBORS * equal)


def _average(codes: NDArray[Any], outcome: Floats, size: int) -> Floats:
    """Mean outcome of each code; NaN where too few rows have it."""
    rows = np.bincount(codes, minlength=size)
    sums = np.bincount(codes, outcome, minlength=size)
    return np.where(rows >= _LEAST_ROWS, sums / np.maximum(rows, 1), np.nan)


def _correlate(one: Floats, other: Floats) -> float:
    """Rank correlation; 0 where one side is constant."""
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return 0.0
    return float(pd.Series(one).rank().corr(pd.Series(other).rank()))
