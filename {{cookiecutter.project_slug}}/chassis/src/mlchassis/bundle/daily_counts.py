"""Counts of values by day: the form in which a bundle keeps its reference for monitoring.

A bundle holds, for each day, how many rows lie in each cell of a column. So windows of production
can be compared with windows of the reference, and no row can be put together again.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mlchassis.bundle.cells import Cells, Signal
from mlchassis.bundle.record import BundleRecord
from mlchassis.bundle.relations import Relations

NO_DAY = ""
"""Day of rows without an event time."""


class LossEffects(BundleRecord):
    """Estimate of a predicted number's error: the sum of an effect for each column's cell.

    Attributes:
        intercept: Mean error of the held-out rows.
        prediction: Effect of each cell of the predicted number.
        features: Effect of each cell of each feature column that is logged.
    """

    intercept: float
    prediction: tuple[float, ...]
    features: dict[str, tuple[float, ...]]

    def estimate(
        self, prediction: NDArray[np.intp], features: Mapping[str, NDArray[np.intp]]
    ) -> NDArray[np.float64]:
        """Return the estimated error of each row; no error is negative.

        Args:
            prediction: Cell of each row's predicted number.
            features: Cells of each feature column of `self.features`.
        """
        total = self.intercept + np.array(self.prediction)[prediction]
        for name, effects in self.features.items():
            total = total + np.array(effects)[features[name]]
        estimated: NDArray[np.float64] = np.maximum(total, 0.0)
        return estimated


class DailyReference(BundleRecord):
    """Reference of a model: what its rows and its answers to held-out rows were, day by day.

    Attributes:
        days: Days (UTC) of the rows of training, validation and test, in order.
        features: Values of each feature column of the contract, on these days.
        held_out_days: Days of the rows of validation and test.
        prediction: Answers to these rows: probability of the positive class, class, or number.
        loss: Loss of these answers: Brier score, or absolute error.
        estimate: Division of a row's doubt (see `measure_doubt`), or of the predicted number; the
            means are those of the loss, so they estimate the loss of a row without a label.
        effects: Estimate for predicted numbers; it knows the features too. None for classes.
        estimated_loss: Estimates for the held-out rows. None in bundles of older versions.
        relations: Relations between columns. Empty in bundles of older versions, and where no
            column is related to another.
    """

    days: tuple[str, ...]
    features: dict[str, Signal]
    held_out_days: tuple[str, ...]
    prediction: Signal
    loss: Signal
    estimate: Cells
    effects: LossEffects | None = None
    estimated_loss: Signal | None = None
    relations: Relations = Relations()

    def estimate_loss(
        self, scores: NDArray[np.float64], features: Mapping[str, NDArray[np.intp]]
    ) -> NDArray[np.float64]:
        """Return the loss to expect of rows without a label.

        Args:
            scores: Answers, shape (rows, classes or 1).
            features: Cells of each feature column of the effects.
        """
        if self.effects is None:
            means: NDArray[np.float64] = np.array(self.estimate.means)
            return means[self.estimate.assign(measure_doubt(scores))]
        return self.effects.estimate(self.prediction.cells.assign(scores[:, 0]), features)


def measure_doubt(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the Brier score to expect if these probabilities are right, or the numbers themselves.

    Args:
        scores: Shape (rows, classes or 1).
    """
    if scores.shape[1] == 1:
        return scores[:, 0]
    doubt: NDArray[np.float64] = (1 - (scores**2).sum(axis=1)) / 2
    return doubt


def measure_loss(target: NDArray[np.float64], scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the loss of each answer: the Brier score of probabilities, the error of numbers.

    Args:
        target: Positions of the classes, or numbers, shape (rows,).
        scores: Shape (rows, classes or 1).
    """
    if scores.shape[1] == 1:
        error: NDArray[np.float64] = np.abs(scores[:, 0] - target)
        return error
    missed = scores.copy()
    missed[np.arange(len(target)), target.astype(int)] -= 1
    brier: NDArray[np.float64] = (missed**2).sum(axis=1) / 2
    return brier


def number_days(names: Sequence[str]) -> tuple[tuple[str, ...], NDArray[np.intp]]:
    """Return the days that occur, in order, and the number of each row's day."""
    days, numbers = np.unique(np.array(names, dtype=str), return_inverse=True)
    return tuple(days.tolist()), numbers.astype(np.intp)
