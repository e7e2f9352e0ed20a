"""A column is read as its cells are, and what is of another kind is invalid."""

from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlchassis.config.source_params import ColumnFormat
from mlchassis.contract.cells import JAVASCRIPT, parse_cell
from mlchassis.contract.model import Kind
from mlchassis.contract.schemas import PANDAS_TYPES
from mlchassis.sources.parsing import count_missing_markers, join_written, parse_column

KINDS: list[Kind] = ["number", "integer", "boolean", "string", "timestamp"]
FORMATS: list[dict[str, Any]] = [
    {},
    {"missing": ("-1", "2024-01-31 10:00:00", "x")},
    {"decimal": ",", "thousands": "."},
    {"thousands": ",", "affixes": ("$", "%"), "negative": "parentheses"},
    {"dates": ("%d.%m.%y", "epoch_ms", "ISO8601"), "newest_year": 2026},
    {"dates": ("%d.%m.%y", "%d %b %Y %I:%M %p", "quarter"), "missing": ("-1",)},
    {"dates": (JAVASCRIPT, "%A, %B %d, %Y", "%j/%Y")},
    {"dates": ("excel",)},
]
numbers = st.one_of(
    st.floats(allow_nan=False).map(repr),
    st.integers(-(2**64), 2**64).map(str),
    st.decimals(allow_nan=False, allow_infinity=False).map(str),
)
times = st.datetimes().flatmap(
    lambda moment: st.sampled_from(
        [
            moment.isoformat(),
            moment.isoformat(" ") + "Z",
            moment.isoformat() + "+05:30",
            moment.strftime("%d.%m.%y"),
            moment.strftime("%Y-02-30 %H:%M:%S"),
            moment.strftime("%d %b %Y %I:%M %p"),
            moment.strftime("%d %b %Y %I:%M %p") + " UTC",
            moment.strftime("%a %b %d %Y %H:%M:%S GMT+0100 (CET)"),
            moment.strftime("%A, %B %d, %Y"),
            moment.strftime("%j/%Y"),
        ]
    )
)
words = st.one_of(
    numbers,
    times,
    st.text(max_size=6),
    st.sampled_from(["", " ", "NA", "\\N", "?", "true", "No", "-1", " -1 ", "$1,234", "(5)", "x"]),
)


def expect(cell: str | None, kind: Kind, form: ColumnFormat) -> tuple[Any, bool]:
    try:
        return None if cell is None else parse_cell(cell, kind, form), False
    except ValueError:
        return None, True


@pytest.mark.one_python
@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None)
@given(st.lists(st.one_of(st.none(), words), max_size=30), st.sampled_from(FORMATS))
def test_a_column_is_read_as_its_cells_are(
    kind: Kind, cells: list[str | None], form: dict[str, Any]
) -> None:
    plain = ColumnFormat(**form)
    parsed, invalid = parse_column(pd.Series(cells, dtype="str", name="x"), kind, plain)
    expected = [expect(cell, kind, plain) for cell in cells]

    assert str(parsed.dtype) == PANDAS_TYPES[kind]
    assert [None if pd.isna(cell) else cell for cell in parsed] == [cell for cell, _ in expected]
    assert invalid.tolist() == [wrong for _, wrong in expected]


@settings(deadline=None)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_numbers_are_rounded_exactly(values: list[float]) -> None:
    for write in (repr, lambda value: f"{Decimal(value):f}"):
        written = pd.Series([write(value) for value in values], dtype="str")
        parsed, invalid = parse_column(written, "number", ColumnFormat())

        assert parsed.tolist() == values
        assert not invalid.any()


TYPED: list[tuple[Any, Kind, dict[str, Any], list[Any]]] = [
    ([1, 2**63 - 1, None], "integer", {}, [1, 2**63 - 1, None]),
    ([1.0, None], "integer", {}, [1, None]),
    ([1.5, np.inf], "integer", {}, ["invalid", "invalid"]),
    ([1, None], "number", {}, [1.0, None]),
    ([1, 0], "boolean", {}, [True, False]),
    ([2, 0], "boolean", {}, ["invalid", False]),
    ([True, None], "number", {}, ["invalid", None]),
    ([True, False], "boolean", {}, [True, False]),
    ([1001, None], "string", {}, ["invalid", None]),
    ([1.5], "string", {}, ["invalid"]),
    ([True], "string", {}, ["invalid"]),
    ([1001, None], "string", {"text": True}, ["1001", None]),
    ([1.0, 2.5], "string", {"text": True}, ["1", "2.5"]),
    ([1706659200000], "timestamp", {}, ["invalid"]),
    (
        [1706659200000, None],
        "timestamp",
        {"dates": ("epoch_ms",)},
        [pd.Timestamp("2024-01-31", tz="UTC"), None],
    ),
    ([20240131], "timestamp", {"dates": ("%Y%m%d",)}, [pd.Timestamp("2024-01-31", tz="UTC")]),
]


@pytest.mark.parametrize(("cells", "kind", "form", "expected"), TYPED)
def test_a_typed_value_of_another_kind_is_invalid(
    cells: list[Any], kind: Kind, form: dict[str, Any], expected: list[Any]
) -> None:
    dtypes = {bool: "boolean", int: "Int64", float: "Float64"}
    column = pd.Series(cells, dtype=dtypes[type(cells[0])])
    parsed, invalid = parse_column(column, kind, ColumnFormat(**form))
    values = [None if pd.isna(cell) else cell for cell in parsed]

    assert ["invalid" if wrong else v for v, wrong in zip(values, invalid, strict=True)] == expected
    assert str(parsed.dtype) == PANDAS_TYPES[kind]


def test_times_are_no_numbers_and_those_without_a_zone_are_utc() -> None:
    times = pd.Series([pd.Timestamp("2024-01-31 10:00"), pd.NaT])
    parsed, invalid = parse_column(times, "timestamp", ColumnFormat())

    assert parsed[0] == pd.Timestamp("2024-01-31 10:00", tz="UTC")
    assert not invalid.any()
    for kind in ("number", "integer", "string"):
        assert parse_column(times, kind, ColumnFormat())[1].tolist() == [True, False]


def test_cells_that_count_as_missing_are_counted() -> None:
    column = pd.Series(["1", "NA", " <0.5", "<0.5", "", None, "many"], dtype="str")
    form = ColumnFormat(missing=("<0.5",))

    numbers = count_missing_markers(column, *parse_column(column, "number", form))
    assert numbers == {"<0.5": 2, "NA": 1}
    assert count_missing_markers(column, *parse_column(column, "string", form)) == {"<0.5": 2}


def test_files_of_different_types_are_joined_without_loss() -> None:
    flags = pd.array([True, False], dtype="boolean")
    whole = pd.DataFrame({"a": pd.array([2**53 + 1, None], dtype="Int64"), "b": flags})
    other = pd.DataFrame({"a": ["07", None], "b": [None, None]}, dtype="str")
    rows = join_written([whole, other])

    assert rows["a"].dropna().tolist() == [str(2**53 + 1), "07"]
    assert rows["b"].dropna().tolist() == [True, False]
