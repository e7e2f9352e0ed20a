"""A regression on the logarithm of a skewed target, which answers in the target's own unit."""

from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin

from mlchassis.evaluation.metrics import Floats


class LogTargetRegressor(RegressorMixin, BaseEstimator):  # type: ignore[misc]  # untyped base
    """Wraps a fitted regressor of `log(target + offset)`, shifted or not.

    Answers are `exp(score) * factor - offset`, never below zero. The factor makes their mean the
    target's mean: the exponential of a mean of logarithms lies below it (Duan, Smearing estimate,
    1983).

    Args:
        model: The fitted regressor of the logarithm.
        offset: In the target's unit; above zero where the target may be zero.
        factor: Without unit.
    """

    def __init__(self, model: Any, offset: float, factor: float = 1.0) -> None:
        self.model = model
        self.offset = offset
        self.factor = factor

    def __sklearn_is_fitted__(self) -> bool:
        """Return True: the regressor inside is fitted."""
        return True

    def smear(self, features: Any, target: Floats) -> Self:
        """Set the factor by which the answers to these rows have the mean of their target."""
        answers = np.exp(np.asarray(self.model.predict(features), dtype=np.float64))
        self.factor = float((target + self.offset).mean() / answers.mean())
        return self

    def predict(self, features: Any) -> Floats:
        """Return numbers in the target's unit, shape (rows,)."""
        scores = np.asarray(self.model.predict(features), dtype=np.float64)
        return np.maximum(np.exp(scores) * self.factor - self.offset, 0.0)


def choose_offset(target: Floats) -> float:
    """Return what is added before the logarithm is taken: 0 where every target is positive.

    Else a small positive value of the target itself, so that the scale does not depend on its unit.

    Raises:
        ValueError: A target is negative, or none is positive.
    """
    if target.min() < 0 or not (target > 0).any():
        raise ValueError("only targets of zero and more have a logarithmic scale")
    return 0.0 if target.min() > 0 else float(np.quantile(target[target > 0], 0.05))
