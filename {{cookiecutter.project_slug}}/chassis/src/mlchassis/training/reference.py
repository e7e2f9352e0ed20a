"""Reference of the training rows, column by column."""

import numpy as np
from numpy.typing import NDArray

from mlchassis.bundle.column_reference import (
    CategoricalReference,
    ColumnReference,
    NumericReference,
)
from mlchassis.contract.model import Contract
from mlchassis.features.encoding import MISSING, Columns

BINS = 20
MOST_CATEGORIES = 50


def describe_columns(columns: Columns, contract: Contract) -> dict[str, ColumnReference]:
    """Describe each feature column: missing values, and quantiles or the commonest categories.

    Of a column tagged `pii` it is the share of missing values alone.
    """
    described: dict[str, ColumnReference] = {}
    for column in contract.features:
        values = columns[column.name]
        found = _describe_numbers(values) if column.is_numeric else _describe_categories(values)
        if column in contract.pii:
            found = type(found)(missing=found.missing)
        described[column.name] = found
    return described


def _describe_numbers(values: NDArray[np.float64]) -> NumericReference:
    present = values[~np.isnan(values)]
    quantiles = np.quantile(present, np.linspace(0, 1, BINS + 1)).tolist() if len(present) else []
    return NumericReference(missing=1 - len(present) / len(values), quantiles=tuple(quantiles))


def _describe_categories(values: NDArray[np.object_]) -> CategoricalReference:
    categories, counts = np.unique(values.astype(str), return_counts=True)
    shares = {
        str(name): float(count) / len(values)
        for name, count in zip(categories, counts, strict=True)
    }
    missing = shares.pop(MISSING, 0.0)
    commonest = sorted(shares.items(), key=lambda item: (-item[1], item[0]))[:MOST_CATEGORIES]
    return CategoricalReference(missing=missing, shares=dict(commonest))
