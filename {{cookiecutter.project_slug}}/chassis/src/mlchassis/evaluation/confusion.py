"""Confusion matrix and the cost of errors at a decision threshold."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlchassis.evaluation.bootstrap import bootstrap
from mlchassis.evaluation.metrics import Floats, Groups, Statistic, share
from mlchassis.training.threshold import choose_threshold

_MOST = 10
"""Of more classes nobody reads every share of the confusion."""


@dataclass(frozen=True, slots=True)
class Costs:
    """Cost of a false positive and a false negative; only their ratio matters."""

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


def class_statistics(
    target: Floats, chosen: NDArray[np.intp], classes: Sequence[str], groups: Groups
) -> Mapping[str, Statistic]:
    """Precision and recall of each of several classes."""
    found = {}
    for position, name in enumerate(classes):
        true, called = target == position, chosen == position
        found[f"precision of {name}"] = share(true & called, called, groups)
        found[f"recall of {name}"] = share(true & called, true, groups)
    return found


def describe_confusion(
    target: Floats,
    chosen: NDArray[np.intp],
    classes: Sequence[str],
    costs: Costs,
    groups: Groups,
    **settings: Any,
) -> dict[str, Any]:
    """Rows by true and answered class, the share of the true class in each, and what follows.

    Args:
        target: The position of each row's true class.
        chosen: Index of the predicted class.
        classes: Their names.
        costs: Of the two errors of a yes or no; more classes have none.
        groups: The resampling unit of each row.
        settings: Those of `bootstrap`: resamples, confidence and seed.
    """
    measured = (
        decision_statistics(target, chosen, costs, groups)
        if len(classes) == 2
        else class_statistics(target, chosen, classes, groups)
    )
    places = range(len(classes) if len(classes) <= _MOST else 0)
    cells = {
        f"{true}/{given}": share((target == true) & (chosen == given), target == true, groups)
        for true in places
        for given in places
    }
    # A class that nobody has, or that is never answered, leaves nothing to divide by.
    ones = np.ones(int(groups.max()) + 1)
    there = {n: s for n, s in {**measured, **cells}.items() if np.isfinite(s(ones))}
    intervals = bootstrap(there, groups, **settings)
    # Costs may be above 1, everything else is a share.
    found = {
        name: interval.clip(0.0, math.inf if name == "cost" else 1.0).as_dict()
        for name, interval in intervals.items()
    }
    return {
        "classes": list(classes),
        "confusion": count_confusion(target, chosen, len(classes)),
        "shares": [[found.get(f"{true}/{given}") for given in places] for true in places],
        "measured": {name: found[name] for name in measured if name in found},
    }


def excess_cost(target: Floats, probability: Floats, threshold: float, costs: Costs) -> float:
    """Relative cost of a threshold above that of the cheapest one on these rows."""
    one = np.zeros(len(target), dtype=np.intp)

    def total(cut: float) -> float:
        chosen = (probability >= cut).astype(np.intp)
        return decision_statistics(target, chosen, costs, one)["cost"](np.ones(1))

    cheapest = total(
        choose_threshold(target, probability, costs.false_positive, costs.false_negative)
    )
    return (total(threshold) - cheapest) / cheapest if cheapest else float(total(threshold) > 0)
