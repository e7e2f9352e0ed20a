"""Confusion matrix and the cost of errors at a decision threshold."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Unpack

import numpy as np
from numpy.typing import NDArray

from mlchassis.config.params import Resampling
from mlchassis.evaluation.bootstrap import bootstrap, widen_at_ends
from mlchassis.evaluation.metrics import Floats, Groups, Statistic, proportion
from mlchassis.evaluation.results import Decision, MeasuredInterval
from mlchassis.training.threshold import choose_threshold

_MAX_CLASSES = 10
"""The confusion matrix of more classes has no proportions: it would be too large to read."""


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
    positive = target == 1
    predicted = chosen == 1
    false_positive = costs.false_positive * (predicted & ~positive)
    false_negative = costs.false_negative * (positive & ~predicted)
    cost = false_positive + false_negative
    return {
        "precision": proportion(positive & predicted, predicted, groups),
        "recall": proportion(positive & predicted, positive, groups),
        "cost": proportion(cost, np.ones(len(target)), groups),
    }


def class_statistics(
    target: Floats, chosen: NDArray[np.intp], classes: Sequence[str], groups: Groups
) -> Mapping[str, Statistic]:
    """Precision and recall of each of several classes."""
    statistics = {}
    for position, name in enumerate(classes):
        true = target == position
        predicted = chosen == position
        statistics[f"precision of {name}"] = proportion(true & predicted, predicted, groups)
        statistics[f"recall of {name}"] = proportion(true & predicted, true, groups)
    return statistics


def describe_confusion(
    target: Floats,
    chosen: NDArray[np.intp],
    classes: Sequence[str],
    costs: Costs,
    groups: Groups,
    excess: float | None = None,
    **settings: Unpack[Resampling],
) -> Decision:
    """Describe rows by true and predicted class, their proportions, and precision, recall and cost.

    Args:
        target: The position of each row's true class.
        chosen: Index of the predicted class.
        classes: Their names.
        costs: Of the two errors of a yes or no; more classes have none.
        groups: The resampling unit of each row.
        excess: Relative cost above that of the cheapest threshold.
        settings: Those of `bootstrap`: resamples, confidence and seed.
    """
    measures = (
        decision_statistics(target, chosen, costs, groups)
        if len(classes) == 2
        else class_statistics(target, chosen, classes, groups)
    )
    shown = range(len(classes) if len(classes) <= _MAX_CLASSES else 0)
    cells = _cell_statistics(target, chosen, shown, groups)
    rows = _count_rows(target, chosen, classes)
    intervals = _measure_existing({**measures, **cells}, groups, rows, **settings)
    return Decision(
        classes=list(classes),
        confusion=count_confusion(target, chosen, len(classes)),
        proportions=[[intervals.get(f"{row}/{column}") for column in shown] for row in shown],
        measured={name: intervals[name] for name in measures if name in intervals},
        excess_cost=excess,
    )


def _cell_statistics(
    target: Floats, chosen: NDArray[np.intp], shown: Sequence[int], groups: Groups
) -> Mapping[str, Statistic]:
    """Proportion of each true class that gets each answer, by their positions: "0/1"."""
    return {
        f"{true}/{predicted}": proportion(
            (target == true) & (chosen == predicted), target == true, groups
        )
        for true in shown
        for predicted in shown
    }


def _count_rows(target: Floats, chosen: NDArray[np.intp], classes: Sequence[str]) -> dict[str, int]:
    """Count the rows that each proportion is a part of, by its name."""
    rows = {"recall": int((target == 1).sum()), "precision": int((chosen == 1).sum())}
    for position, name in enumerate(classes):
        true = int((target == position).sum())
        rows |= {f"recall of {name}": true}
        rows |= {f"precision of {name}": int((chosen == position).sum())}
        rows |= {f"{position}/{predicted}": true for predicted in range(len(classes))}
    return rows


def _measure_existing(
    statistics: Mapping[str, Statistic],
    groups: Groups,
    rows: Mapping[str, int],
    **settings: Unpack[Resampling],
) -> dict[str, MeasuredInterval]:
    """Return intervals of the statistics that exist.

    A class that no row has, or that is never predicted, leaves a division by zero.

    Args:
        statistics: Proportions and the cost of a row, by name.
        groups: The resampling unit of each row.
        rows: Number of rows that each proportion is a part of.
        settings: Those of `bootstrap`: resamples, confidence and seed.
    """
    ones = np.ones(int(groups.max()) + 1)
    existing = {name: each for name, each in statistics.items() if np.isfinite(each(ones))}
    intervals = bootstrap(existing, groups, **settings)
    # Costs may be above 1; everything else is a proportion.
    return {
        name: MeasuredInterval.of(
            widen_at_ends(interval, rows[name], settings["confidence"]).clip(0.0, 1.0)
            if name in rows
            else interval.clip(0.0, math.inf)
        )
        for name, interval in intervals.items()
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
