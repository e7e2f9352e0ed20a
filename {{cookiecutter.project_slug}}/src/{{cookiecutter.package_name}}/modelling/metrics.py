"""Metrics as functions of row weights, so that one preparation serves every bootstrap resample.

scikit-learn's metrics sort the rows at each call; here the sorting is done once, and a resample is
only a change of weights. Tests hold every metric equal to scikit-learn's.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..contract import ClassLabel, Task

Floats = NDArray[np.float64]
Statistic = Callable[[Floats], float]
"""Row weights, shape (rows,), to a value."""

_SMALLEST = float(np.finfo(np.float64).eps)
"""Probabilities are kept this far from 0 and 1, as scikit-learn's log loss does."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric, and which way is better.

    Attributes:
        prepare: Target, shape (rows,), and scores, shape (rows, classes or 1), to a statistic.
            Classes are given by their position, regression targets as numbers.
    """

    prepare: Callable[[Floats, Floats], Statistic]
    higher_is_better: bool


def metrics_for(task: Task, bins: int = 10) -> Mapping[str, Metric]:
    """The metrics of a kind of problem; `bins` is for the calibration error."""
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
            "roc_auc": Metric(lambda y, p: _roc_auc(y, p[:, 1]), higher_is_better=True),
            "pr_auc": Metric(lambda y, p: _average_precision(y, p[:, 1]), higher_is_better=True),
            **shared,
        }
    return {
        "roc_auc": Metric(_macro_roc_auc, higher_is_better=True),
        "accuracy": Metric(_accuracy, higher_is_better=True),
        **shared,
    }


def encode_target(values: NDArray[Any], classes: tuple[ClassLabel, ...]) -> Floats:
    """Labels to their positions among the classes; numbers stay as they are."""
    if not classes:
        return values.astype(np.float64)
    positions = {label: position for position, label in enumerate(classes)}
    return np.array([positions[label] for label in values], dtype=np.float64)


def _roc_auc(target: Floats, score: Floats) -> Statistic:
    _, rank = np.unique(score, return_inverse=True)

    def statistic(weights: Floats) -> float:
        positive = np.bincount(rank, weights * target)
        negative = np.bincount(rank, weights * (1 - target))
        below = np.cumsum(negative) - negative / 2
        return _divide((positive * below).sum(), positive.sum() * negative.sum())

    return statistic


def _average_precision(target: Floats, score: Floats) -> Statistic:
    _, rank = np.unique(-score, return_inverse=True)

    def statistic(weights: Floats) -> float:
        positive = np.bincount(rank, weights * target)
        everything = np.cumsum(np.bincount(rank, weights))
        # A resample may leave the highest scores without any row.
        precision = np.cumsum(positive) / np.maximum(everything, _SMALLEST)
        return _divide((positive * precision).sum(), positive.sum())

    return statistic


def _macro_roc_auc(target: Floats, scores: Floats) -> Statistic:
    parts = [_roc_auc((target == k).astype(float), scores[:, k]) for k in range(scores.shape[1])]
    return lambda weights: float(np.mean([part(weights) for part in parts]))


def _log_loss(target: Floats, scores: Floats) -> Statistic:
    chosen = scores[np.arange(len(target)), target.astype(int)]
    return _mean(-np.log(np.clip(chosen, _SMALLEST, 1)))


def _brier(target: Floats, scores: Floats) -> Statistic:
    # For two classes this is the usual (p - y)², for more the sum over the classes, halved.
    return _mean(((scores - _one_hot(target, scores)) ** 2).sum(axis=1) / 2)


def _accuracy(target: Floats, scores: Floats) -> Statistic:
    return _mean((scores.argmax(axis=1) == target).astype(float))


def _calibration_error(target: Floats, scores: Floats, bins: int) -> Statistic:
    """Expected calibration error over equally filled bins (Naeini et al. 2015)."""
    if scores.shape[1] == 2:
        score, hit = scores[:, 1], target
    else:
        score, hit = scores.max(axis=1), (scores.argmax(axis=1) == target).astype(float)
    label = calibration_bins(score, bins)

    def statistic(weights: Floats) -> float:
        gap = np.bincount(label, weights * (hit - score))
        return float(np.abs(gap).sum() / weights.sum())

    return statistic


def calibration_bins(score: Floats, bins: int) -> NDArray[np.intp]:
    """The equally filled bin of each score; equal scores share a bin."""
    edges = np.unique(np.quantile(score, np.linspace(0, 1, bins + 1)[1:-1]))
    return np.searchsorted(edges, score, side="right")


def _rmse(target: Floats, scores: Floats) -> Statistic:
    mean = _mean((scores[:, 0] - target) ** 2)
    return lambda weights: float(np.sqrt(mean(weights)))


def _mae(target: Floats, scores: Floats) -> Statistic:
    return _mean(np.abs(scores[:, 0] - target))


def _r2(target: Floats, scores: Floats) -> Statistic:
    error = (scores[:, 0] - target) ** 2

    def statistic(weights: Floats) -> float:
        spread = (target - np.average(target, weights=weights)) ** 2
        return 1 - _divide((weights * error).sum(), (weights * spread).sum())

    return statistic


def _divide(part: float, whole: float) -> float:
    """A quotient, or NaN where a resample leaves nothing to divide by."""
    return float(part / whole) if whole else math.nan


def _mean(values: Floats) -> Statistic:
    return lambda weights: float((weights * values).sum() / weights.sum())


def _one_hot(target: Floats, scores: Floats) -> Floats:
    hot = np.zeros_like(scores)
    hot[np.arange(len(target)), target.astype(int)] = 1
    return hot
