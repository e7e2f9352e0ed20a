"""Rows and tables as NumPy columns, and named features as the two matrices that a model takes.

There is one way from a contract's row to numbers, whether the row came from a Parquet file, an
MLflow caller's data frame or a JSON request.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .contract import Column, Contract
from .errors import ProjectError

if TYPE_CHECKING:
    import pandas as pd

Columns = Mapping[str, NDArray[Any]]

MISSING = "(missing)"
"""Stands for a string that is not there: converters to ONNX treat `None` wrongly, words exactly."""

_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True, slots=True)
class FeatureMatrix:
    """Features in the order in which a model takes them.

    Attributes:
        numeric_names: Names of the columns of `numeric`.
        numeric: float32, shape (rows, numeric features); NaN where a value is missing, and the
            largest float32 in place of anything larger.
        categorical_names: Names of the columns of `categorical`.
        categorical: Strings as objects, shape (rows, categorical features).
    """

    numeric_names: tuple[str, ...]
    numeric: NDArray[np.float32]
    categorical_names: tuple[str, ...]
    categorical: NDArray[np.object_]


def columns_from_rows(contract: Contract, rows: Sequence[Mapping[str, Any]]) -> Columns:
    """Turns records into the contract's feature columns; an absent field counts as missing."""
    return {
        column.name: _column_from_values(column, [row.get(column.name) for row in rows])
        for column in contract.features
    }


def columns_from_frame(contract: Contract, frame: "pd.DataFrame") -> Columns:
    """Turns a data frame into the contract's feature columns.

    Raises:
        ProjectError: The frame lacks a column.
    """
    absent = [column.name for column in contract.features if column.name not in frame.columns]
    if absent:
        raise ProjectError(
            f"The table lacks the column '{absent[0]}', which the contract lists as a feature; "
            "add it, or change contract.yaml."
        )
    return {
        column.name: _column_from_series(column, frame[column.name]) for column in contract.features
    }


def arrange_features(features: Columns) -> FeatureMatrix:
    """Sorts named features into a numeric and a categorical matrix, in their given order."""
    numeric = {name: values for name, values in features.items() if values.dtype.kind in "fiub"}
    categorical = {name: values for name, values in features.items() if name not in numeric}
    rows = len(next(iter(features.values())))
    return FeatureMatrix(
        numeric_names=tuple(numeric),
        numeric=_stack(
            {name: np.clip(values, -_LARGEST, _LARGEST) for name, values in numeric.items()},
            rows,
            np.float32,
        ),
        categorical_names=tuple(categorical),
        categorical=_stack(categorical, rows, np.object_),
    )


def _stack(features: Columns, rows: int, dtype: type[np.generic]) -> NDArray[Any]:
    matrix = np.empty((rows, len(features)), dtype=dtype)
    for position, values in enumerate(features.values()):
        matrix[:, position] = values
    return matrix


def _column_from_values(column: Column, values: Sequence[Any]) -> NDArray[Any]:
    if column.kind == "string":
        return np.array([MISSING if value is None else value for value in values], dtype=object)
    if column.kind == "timestamp":
        values = [None if value is None else _seconds(value) for value in values]
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def _column_from_series(column: Column, series: "pd.Series[Any]") -> NDArray[Any]:
    if column.kind in ("string", "timestamp"):
        present = series.astype(object).where(series.notna(), None)
        return _column_from_values(column, present.to_list())
    numbers: NDArray[Any] = series.to_numpy(dtype=np.float64, na_value=np.nan)
    return numbers


def _seconds(value: datetime | str) -> float:
    """Seconds since 1970-01-01 UTC; a time without a zone is taken as UTC."""
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
