"""Reference distributions of the training rows, for monitoring."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlchassis.contract.model import Contract
from mlchassis.features.encoding import MISSING, Columns

BINS = 20
MOST_CATEGORIES = 50


def describe_columns(columns: Columns, contract: Contract) -> dict[str, Any]:
    """Describe each feature column: missing values, and quantiles or the commonest categories.

    Of a column tagged `pii` it is the share of missing values alone.
    """
    described = {
        column.name: (
            _describe_numbers(columns[column.name])
            if column.is_numeric
            else _describe_categories(columns[column.name])
        )
        for column in contract.features
    }
    for column in contract.features:
        if column in contract.pii:
            details = "quantiles" if column.is_numeric else "shares"
            described[column.name][details] = [] if column.is_numeric else {}
    return described


def _describe_numbers(values: NDArray[np.float64]) -> dict[str, Any]:
    present = values[~np.isnan(values)]
    quantiles = np.quantile(present, np.linspace(0, 1, BINS + 1)).tolist() if len(present) else []
    return {"kind": "numeric", "missing": 1 - len(present) / len(values), "quantiles": quantiles}


def _describe_categories(values: NDArray[np.object_]) -> dict[str, Any]:
    categories, counts = np.unique(values.astype(str), return_counts=True)
    shares = {
        str(name): float(count) / len(values)
        for name, count in zip(categories, counts, strict=True)
    }
    missing = shares.pop(MISSING, 0.0)
    commonest = sorted(shares.items(), key=lambda item: (-item[1], item[0]))[:MOST_CATEGORIES]
    return {"kind": "categorical", "missing": missing, "shares": dict(commonest)}
