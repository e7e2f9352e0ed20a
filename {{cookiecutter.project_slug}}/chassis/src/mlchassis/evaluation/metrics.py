"""Metrics as functions of group weights, so that one preparation serves every bootstrap resample.

scikit-learn's metrics sort the rows at each call; here the sorting is done once, and a resample is
only a change of weights. Rows of one group always weigh the same, so that what is a sum over rows
becomes a sum over groups. Tests hold every metric equal to scikit-learn's.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlchassis.contract.model import ClassLabel, Task
from mlchassis.extensions.metrics import CustomMetric

Floats = NDArray[np.float64]
Groups = NDArray[np.intp]
"""The group of each row, numbered from 0, shape (rows,)."""

Statistic = Callable[[Floats], float]
"""Function from weights of the groups, shape (groups,), to a value."""

_SMALLEST = float(np.finfo(np.float64).eps)
"""Probabilities are kept this far from 0 and 1, as scikit-learn's log loss does."""

_MAX_TABLE_GROUPS = 400
"""Up to so many groups an area under the ROC curve is a table of groups by groups."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric, and which way is better.

    Attributes:
        by_groups: Target, scores and groups to a statistic; see `prepare`.
    """

    by_groups: Callable[[Floats, Floats, Groups], Statistic]
    higher_is_better: bool

    def prepare(self, target: Floats, scores: Floats, groups: Groups | None = None) -> Statistic:
        """The metric of these rows as a function of weights.

        Args:
            target: Shape (rows,): classes by their position, regression targets as numbers.
            scores: Shape (rows, classes or 1).
            groups: Of the rows that are weighted together; without, each row has its own weight.
        """
        return self.by_groups(target, scores, np.arange(len(target)) if groups is None else groups)


BOUNDS: Mapping[str, tuple[float, float]] = {
    **dict.fromkeys(("roc_auc", "pr_auc", "accuracy", "brier", "ece"), (0.0, 1.0)),
    **dict.fromkeys(("log_loss", "rmse", "mae"), (0.0, math.inf)),
    "r2": (-math.inf, 1.0),
}
"""The least and the largest value that each metric can have."""

UNBOUNDED = (-math.inf, math.inf)
"""The same for a metric of a project's own."""


def metrics_for(
    task: Task, bins: int = 10, custom: Sequence[CustomMetric] = ()
) -> Mapping[str, Metric]:
    """Return the metrics of a kind of problem, those of the project last.

    Args:
        task: The kind of problem.
        bins: Of the calibration error.
        custom: The project's own metrics; those for other tasks are left out.
    """
    own = {
        metric.name: Metric(metric.by_groups, metric.higher_is_better)
        for metric in custom
        if task in metric.tasks
    }
    return {**_built_in_metrics(task, bins), **own}


def _built_in_metrics(task: Task, bins: int) -> Mapping[str, Metric]:
    if task == "regression":
        return {
            "rmse": Metric(_rmse, higher_is_better=False),
            "mae": Metric(_mae, higher_is_better=False),
            "r2": Metric(_r2, higher_is_better=True),
        }
    shared = {
        "log_loss": Metric(_log_loss, higher_is_better=False),
        "brier": Metric(_brier, higher_is_better=False),
        "ece": Metric(partial(_calibration_error, bins=bins), higher_is_better=False),
    }
    if task == "binary":
        return {
            "roc_auc": Metric(lambda y, p, g: _roc_auc(y, p[:, 1], g), higher_is_better=True),
            "pr_auc": Metric(lambda y, p, g: _precision(y, p[:, 1], g), higher_is_better=True),
            **shared,
        }
    return {
        "roc_auc": Metric(_macro_roc_auc, higher_is_better=True),
        "accuracy": Metric(_accuracy, higher_is_better=True),
        **shared,
    }


def encode_target(values: NDArray[Any], classes: tuple[ClassLabel, ...]) -> Floats:
    """Replace labels by their positions among the classes; numbers stay as they are."""
    if not classes:
        return values.astype(np.float64)
    positions = {label: position for position, label in enumerate(classes)}
    return np.array([positions[label] for label in values], dtype=np.float64)


def _roc_auc(target: Floats, score: Floats, groups: Groups) -> Statistic:
    _, rank = np.unique(score, return_inverse=True)
    positive = total(target, groups)
    negative = total(1 - target, groups)
    won = _won_by_groups if groups.max(initial=0) < _MAX_TABLE_GROUPS else _won_by_rows
    pairs = won(target == 1, rank, groups)
    return lambda weights: divide(pairs(weights), positive(weights) * negative(weights))


def _won_by_groups(positive: NDArray[np.bool_], rank: Groups, groups: Groups) -> Statistic:
    """Pairs in which the positive row has the higher score, a tie being a half.

    Each pair weighs as its two groups do, so the sum is wᵀUw with the pairs won between groups.
    """
    count = int(groups.max(initial=0)) + 1
    positive_ranks = rank[positive]
    positive_groups = groups[positive]
    table = np.empty((count, count))
    for other in range(count):
        there = np.bincount(rank[~positive & (groups == other)], minlength=int(rank.max()) + 1)
        table[:, other] = np.bincount(
            positive_groups, (np.cumsum(there) - there / 2)[positive_ranks], count
        )
    return lambda weights: float(weights[:count] @ table @ weights[:count])


