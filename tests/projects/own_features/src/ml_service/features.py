"""Columns to features: NumPy alone, the same for a million rows and for one."""

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

POUNDS_PER_KILO = 2.20462


def compute_features(columns: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Derive the model's features from the contract's columns, each of shape (rows,)."""
    features = dict(columns)
    features["weight_pounds"] = POUNDS_PER_KILO * features.pop("weight")
    return features
