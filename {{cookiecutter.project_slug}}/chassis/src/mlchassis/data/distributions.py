"""Distribution of each column, over all rows and by month."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from mlchassis.contract.model import Column, Contract
from mlchassis.contract.partitions import MONTH
from mlchassis.data.results.validation import CategoryFacts, ColumnFacts, NumberFacts
from mlchassis.evaluation.metrics import Floats

BINS = 10
CATEGORIES = 8
_LARGEST = 1e300
"""The distance of larger numbers is too large for a number."""
_TAIL = 0.01
"""Proportion of the values at each end that goes into the outermost bins: one error in a
million would else make all others one bar."""


def describe_columns(rows: pd.DataFrame, contract: Contract) -> dict[str, ColumnFacts]:
    """Facts by column, for those that say something about the problem and about no single person.

    Args:
        rows: With a column MONTH.
        contract: Contract of the rows.
    """
    described = {"feature", "target", "sensitive"}
    months = {str(month): partition for month, partition in rows.groupby(MONTH)}
    return {
        column.name: _describe(
            column,
            rows[column.name].dropna(),
            {month: partition[column.name] for month, partition in months.items()},
        )
        for column in contract.columns
        if column.roles & described and column not in contract.pii
    }


def _describe(
    column: Column, whole: "pd.Series[Any]", months: Mapping[str, "pd.Series[Any]"]
) -> ColumnFacts:
    facts = ColumnFacts(
        description=column.description,
        missing={month: float(values.isna().mean()) for month, values in months.items()},
    )
    if whole.empty or column.kind == "timestamp":
        return facts
    if column.kind in ("number", "integer") and whole.nunique() > BINS:
        return _describe_numbers(facts, whole, months)
    return _describe_categories(facts, whole, months)


def _describe_numbers(
    facts: ColumnFacts, whole: "pd.Series[Any]", months: Mapping[str, "pd.Series[Any]"]
) -> NumberFacts:
    values = _read_numbers(whole)
    low, high = np.quantile(values, [_TAIL, 1 - _TAIL])
    edges = np.linspace(low, high, BINS - 1) if low < high else np.array([low])
    counts = np.bincount(np.searchsorted(edges, values), minlength=len(edges) + 1)
    medians = {month: _read_numbers(part) for month, part in months.items()}
    return NumberFacts(
        **dict(facts),
        edges=edges.tolist(),
        proportions=(counts / len(values)).tolist(),
        typical={
            month: float(np.median(part)) if len(part) else None for month, part in medians.items()
        },
    )


def _read_numbers(values: "pd.Series[Any]") -> Floats:
    numbers: Floats = values.dropna().to_numpy(dtype=float)
    return numbers.clip(-_LARGEST, _LARGEST)


def _describe_categories(
    facts: ColumnFacts, whole: "pd.Series[Any]", months: Mapping[str, "pd.Series[Any]"]
) -> CategoryFacts:
    counts = whole.value_counts()
    commonest = counts.index[0]
    shown = counts.head(CATEGORIES)
    if pd.api.types.is_numeric_dtype(whole):
        shown = shown.sort_index()
    proportions = {month: (part.dropna() == commonest).mean() for month, part in months.items()}
    return CategoryFacts(
        **dict(facts),
        values={_spell(word): int(n) / len(whole) for word, n in shown.items()},
        distinct=len(counts),
        commonest=_spell(commonest),
        typical={
            month: None if pd.isna(part) else float(part) for month, part in proportions.items()
        },
    )


def _spell(word: Any) -> str:
    return f"{word:.6g}" if isinstance(word, float) else str(word)