def _won_by_rows(positive: NDArray[np.bool_], rank: Groups, groups: Groups) -> Statistic:
    """The same where groups are many."""

    def statistic(weights: Floats) -> float:
        row = weights[groups]
        for_it, against = (np.bincount(rank, row * chosen) for chosen in (positive, ~positive))
        return float((for_it * (np.cumsum(against) - against / 2)).sum())

    return statistic


def _precision(target: Floats, score: Floats, groups: Groups) -> Statistic:
    """Average precision: the precision at the score of each positive row."""
    order = np.argsort(-score, kind="stable")
    score = -score[order]
    groups = groups[order]
    positives = np.flatnonzero(target[order])
    # Rows of one score come together: what counts is the last of them.
    last = np.searchsorted(score, score[positives], side="right") - 1
    last_positive = np.searchsorted(score[positives], score[positives], side="right") - 1
    positive_groups = groups[positives]

    def statistic(weights: Floats) -> float:
        own = weights[positive_groups]
        # A resample may leave the highest scores without any row.
        everything = np.maximum(np.cumsum(weights[groups])[last], _SMALLEST)
        precision = np.cumsum(own)[last_positive] / everything
        return divide(float((own * precision).sum()), float(own.sum()))

    return statistic


def _macro_roc_auc(target: Floats, scores: Floats, groups: Groups) -> Statistic:
    parts = [
        _roc_auc((target == position).astype(float), scores[:, position], groups)
        for position in range(scores.shape[1])
    ]
    return lambda weights: float(np.mean([part(weights) for part in parts]))


def _log_loss(target: Floats, scores: Floats, groups: Groups) -> Statistic:
    chosen = scores[np.arange(len(target)), target.astype(int)]
    return proportion(-np.log(np.clip(chosen, _SMALLEST, 1)), np.ones(len(target)), groups)


def _brier(target: Floats, scores: Floats, groups: Groups) -> Statistic:
    # For two classes this is the usual (p - y)², for more the sum over the classes, halved.
    error = ((scores - _one_hot(target, scores)) ** 2).sum(axis=1) / 2
    return proportion(error, np.ones(len(target)), groups)


def _accuracy(target: Floats, scores: Floats, groups: Groups) -> Statistic:
    return proportion(scores.argmax(axis=1) == target, np.ones(len(target)), groups)


def _calibration_error(target: Floats, scores: Floats, groups: Groups, bins: int) -> Statistic:
    """Expected calibration error over equally filled bins (Naeini et al. 2015)."""
    if scores.shape[1] == 2:
        score = scores[:, 1]
        outcome = target
    else:
        score = scores.max(axis=1)
        outcome = (scores.argmax(axis=1) == target).astype(float)
    label = calibration_bins(score, bins)
    gaps = [total((outcome - score) * (label == part), groups) for part in np.unique(label)]
    rows = total(np.ones(len(target)), groups)
    return lambda weights: divide(sum(abs(gap(weights)) for gap in gaps), rows(weights))


def calibration_bins(score: Floats, bins: int) -> NDArray[np.intp]:
    """The equally filled bin of each score; equal scores share a bin."""
    edges = np.unique(np.quantile(score, np.linspace(0, 1, bins + 1)[1:-1]))
    return np.searchsorted(edges, score, side="right")


def _rmse(target: Floats, scores: Floats, groups: Groups) -> Statistic:
    mean = proportion((scores[:, 0] - target) ** 2, np.ones(len(target)), groups)
    return lambda weights: math.sqrt(mean(weights))


def _mae(target: Floats, scores: Floats, groups: Groups) -> Statistic:
    return proportion(np.abs(scores[:, 0] - target), np.ones(len(target)), groups)


def _r2(target: Floats, scores: Floats, groups: Groups) -> Statistic:
    # Numbers far from 0 would lose their spread in the sum of their squares.
    near = target - target.mean()
    error, first, second, rows = (
        total(values, groups)
        for values in ((scores[:, 0] - target) ** 2, near, near**2, np.ones(len(target)))
    )

    def statistic(weights: Floats) -> float:
        spread = second(weights) - divide(first(weights) ** 2, rows(weights))
        return 1 - divide(error(weights), spread if spread > 1e-12 * second(weights) else 0.0)

    return statistic


def total(values: NDArray[Any], groups: Groups) -> Statistic:
    """A weighted sum over rows."""
    sums = np.bincount(groups, values)
    # Not a product of vectors: its last bit depends on the number of threads of the BLAS.
    return lambda weights: float((weights[: len(sums)] * sums).sum())


def proportion(part: NDArray[Any], whole: NDArray[Any], groups: Groups) -> Statistic:
    """A weighted proportion, or NaN where a resample leaves nothing to divide by."""
    numerator = total(part, groups)
    denominator = total(whole, groups)
    return lambda weights: divide(numerator(weights), denominator(weights))


def divide(part: float, whole: float) -> float:
    """A quotient, or NaN where a resample leaves nothing to divide by."""
    return part / whole if whole else math.nan


def _one_hot(target: Floats, scores: Floats) -> Floats:
    hot = np.zeros_like(scores)
    hot[np.arange(len(target)), target.astype(int)] = 1
    return hot
