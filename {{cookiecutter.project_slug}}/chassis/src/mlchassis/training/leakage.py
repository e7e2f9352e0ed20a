"""Signs of target leakage: columns that know the answer alone, or add up to it."""

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from mlchassis.evaluation.metrics import Floats
from mlchassis.features.encoding import FeatureMatrix

_BINS = 50


LEAST_CLASS_ROWS = 25
"""Rows of a class in the validation split from which on a column is compared with it."""
_MAX_OPERANDS = 30
"""Columns of which every two are tried as a formula for the target."""
_EXACT_PROPORTION = 0.9995
"""R2 of a formula that cannot be chance."""
_EXACT_AUC = 0.9999
"""ROC AUC of a formula that cannot be chance."""
_BETTER_THAN_ALONE = 0.01


def rank_single_features(
    train: FeatureMatrix,
    train_target: Floats,
    validation: FeatureMatrix,
    validation_target: Floats,
    classes: int = 0,
) -> dict[str, float]:
    """Rank features by how well each alone predicts the target: ROC AUC on the validation split.

    A feature's values are binned on the training split, each bin answers with its mean target, and
    a missing value is a bin of its own: what is only missing after the event is as informative as a
    value. Of more than two classes each is compared with all others, and the highest value
    counts; numbers are compared with their median, or with the next smaller one where that is the
    largest. Where a split has one outcome alone, nothing can be said: 0.5.

    Args:
        train: Features to learn the bins from.
        train_target: Their targets: positions of classes, or numbers.
        validation: Features to judge.
        validation_target: Their targets.
        classes: Number of classes; 0 for numbers.

    Returns:
        Feature name to ROC AUC, the most telling first.
    """
    answers = list(_binary_answers(train_target, validation_target, classes))
    auc_by_feature = {}
    for name, seen, offered in _pairs(train, validation):
        codes, size = _bin(seen, offered)
        auc_by_feature[name] = max(
            (_measure_alone(codes, size, answer, truth) for answer, truth in answers), default=0.5
        )
    return dict(sorted(auc_by_feature.items(), key=lambda item: -item[1]))


def _binary_answers(
    train: Floats, validation: Floats, classes: int
) -> Iterator[tuple[Floats, Floats]]:
    """Yield the targets of both splits as yes or no: one pair, or one for each class."""
    if classes <= 2:
        cut = _choose_cut(train)
        answer, truth = ((part > cut).astype(float) for part in (train, validation))
        if 0 < truth.sum() < len(truth):
            yield answer, truth
        return
    for position in range(classes):
        answer = (train == position).astype(float)
        truth = (validation == position).astype(float)
        if min(truth.sum(), len(truth) - truth.sum(), answer.sum()) >= LEAST_CLASS_ROWS:
            yield answer, truth


def _choose_cut(target: Floats) -> float:
    """Return the median, or the next smaller value where no target is larger."""
    median = float(np.median(target))
    smaller = target[target < median]
    return median if target.max() > median or not len(smaller) else float(smaller.max())


def _measure_alone(codes: NDArray[np.intp], size: int, answer: Floats, truth: Floats) -> float:
    rows = np.bincount(codes[: len(answer)], minlength=size)
    hits = np.bincount(codes[: len(answer)], answer, minlength=size)
    score = ((hits + answer.mean()) / (rows + 1))[codes[len(answer) :]]
    return _measure_auc(score, truth)


def _measure_auc(score: Floats, truth: Floats) -> float:
    """Compute ROC AUC by the ranks of the rows, ties shared; NaN where one class is absent."""
    positive = truth == 1
    hits = int(positive.sum())
    misses = int((~positive).sum())
    if not hits or not misses:
        return float("nan")
    won = float(rankdata(score)[positive].sum()) - hits * (hits + 1) / 2
    return won / (hits * misses)


