"""A cell of text means one value, and the same one everywhere."""

import math
from contextlib import suppress
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlchassis.config.source_params import ColumnFormat, FilesParams, TableFormat
from mlchassis.contract.cells import (
    JAVASCRIPT,
    CellParser,
    is_naive_time,
    normalize_text,
    parse_cell,
)
from mlchassis.contract.model import Kind

PLAIN = ColumnFormat()
EURO = {"decimal": ",", "thousands": ".", "affixes": ("€",)}
DOLLAR = {"thousands": ",", "affixes": ("$", "USD"), "negative": "parentheses"}
INDIAN = {"thousands": ",", "grouping": "indian", "affixes": ("₹",)}

NUMBERS: list[tuple[str, dict[str, Any], float]] = [
    ("1", {}, 1),
    ("-.5", {}, -0.5),
    ("5.", {}, 5),
    ("+3e2", {}, 300),
    ("\u22125", {}, -5),
    (" 1.5\u00a0", {}, 1.5),
    ("0.1234567890123456789", {}, 0.1234567890123456789),
    ("12.5%", {"affixes": ("%",)}, 12.5),
    ("12.5 %", {"affixes": ("%",)}, 12.5),
    ("49,56 €", EURO, 49.56),
    ("€ -1.049,56", EURO, -1049.56),
    ("-€1.049,56", EURO, -1049.56),
    ("1.234", EURO, 1234),
    ("1234", EURO, 1234),
    ("$1,234.50", DOLLAR, 1234.5),
    ("(49.56)", DOLLAR, -49.56),
    ("$(1,049.56)", DOLLAR, -1049.56),
    ("($49.56)", DOLLAR, -49.56),
    ("USD 7", DOLLAR, 7),
    ("-$7", DOLLAR, -7),
    ("49.56-", {"negative": "trailing"}, -49.56),
    ("49.56 €-", {"negative": "trailing", "affixes": ("€",)}, -49.56),
    ("49.56- €", {"negative": "trailing", "affixes": ("€",)}, -49.56),
    ("50 kg", {"affixes": ("kg",)}, 50),
    ("12,34,567.5", INDIAN, 1234567.5),
    ("₹1,00,000", INDIAN, 100000),
    ("₹ 99,999", INDIAN, 99999),
    ("1 234 567,5", {"decimal": ",", "thousands": " "}, 1234567.5),
    ("1\u202f234", {"thousands": " "}, 1234),
    ("1'234.5", {"thousands": "'"}, 1234.5),
    ("1\u2019234.5", {"thousands": "'"}, 1234.5),
]
NO_NUMBERS: list[tuple[str, dict[str, Any]]] = [
    ("1_000", {}),
    ("\u0661\u0662", {}),
    ("0x10", {}),
    ("1,5", {}),
    ("1.2.3", {}),
    ("- 5", {}),
    ("12.5%", {}),
    ("50 lb", {"affixes": ("kg",)}),
    ("1.5", {"decimal": ","}),
    ("1,23,456", {"thousands": ","}),
    ("123,456", INDIAN),
    ("1,2345", {"thousands": ","}),
    ("31.12.196", {"decimal": ",", "thousands": "."}),
    ("1,234 567", {"thousands": ","}),
    ("0,123", {"thousands": ","}),
    ("(-5)", DOLLAR),
    ("(5", DOLLAR),
    ("-5-", {"negative": "trailing"}),
    ("$", DOLLAR),
]


@pytest.mark.parametrize(("text", "form", "value"), NUMBERS)
def test_a_number_is_read_as_its_format_writes_it(
    text: str, form: dict[str, Any], value: float
) -> None:
    assert parse_cell(text, "number", ColumnFormat(**form)) == value


@pytest.mark.parametrize(("text", "form"), NO_NUMBERS)
def test_text_that_is_no_number_of_the_format_is_refused(text: str, form: dict[str, Any]) -> None:
    for kind in ("number", "integer"):
        with pytest.raises(ValueError, match=r"^is "):
            parse_cell(text, kind, ColumnFormat(**form))


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_is_rounded_exactly(value: float) -> None:
    assert parse_cell(repr(value), "number", PLAIN) == value
    exact = f"{Fraction(value).numerator}" if value.is_integer() else f"{value:.60f}"
    assert parse_cell(exact, "number", PLAIN) == float(exact)


@given(st.integers(-(2**63), 2**63 - 1))
def test_an_integer_stays_exact(value: int) -> None:
    for text in (str(value), f"{value}.0"):
        assert parse_cell(text, "integer", PLAIN) == value
    assert parse_cell(f"{value:,}", "integer", ColumnFormat(thousands=",")) == value


