"""Looks for a feature that knows the answer by itself."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..columns import FeatureMatrix
from .metrics import Floats, metrics_for

_BINS = 50


def rank_single_features(
    train: FeatureMatrix, train_target: Floats, valid: FeatureMatrix, valid_target: Floats
) -> dict[str, float]:
    """How well each feature alone tells the answer: ROC AUC on the validation window.

    A feature's values are binned on the training window, each bin answers with its mean target, and
    a missing value is a bin of its own: what is only missing after the event tells as much as a
    value. A target of more than two values is compared with its median.

    Returns:
        Feature name to ROC AUC, the most telling first.
    """
    cut = np.median(train_target) if len(np.unique(train_target)) > 2 else 0.5
    answer, truth = (train_target > cut).astype(float), (valid_target > cut).astype(float)
    everything = np.ones(len(truth))
    prepare = metrics_for("binary")["roc_auc"].prepare
    found = {}
    for name, seen, offered in _pairs(train, valid):
        codes, size = _bin(seen, offered)
        rows = np.bincount(codes[: len(seen)], minlength=size)
        hits = np.bincount(codes[: len(seen)], answer, minlength=size)
        share = (hits + answer.mean()) / (rows + 1)
        score = share[codes[len(seen) :]]
        found[name] = prepare(truth, np.column_stack([1 - score, score]))(everything)
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def _pairs(
    train: FeatureMatrix, valid: FeatureMatrix
) -> list[tuple[str, NDArray[Any], NDArray[Any]]]:
    numeric = [
        (n, train.numeric[:, k], valid.numeric[:, k]) for k, n in enumerate(train.numeric_names)
    ]
    words = [
        (n, train.categorical[:, k], valid.categorical[:, k])
        for k, n in enumerate(train.categorical_names)
    ]
    return [*numeric, *words]


def _bin(seen: NDArray[Any], offered: NDArray[Any]) -> tuple[NDArray[np.intp], int]:
    """Bins of both windows' values, one below the other, and how many bins there are."""
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