def find_formula(columns: Mapping[str, Floats], target: Floats, *, numbers: bool) -> list[str]:
    """Find columns whose sum, difference, product or ratio is the target, or decides it.

    Args:
        columns: Numbers by name, shape (rows,); NaN where there is no value.
        target: Numbers, or 0 and 1.
        numbers: True if the target is a number; for a binary target a formula leaks if it separates
            all rows of one outcome from those of the other.

    Returns:
        The names; empty where no formula was found.
    """
    most_telling = _choose_operands(columns, target)
    if numbers and (names := _find_sum(most_telling, columns, target)):
        return names
    measure = _measure_fit if numbers else _measure_order
    exact = _EXACT_PROPORTION if numbers else _EXACT_AUC
    for one, other in combinations(most_telling, 2):
        first = columns[one]
        second = columns[other]
        there = np.isfinite(first) & np.isfinite(second) & np.isfinite(target)
        if there.sum() < max(LEAST_CLASS_ROWS, 0.2 * len(target)):
            continue
        a = first[there]
        b = second[there]
        truth = target[there]
        alone = max(measure(a, truth), measure(b, truth))
        if alone < exact - _BETTER_THAN_ALONE and any(
            measure(value, truth) >= exact for value in _combine(a, b)
        ):
            return [one, other]
    return []


def _choose_operands(columns: Mapping[str, Floats], target: Floats) -> list[str]:
    """Choose the columns of the highest rank correlation with the target; a summand has some."""
    strength = {}
    for name, values in columns.items():
        there = np.isfinite(values) & np.isfinite(target)
        if there.sum() >= LEAST_CLASS_ROWS and np.ptp(values[there]) > 0:
            strength[name] = _measure_fit(_rank(values[there]), _rank(target[there]))
    return sorted(strength, key=lambda name: -strength[name])[:_MAX_OPERANDS]


def _combine(a: Floats, b: Floats) -> Iterator[Floats]:
    yield a + b
    yield a - b
    yield a * b
    if np.all(b != 0):
        yield a / b
    if np.all(a != 0):
        yield b / a


def _find_sum(names: list[str], columns: Mapping[str, Floats], target: Floats) -> list[str]:
    """Find three or more columns that add up to the target, with the same weight each."""
    if len(names) < 3:
        return []
    values = np.column_stack([columns[name] for name in names])
    there = np.isfinite(values).all(axis=1) & np.isfinite(target)
    if there.sum() < max(LEAST_CLASS_ROWS, 3 * len(names)):
        return []
    centered = values[there] - values[there].mean(axis=0)
    truth = target[there]
    truth = truth - truth.mean()
    weights = np.linalg.lstsq(centered, truth, rcond=None)[0]
    proportion = np.abs(weights) * centered.std(axis=0) / max(float(truth.std()), 1e-300)
    parts = np.flatnonzero(proportion > 0.01)
    if len(parts) < 3:
        return []
    equal = np.ptp(np.abs(weights[parts])) < 0.01 * np.abs(weights[parts]).max()
    fit = _measure_fit(centered[:, parts] @ weights[parts], truth)
    return [names[k] for k in parts] if equal and fit >= _EXACT_PROPORTION else []


def _measure_fit(values: Floats, target: Floats) -> float:
    """Proportion of the target's variance that a straight line through the values explains."""
    if np.ptp(values) == 0 or np.ptp(target) == 0 or not np.isfinite(values).all():
        return 0.0
    return float(np.corrcoef(values, target)[0, 1] ** 2)


def _measure_order(values: Floats, target: Floats) -> float:
    """ROC AUC, whichever way round."""
    if not np.isfinite(values).all() or np.ptp(target) == 0:
        return 0.5
    auc = _measure_auc(values, target)
    return max(auc, 1 - auc)


def _rank(values: Floats) -> Floats:
    return np.unique(values, return_inverse=True)[1].astype(np.float64)


def _pairs(
    train: FeatureMatrix, validation: FeatureMatrix
) -> list[tuple[str, NDArray[Any], NDArray[Any]]]:
    numeric = [
        (n, train.numeric[:, k], validation.numeric[:, k])
        for k, n in enumerate(train.numeric_names)
    ]
    categorical = [
        (n, train.categorical[:, k], validation.categorical[:, k])
        for k, n in enumerate(train.categorical_names)
    ]
    return [*numeric, *categorical]


def _bin(seen: NDArray[Any], offered: NDArray[Any]) -> tuple[NDArray[np.intp], int]:
    """Bins of both splits' values, one below the other, and how many bins there are."""
    values = np.concatenate([seen, offered])
    if values.dtype == object:
        names, codes = np.unique(values.astype(str), return_inverse=True)
        return codes, len(names)
    present = seen[~np.isnan(seen)]
    edges = (
        np.unique(np.quantile(present, np.linspace(0, 1, _BINS)))
        if len(present)
        else np.array([0.0])
    )
    codes = np.searchsorted(edges, values, side="right")
    codes[np.isnan(values)] = len(edges) + 1
    return codes, len(edges) + 2