@pytest.mark.parametrize("text", [str(2**63), str(-(2**63) - 1), "1e19", "1e999999999"])
def test_an_integer_beyond_64_bits_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="64 bits"):
        parse_cell(text, "integer", PLAIN)


@pytest.mark.parametrize("text", ["1.5", "1e-3", "0.0000001"])
def test_a_fraction_is_no_integer(text: str) -> None:
    with pytest.raises(ValueError, match="is not an integer"):
        parse_cell(text, "integer", PLAIN)


def test_an_infinite_number_is_left_to_the_contract() -> None:
    assert parse_cell("-inf", "number", PLAIN) == -math.inf


MOMENT = datetime(2024, 1, 31, tzinfo=UTC)
TIMES: list[tuple[str, tuple[str, ...], datetime]] = [
    ("2024-01-31", (), MOMENT),
    ("2024-01", (), MOMENT.replace(day=1)),
    ("20240131", (), MOMENT),
    ("2024-01-31T10:00:00Z", (), MOMENT.replace(hour=10)),
    ("2024-01-31  10:00:00", (), MOMENT.replace(hour=10)),
    ("2024-01-31 10:00:00 UTC", (), MOMENT.replace(hour=10)),
    ("2024-01-31 10:00:00 GMT", (), MOMENT.replace(hour=10)),
    ("2024-01-31 10:00:00 +0100", (), MOMENT.replace(hour=9)),
    ("2024-01-31T10:00:00.123456789+01:00", (), MOMENT.replace(hour=9, microsecond=123456)),
    ("20240131", ("%Y%m%d",), MOMENT),
    ("31-JAN-24", ("%d-%b-%y",), MOMENT),
    ("31-Jan-2024", ("%d-%b-%Y",), MOMENT),
    ("Jan-24", ("%b-%y",), MOMENT.replace(day=1)),
    ("Jan-2024", ("%b-%Y",), MOMENT.replace(day=1)),
    ("31.01.2024 10:00 UTC", ("%d.%m.%Y %H:%M",), MOMENT.replace(hour=10)),
    ("01/31/2024 10:00 PM GMT", ("%m/%d/%Y %I:%M %p",), MOMENT.replace(hour=22)),
    ("1706659200", ("epoch_s",), MOMENT),
    ("1706659200.5", ("epoch_s",), MOMENT.replace(microsecond=500_000)),
    ("1706659200000", ("epoch_ms",), MOMENT),
    ("45322", ("excel",), MOMENT),
    ("45322.416666666664", ("excel",), MOMENT.replace(hour=10)),
    (
        "Wed Jan 31 2024 10:00:00 GMT+0100 (Central European Standard Time)",
        (JAVASCRIPT,),
        MOMENT.replace(hour=9),
    ),
    ("Wed, 31 Jan 2024 10:00:00 GMT", ("%a, %d %b %Y %H:%M:%S",), MOMENT.replace(hour=10)),
    ("2024-Q2", ("quarter",), datetime(2024, 4, 1, tzinfo=UTC)),
    ("Q4 2024", ("quarter",), datetime(2024, 10, 1, tzinfo=UTC)),
    ("31.01.2024", ("%Y-%m-%d", "%d.%m.%Y"), MOMENT),
]
NO_TIMES: list[tuple[str, tuple[str, ...]]] = [
    ("2024-01-31 10:00:00 EST", ()),
    ("2024-01-31 10:00:00 IST", ()),
    ("31.01.2024 10:00 CET", ("%d.%m.%Y %H:%M",)),
    ("2024-02-30", ()),
    ("2024", ()),
    ("2024-01-31x10:00", ()),
    ("2024111", ("%Y%m%d",)),
    ("20241301", ("%Y%m%d",)),
    ("12", ("excel",)),
    ("abc", ("epoch_s", "excel", "quarter")),
    ("1e30", ("epoch_s",)),
    ("2024-Q5", ("quarter",)),
]


@pytest.mark.parametrize(("text", "dates", "moment"), TIMES)
def test_a_time_is_read_as_its_format_writes_it(
    text: str, dates: tuple[str, ...], moment: datetime
) -> None:
    assert parse_cell(text, "timestamp", ColumnFormat(dates=dates)) == moment


@pytest.mark.parametrize(("text", "dates"), NO_TIMES)
def test_text_that_is_no_time_of_the_format_is_refused(text: str, dates: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="is not a time"):
        parse_cell(text, "timestamp", ColumnFormat(dates=dates))


