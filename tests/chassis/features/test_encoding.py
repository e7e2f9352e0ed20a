"""Rows and tables become the same columns, whatever kind of frame the rows came in."""

import time
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlchassis.contract.model import Contract, parse_contract
from mlchassis.contract.schemas import generate_rows
from mlchassis.data.tables import coerce
from mlchassis.errors import ProjectError
from mlchassis.features.encoding import (
    MISSING,
    Columns,
    arrange_features,
    columns_from_frame,
    columns_from_rows,
)

EVERY_KIND = """
apiVersion: v3.2.0
version: 1.0.0
schema:
  - properties:
      - {name: number, logicalType: number, tags: [feature]}
      - {name: integer, logicalType: integer, tags: [feature]}
      - {name: boolean, logicalType: boolean, tags: [feature]}
      - {name: string, logicalType: string, tags: [feature]}
      - {name: moment, logicalType: timestamp, tags: [feature]}
      - {name: answer, logicalType: number, tags: [target]}
"""
ROWS: list[dict[str, Any]] = [
    {
        "number": 1.5,
        "integer": 7,
        "boolean": True,
        "string": "a",
        "moment": "2013-01-01T00:00:00+00:00",
    },
    {"number": -0.0, "integer": 0, "boolean": False, "string": "b", "moment": None},
    {"number": None, "string": None},
]
EXPECTED = {
    "number": [1.5, 0.0, np.nan],
    "integer": [7.0, 0.0, np.nan],
    "boolean": [1.0, 0.0, np.nan],
    "string": ["a", "b", MISSING],
    "moment": [1356998400.0, np.nan, np.nan],
}


@pytest.fixture(scope="module")
def every_kind() -> Contract:
    return parse_contract(EVERY_KIND)


def assert_equal_columns(found: Columns, expected: Columns) -> None:
    assert list(found) == list(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)
        assert found[name].dtype == values.dtype, name


def object_frame(rows: list[dict[str, Any]], contract: Contract) -> pd.DataFrame:
    """Rows as somebody else builds a frame of them: Python objects, None for what is missing."""
    columns = {c.name: [row.get(c.name) for row in rows] for c in contract.features}
    return pd.DataFrame({name: pd.Series(v, dtype=object) for name, v in columns.items()})


def plain_frame(rows: list[dict[str, Any]], contract: Contract) -> pd.DataFrame:
    """NumPy's types: NaN makes floats of integers, and objects of booleans with gaps."""
    frame = object_frame(rows, contract)
    for column in contract.features:
        if column.kind in ("number", "integer"):
            frame[column.name] = frame[column.name].astype(float)
        if column.kind == "timestamp":
            frame[column.name] = pd.to_datetime(frame[column.name], utc=True)
    return frame


def nullable_frame(rows: list[dict[str, Any]], contract: Contract) -> pd.DataFrame:
    frame = object_frame(rows, contract)
    return coerce(frame.reindex(columns=[c.name for c in contract.columns]), contract)


def mlflow_frame(rows: list[dict[str, Any]], contract: Contract) -> pd.DataFrame:
    """Frame that MLflow makes of a request by its signature: naive timestamps in UTC."""
    frame = plain_frame(rows, contract)
    for column in contract.features:
        if column.kind == "timestamp":
            frame[column.name] = frame[column.name].dt.tz_localize(None)
    return frame.convert_dtypes(convert_string=False, convert_integer=False)


FRAMES = [object_frame, plain_frame, nullable_frame, mlflow_frame]


def test_rows_become_columns_of_floats_and_of_strings(every_kind: Contract) -> None:
    found = columns_from_rows(every_kind, ROWS)

    assert {name: values.dtype.kind for name, values in found.items()} == {
        "number": "f",
        "integer": "f",
        "boolean": "f",
        "string": "O",
        "moment": "f",
    }
    for name, values in EXPECTED.items():
        np.testing.assert_array_equal(found[name], np.array(values, dtype=found[name].dtype))


@pytest.mark.parametrize("build", FRAMES)
def test_every_kind_of_frame_gives_the_columns_that_rows_give(
    every_kind: Contract, build: Any
) -> None:
    assert_equal_columns(
        columns_from_frame(every_kind, build(ROWS, every_kind)), columns_from_rows(every_kind, ROWS)
    )


@pytest.mark.parametrize("build", FRAMES)
def test_the_shipped_contract_reads_equal_from_rows_and_frames(
    contract: Contract, build: Any
) -> None:
    rows = generate_rows(contract, 300, seed=1)

    assert_equal_columns(
        columns_from_frame(contract, build(rows, contract)), columns_from_rows(contract, rows)
    )


@pytest.mark.parametrize("build", FRAMES)
def test_a_single_row_with_everything_missing_reads_equal(every_kind: Contract, build: Any) -> None:
    assert_equal_columns(
        columns_from_frame(every_kind, build([{}], every_kind)),
        columns_from_rows(every_kind, [{}]),
    )


def test_one_moment_is_one_number_in_whatever_zone_it_is_told(every_kind: Contract) -> None:
    new_york = timezone(timedelta(hours=-5))
    told = [
        "2013-01-01T00:00:00+00:00",
        "2013-01-01T00:00:00Z",
        "2012-12-31T19:00:00-05:00",
        "2013-01-01T00:00:00",
        datetime(2012, 12, 31, 19, tzinfo=new_york),
        datetime(2013, 1, 1, tzinfo=UTC),
    ]
    found = columns_from_rows(every_kind, [{"moment": moment} for moment in told])

    assert set(found["moment"]) == {1356998400.0}


def test_a_frame_without_a_feature_is_refused_by_the_features_name(contract: Contract) -> None:
    name = contract.features[-1].name
    frame = object_frame(generate_rows(contract, 2, seed=1), contract).drop(columns=name)

    with pytest.raises(ProjectError, match=f"lacks the column '{name}'"):
        columns_from_frame(contract, frame)


def test_features_are_arranged_in_their_order_numbers_apart_from_words() -> None:
    features = {
        "b": np.array([1.0, np.nan]),
        "word": np.array(["x", MISSING], dtype=object),
        "a": np.array([3, 4]),
    }
    matrix = arrange_features(features)

    assert (matrix.numeric_names, matrix.categorical_names) == (("b", "a"), ("word",))
    np.testing.assert_array_equal(matrix.numeric, np.array([[1, 3], [np.nan, 4]], np.float32))
    assert matrix.numeric.dtype == np.float32
    assert matrix.categorical.tolist() == [["x"], [MISSING]]


def test_features_of_one_sort_leave_the_other_matrix_without_columns() -> None:
    matrix = arrange_features({"a": np.array([1.0, 2.0])})

    assert matrix.categorical.shape == (2, 0)


def test_a_number_beyond_what_the_model_holds_becomes_the_largest_that_it_does() -> None:
    matrix = arrange_features({"a": np.array([1e300, -1e300, np.nan])})
    largest = np.finfo(np.float32).max

    np.testing.assert_array_equal(matrix.numeric[:, 0], [largest, -largest, np.nan])


def test_a_time_without_a_zone_is_utc_wherever_the_machine_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    contract = parse_contract(EVERY_KIND)
    try:
        with monkeypatch.context() as elsewhere:
            elsewhere.setenv("TZ", "America/New_York")
            time.tzset()
            found = columns_from_rows(contract, [{"moment": "1970-01-01T00:01:00"}])
    finally:
        time.tzset()

    assert found["moment"].tolist() == [60.0]
