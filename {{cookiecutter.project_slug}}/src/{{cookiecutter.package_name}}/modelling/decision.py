"""What a model decides, and what its errors cost: the confusion behind the probabilities."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .metrics import Floats, Groups, Statistic, share
from .threshold import choose_threshold


@dataclass(frozen=True, slots=True)
class Costs:
    """What one error of each kind costs; only their ratio matters."""

    false_positive: float
    false_negative: float


def decide(scores: Floats, threshold: float | None) -> NDArray[np.intp]:
    """The position of the class that is answered, for scores of shape (rows, classes)."""
    if threshold is None:
        return np.asarray(scores.argmax(axis=1), dtype=np.intp)
    return np.asarray(scores[:, 1] >= threshold, dtype=np.intp)


def count_confusion(target: Floats, chosen: NDArray[np.intp], classes: int) -> list[list[int]]:
    """Rows by true class (outer) and answered class (inner)."""
    pairs = target.astype(np.intp) * classes + chosen
    counts: list[list[int]] = (
        np.bincount(pairs, minlength=classes**2).reshape(classes, classes).tolist()
    )
    return counts


def decision_statistics(
    target: Floats, chosen: NDArray[np.intp], costs: Costs, groups: Groups
) -> Mapping[str, Statistic]:
    """Precision, recall and the cost of a row, of a yes or no."""
    positive, called = target == 1, chosen == 1
    cost = costs.false_positive * (called & ~positive) + costs.false_negative * (positive & ~called)
    return {
        "precision": share(positive & called, called, groups),
        "recall": share(positive & called, positive, groups),
        "cost": share(cost, np.ones(len(target)), groups),
    }


def excess_cost(target: Floats, probability: Floats, threshold: float, costs: Costs) -> float:
    """By which share the errors at a threshold cost more than at the cheapest one on these rows."""
    one = np.zeros(len(target), dtype=np.intp)

    def total(cut: float) -> float:
        chosen = (probability >= cut).astype(np.intp)
        return decision_statistics(target, chosen, costs, one)["cost"](np.ones(1))

    cheapest = total(
        choose_threshold(target, probability, costs.false_positive, costs.false_negative)
    )
    return (total(threshold) - cheapest) / cheapest if cheapest else float(total(threshold) > 0)