@pytest.mark.parametrize(
    ("text", "newest", "year"),
    [
        ("01.01.65", None, 2065),
        ("01.01.65", 2026, 1965),
        ("01.01.26", 2026, 2026),
        ("01.01.27", 2026, 1927),
        ("01.01.99", 2050, 1999),
        ("29.02.00", 2026, 2000),
    ],
)
def test_two_digit_years_end_with_the_newest_year(text: str, newest: int | None, year: int) -> None:
    form = ColumnFormat(dates=("%d.%m.%y",), newest_year=newest)
    found = parse_cell(text, "timestamp", form)
    assert isinstance(found, datetime)
    assert found.year == year


@pytest.mark.parametrize(
    ("text", "dates", "naive"),
    [
        ("2024-01-31 10:00", (), True),
        ("2024-01-31 10:00Z", (), False),
        ("2024-01-31 10:00 +01:00", (), False),
        ("31.01.2024", ("%d.%m.%Y",), True),
        ("31.01.2024 UTC", ("%d.%m.%Y",), False),
        ("1706659200", ("epoch_s",), False),
        ("45322", ("excel",), True),
        ("no time", (), False),
    ],
)
def test_a_time_without_a_zone_can_be_told(text: str, dates: tuple[str, ...], naive: bool) -> None:
    assert is_naive_time(text, ColumnFormat(dates=dates)) is naive


@pytest.mark.parametrize("word", ["NA", "N/A", "NaN", "null", "None", "\\N", "?", "#N/A", ""])
def test_standard_words_for_missing_are_categories_in_strings_alone(word: str) -> None:
    kinds: tuple[Kind, ...] = ("number", "integer", "boolean", "timestamp")
    assert {parse_cell(word, kind, PLAIN) for kind in kinds} == {None}
    assert parse_cell(word, "string", PLAIN) == (word or None)
    assert parse_cell(word, "string", ColumnFormat(missing=(word,))) is None


def test_words_missing_in_the_whole_table_are_missing_in_every_column() -> None:
    table = TableFormat(missing=("NA",), columns={"a": ColumnFormat(missing=("-",))})
    assert [parse_cell(text, "string", table.column("a")) for text in ("NA", "-", "x")] == [
        None,
        None,
        "x",
    ]
    assert parse_cell("-", "string", table.column("b")) == "-"


def test_a_format_is_kept_without_the_place_of_its_table() -> None:
    params = FilesParams(kind="files", path="orders.csv", delimiter=";", missing=("NA",))
    assert params.table_format() == TableFormat(delimiter=";", missing=("NA",))


@pytest.mark.parametrize(
    ("text", "value"), [("Ja", True), ("FALSE", False), ("1", True), ("0.0", False), ("na", None)]
)
def test_booleans_are_read_from_their_words(text: str, value: bool | None) -> None:
    assert parse_cell(text, "boolean", PLAIN) is value


def test_declared_words_are_the_only_ones_for_a_boolean() -> None:
    form = ColumnFormat(true=("Besucht",), false=("Offen",))
    assert [parse_cell(text, "boolean", form) for text in ("besucht", "OFFEN")] == [True, False]
    with pytest.raises(ValueError, match="neither true nor false"):
        parse_cell("yes", "boolean", form)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("  BOEING \t", "BOEING"),
        ("\u00a0M\u00fcnchen\u202f", "M\u00fcnchen"),
        ("Mu\u0308nchen", "M\u00fcnchen"),
        ("\ufeffid", "id"),
        ("a\u200bb\u2060", "ab"),
        ("\u200d \u200ca", "a"),
        ("\u0645\u06cc\u200c\u062e", "\u0645\u06cc\u200c\u062e"),
        ("two  words", "two  words"),
        ("\u3000", ""),
    ],
)
def test_text_is_normalized(text: str, normal: str) -> None:
    assert normalize_text(text) == normal


@given(st.text())
def test_normal_text_stays_as_it_is(text: str) -> None:
    assert normalize_text(normalize_text(text)) == normalize_text(text)


@given(
    st.text(alphabet="0123456789.,-+()eE $%/: TZGM", max_size=20),
    st.sampled_from(["number", "integer", "boolean", "string", "timestamp"]),
    st.sampled_from([{}, EURO, DOLLAR, INDIAN, {"dates": ("%d.%m.%y", "epoch_ms", "excel")}]),
)
def test_any_text_is_a_value_or_refused_with_a_value_error(
    text: str, kind: Kind, form: dict[str, Any]
) -> None:
    # Whatever else it raised would be a failure.
    with suppress(ValueError):
        CellParser(kind, ColumnFormat(**form)).parse(text)


def test_one_mark_cannot_be_decimal_and_thousands() -> None:
    with pytest.raises(ValueError, match="must be different marks"):
        ColumnFormat(decimal=",", thousands=",")
