"""Rows and tables as NumPy columns, and named features as the two matrices that a model takes.

There is one way from a contract's row to numbers, whether the row came from a Parquet file, an
MLflow caller's data frame or a JSON request.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mlchassis.contract.model import Column, Contract
from mlchassis.errors import ProjectError

if TYPE_CHECKING:
    import pandas as pd

Columns = Mapping[str, NDArray[Any]]

MISSING = "(missing)"
"""Placeholder of a missing string: converters to ONNX treat `None` wrongly, words exactly."""

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


class ColumnBuilder:
    """Turn rows of a contract's request columns, in their order, into its feature columns.

    What follows from the contract alone is worked out once, and numbers become one array: for a
    single row, an array per column would cost more than the model.
    """

    def __init__(self, contract: Contract) -> None:
        positions = {column.name: i for i, column in enumerate(contract.request_columns)}
        numbers = [c.name for c in contract.features if c.kind not in ("string", "timestamp")]
        self._numbers = tuple(numbers)
        self._pick = pick_values([positions[name] for name in numbers])
        self._others = [
            (c, positions[c.name]) for c in contract.features if c.name not in self._numbers
        ]
        self._order = [column.name for column in contract.features]

    def build(self, rows: Sequence[tuple[Any, ...]]) -> Columns:
        """The columns of these rows, each of shape (rows,)."""
        shape = len(rows), len(self._numbers)
        numbers = _read_numbers(chain.from_iterable(map(self._pick, rows)), shape[0] * shape[1])
        block = np.ascontiguousarray(numbers.reshape(shape).T)
        columns: dict[str, NDArray[Any]] = dict(zip(self._numbers, block, strict=True))
        if not self._others:
            return columns
        for column, position in self._others:
            columns[column.name] = _column_from_values(column, [row[position] for row in rows])
        return {name: columns[name] for name in self._order}


def pick_values(positions: Sequence[int]) -> Callable[[tuple[Any, ...]], tuple[Any, ...]]:
    """A function that takes the values at some positions from a row."""
    first = min(positions, default=0)
    if list(positions) == list(range(first, first + len(positions))):
        return itemgetter(slice(first, first + len(positions)))
    return itemgetter(*positions)


def columns_from_rows(contract: Contract, rows: Sequence[Mapping[str, Any]]) -> Columns:
    """Turn records into the contract's feature columns; an absent field counts as missing."""
    names = [column.name for column in contract.request_columns]
    return ColumnBuilder(contract).build([tuple(map(row.get, names)) for row in rows])


def columns_from_frame(contract: Contract, frame: "pd.DataFrame") -> Columns:
    """Turn a data frame into the contract's feature columns.

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
    """Sort named features into a numeric and a categorical matrix, in their given order."""
    numeric = {name: values for name, values in features.items() if values.dtype.kind in "fiub"}
    categorical = {name: values for name, values in features.items() if name not in numeric}
    rows = len(next(iter(features.values())))
    numbers = _stack(numeric, rows, np.float64)
    np.minimum(np.maximum(numbers, -_LARGEST, out=numbers), _LARGEST, out=numbers)
    return FeatureMatrix(
        numeric_names=tuple(numeric),
        numeric=np.ascontiguousarray(numbers.T, dtype=np.float32),
        categorical_names=tuple(categorical),
        categorical=np.ascontiguousarray(_stack(categorical, rows, np.object_).T),
    )


def _stack(features: Columns, rows: int, dtype: type[np.generic]) -> NDArray[Any]:
    """One feature below the other: shape (features, rows)."""
    if not features:
        return np.empty((0, rows), dtype=dtype)
    return np.concatenate(list(features.values()), dtype=dtype).reshape(len(features), rows)


def _column_from_values(column: Column, values: Sequence[Any]) -> NDArray[Any]:
    if column.kind == "string":
        return np.array([MISSING if value is None else value for value in values], dtype=object)
    return _read_numbers(None if value is None else _seconds(value) for value in values)


def _read_numbers(values: Iterable[Any], count: int = -1) -> NDArray[np.float64]:
    """An array of numbers, whose count makes it faster; NumPy reads None as NaN."""
    return np.fromiter(values, np.float64, count)


def _column_from_series(column: Column, series: "pd.Series[Any]") -> NDArray[Any]:
    if column.kind in ("string", "timestamp"):
        present = series.astype(object).where(series.notna(), None)
        return _column_from_values(column, present.to_list())
    numbers: NDArray[Any] = series.to_numpy(dtype=np.float64, na_value=np.nan)
    return numbers


def _seconds(value: datetime | str) -> float:
    """Seconds since 1970-01-01 UTC; a time without a zone is taken as UTC."""
    timestamp = datetime.fromisoformat(value) if isinstance(value, str) else value
    return (timestamp if timestamp.tzinfo else timestamp.replace(tzinfo=UTC)).timestamp()
