"""Effects of predictions and features on the error of a predicted number.

The model is additive: each cell of each column adds its effect to the mean error. The effects are
fitted by backfitting with a penalty that shrinks cells of few rows to zero; cross-validation by
blocks of days chooses the penalty. A table of effects needs no library where it is read, and holds
no value of a row.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

PENALTIES = (1_000_000.0, 30_000.0, 3_000.0, 300.0, 30.0)
"""Rows that each cell is given without an effect. The first one leaves hardly any effect, and is
taken unless another one is better."""
SWEEPS = 10
FOLDS = 3
MAX_ROWS = 20_000


@dataclass(frozen=True, slots=True)
class CellColumn:
    """Cells of a column's values.

    Attributes:
        assigned: Cell of each row.
        size: Number of cells.
    """

    assigned: Indices
    size: int


@dataclass(frozen=True, slots=True)
class Effects:
    """A fitted table.

    Attributes:
        intercept: Mean error.
        by_column: Effect of each cell, in the order of the columns.
    """

    intercept: float
    by_column: list[Floats]


def fit_effects(columns: Sequence[CellColumn], loss: Floats, days: Indices) -> Effects:
    """Fit the effects with the penalty that cross-validation chooses.

    Args:
        columns: Cells of the predictions and of the features.
        loss: Error of each row.
        days: Number of each row's day.
    """
    chosen = np.unique(np.linspace(0, len(loss) - 1, min(MAX_ROWS, len(loss))).astype(np.intp))
    columns = _select(columns, chosen)
    loss = loss[chosen]
    folds = divide_into_folds(days[chosen], FOLDS)
    errors = [_cross_validate(columns, loss, folds, penalty) for penalty in PENALTIES]
    return _fit(columns, loss, PENALTIES[int(np.argmin(errors))])


def add_effects(effects: Effects, columns: Sequence[CellColumn]) -> Floats:
    """Return the estimated error of each row; no error is negative."""
    estimated = np.full(len(columns[0].assigned), effects.intercept)
    for column, effect in zip(columns, effects.by_column, strict=True):
        estimated += effect[column.assigned]
    nonnegative: Floats = np.maximum(estimated, 0.0)
    return nonnegative


def _fit(columns: Sequence[CellColumn], loss: Floats, penalty: float) -> Effects:
    """Fit one column after the other to what the others leave, and repeat."""
    intercept = float(loss.mean())
    effects = [np.zeros(column.size) for column in columns]
    weights = [np.bincount(column.assigned, minlength=column.size) + penalty for column in columns]
    rest = loss - intercept
    for _ in range(SWEEPS):
        for place, column in enumerate(columns):
            rest += effects[place][column.assigned]
            sums = np.bincount(column.assigned, rest, minlength=column.size)
            effects[place] = sums / weights[place]
            rest -= effects[place][column.assigned]
    return Effects(intercept, effects)


def _cross_validate(
    columns: Sequence[CellColumn], loss: Floats, folds: Indices, penalty: float
) -> float:
    """Return the mean squared error on days that the fit has not seen."""
    total = 0.0
    for fold in range(FOLDS):
        train = np.flatnonzero(folds != fold)
        test = np.flatnonzero(folds == fold)
        if not len(train) or not len(test):
            continue
        effects = _fit(_select(columns, train), loss[train], penalty)
        estimated = add_effects(effects, _select(columns, test))
        total += float(((loss[test] - estimated) ** 2).sum())
    return total / len(loss)


def _select(columns: Sequence[CellColumn], rows: Indices) -> list[CellColumn]:
    return [CellColumn(column.assigned[rows], column.size) for column in columns]


def divide_into_folds(days: Indices, folds: int) -> Indices:
    """Return the fold of each row: blocks of consecutive days, or of rows if the days are few."""
    _, numbers = np.unique(days, return_inverse=True)
    count = int(numbers.max()) + 1
    if count < folds:
        return np.arange(len(days)) % folds
    return numbers * folds // count
