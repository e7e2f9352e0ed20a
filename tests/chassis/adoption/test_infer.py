"""Columns are parsed where their format is clear, and stay text with a note where not."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pytest

from mlchassis.adoption.formats import dates
from mlchassis.adoption.formats.dates import try_time
from mlchassis.adoption.formats.overrides import (
    ColumnOverrides,
    FormatOverrides,
    resolve_overrides,
)
from mlchassis.adoption.inference.infer import infer_format, infer_formats
from mlchassis.adoption.inference.models import InferredFormat, TableContext
from mlchassis.config.source_params import ColumnFormat
from mlchassis.contract.cells import parse_cell
from mlchassis.errors import ProjectError


def infer(
    words: Sequence[Any], name: str = "x", overrides: ColumnOverrides | None = None, **context: Any
) -> InferredFormat:
    """The format of one column, in 2026."""
    values = pd.Series(words, dtype="str", name=name)
    return infer_format(
        values, context=TableContext(this_year=2026, **context), overrides=overrides
    )


def read(found: InferredFormat, words: Sequence[str]) -> list[Any]:
    """Cells as the inferred format reads them."""
    assert found.kind is not None
    return [parse_cell(word, found.kind, found.form) for word in words]


READ = [
    (["12.5%", "7%", "0.25%"], [12.5, 7.0, 0.25]),
    (["49.56 €", "1,049.56 €"], [49.56, 1049.56]),
    (["49,56 €", "1.049,56 €"], [49.56, 1049.56]),
    (["$1,234.50", "$7.00", "-$3.25"], [1234.5, 7.0, -3.25]),
    (["$1,200", "$950"], [1200, 950]),
    (["USD 7", "USD 12"], [7, 12]),
    (["CHF 1'049.50", "CHF 12.25"], [1049.5, 12.25]),
    (["(49.56)", "12.00"], [-49.56, 12.0]),
    (["$(1,049.56)", "$12.00"], [-1049.56, 12.0]),
    (["49.56-", "12.00"], [-49.56, 12.0]),
    (["50 kg", "62 kg"], [50, 62]),
    (["36 months", "60 months"], [36, 60]),
    (["21.5°C", "-3.0°C"], [21.5, -3.0]),
    (["1,23,456", "12,34,567.5"], [123456.0, 1234567.5]),
    (["₹1,00,000", "₹ 99,999"], [100000, 99999]),
    (["1 234,5", "12 345 678"], [1234.5, 12345678.0]),
    (["1\u202f234", "12"], [1234, 12]),
    (["0.123", "1.5"], [0.123, 1.5]),
    (["3.569e+01", "1.033e-02"], [35.69, 0.01033]),
    (["3,569e+01", "1,033e-02"], [35.69, 0.01033]),
    (["1e5", "2.5e-3"], [1e5, 2.5e-3]),
    (["-5", "03"], [-5, 3]),
    (["9007199254740993", "9007199254740992", "1"], [9007199254740993, 9007199254740992, 1]),
]


@pytest.mark.one_python
@pytest.mark.parametrize(("words", "values"), READ)
def test_numbers_are_read_as_people_write_them(words: list[str], values: list[Any]) -> None:
    found = infer(words)

    assert found.kind in ("number", "integer"), found
    assert read(found, words) == values
    assert not found.undecided


def test_points_group_thousands_where_another_column_has_decimal_commas() -> None:
    amounts = ["931", "1.440", "974", "688", "1.569"]
    table = pd.DataFrame({"menge": amounts, "preis": ["1,5", "2,25", "3,10", "12,99", "7,0"]})
    found = infer_formats(table, TableContext(delimiter=";"), {})["menge"]

    assert read(found, amounts) == [931, 1440, 974, 688, 1569]
    only = pd.DataFrame({"menge": ["1.440", "2.569", "3.974"], "preis": ["1,5", "2,25", "3,10"]})
    found = infer_formats(only, TableContext(delimiter=";"), {})["menge"]
    assert read(found, ["1.440"]) == [1440]


def test_commas_group_thousands_where_another_column_has_decimal_points() -> None:
    table = pd.DataFrame({"n": ["931", "1,440", "1,974"], "price": ["1.5", "2.25", "3.10"]})

    assert read(infer_formats(table, TableContext(), {})["n"], ["1,440", "931"]) == [1440, 931]
    decimals = pd.DataFrame({"n": ["1,440", "2,569"], "price": ["1,5", "2,25"]})
    found = infer_formats(decimals, TableContext(delimiter=";"), {})["n"]
    assert read(found, ["1,440"]) == [1.44]


@pytest.mark.parametrize("mark", [",", "."])
def test_a_mark_that_can_be_both_is_asked_about_or_left_as_text(mark: str) -> None:
    words = [f"{whole}{mark}{rest}" for whole in (1, 2, 31) for rest in (440, 569, 974)]
    found = infer(words, delimiter=";")

    assert (found.kind, found.undecided) == ("string", True)
    assert f"--decimal 'x={mark}' or --thousands 'x={mark}'" in found.note
    yes = infer(words, delimiter=";", ask=lambda question, safe: "group thousands" in question)
    assert read(yes, words[:1]) == [1440]
    no = infer(words, delimiter=";", ask=lambda question, safe: "decimal mark" in question)
    assert read(no, words[:1]) == [1.44]
    assert read(infer(words, overrides=ColumnOverrides(decimal=mark)), words[:1]) == [1.44]
    assert read(infer(words, overrides=ColumnOverrides(thousands=mark)), words[:1]) == [1440]


CODES = [
    ["01852", *(str(10000 + 7 * n) for n in range(513))],
    [f"0{n % 10:04}" if n % 40 == 0 else str(10000 + n % 380) for n in range(400)],
    ["9E5", "1000000", "12"],
    ["1E6", "1000000"],
    [f"{20240101000000000000 + n}" for n in range(400)],
    [f"{1541815603606036480 + 3 * n}" for n in range(400)],
    ["99999999999999999999", "1", "2"],
]


@pytest.mark.parametrize("words", CODES)
def test_codes_stay_text_and_it_is_said(words: list[str]) -> None:
    found = infer(words)

    assert found.kind == "string"
    assert read(found, words) == words
    assert "kept as text; if it is a magnitude, --number 'x'" in found.note
    assert not found.undecided


def test_a_code_is_a_number_where_somebody_says_so() -> None:
    assert infer(["01", "12"], ask=lambda question, safe: False).kind == "integer"
    assert infer(["01", "12"], overrides=ColumnOverrides(number=True)).kind == "integer"
    with pytest.raises(ProjectError, match=r"--number says that 'x' .*'y' \(1 row\).*--missing"):
        infer(["01", "12", "y"], overrides=ColumnOverrides(number=True))


@pytest.mark.parametrize(
    "name",
    [
        *("zip", "industry", "Occupation", "precinct", "store_id"),
        *("policePrecinct", "HomeDistrict", "storeId", "homeZip"),
    ],
)
def test_numbers_named_like_codes_are_categories(name: str) -> None:
    found = infer([str(n % 40) for n in range(400)], name)

    assert found.kind == "string"
    assert f"--number '{name}'" in found.note
    assert infer([str(n % 40) for n in range(400)], name, target=name).kind == "integer"


@pytest.mark.parametrize(
    ("words", "word"),
    [
        ([*["<0.5", ">100"] * 20, *map(str, range(60))], "<0.5"),
        (["<0.5", "1.5", "2.5", ">100"] * 9, "'<0.5' (9 rows), '>100' (9 rows) cannot be parsed"),
        (["12.5%", "0.3", "7%", "0.9"] * 9, "%"),
        (["50 kg", "500 g"] * 9, "several units"),
        (["1.5", "1,5"] * 9, "different decimal marks"),
        (["10 widgets", "12 widgets"], "widgets"),
        (["10:30", "11:45"], "durations"),
    ],
)
def test_what_looks_like_numbers_and_is_not_clear_stays_text_with_a_line(
    words: list[str], word: str
) -> None:
    found = infer(words)

    assert found.kind == "string"
    assert word in found.note


def test_names_with_numbers_are_text_without_a_line() -> None:
    for words in (["Room 12", "Room 13"], ["A12", "B7"], ["3rd", "4th"], ["K-00012", "K-00013"]):
        found = infer(words)
        assert (found.kind, found.note) == ("string", "")


def test_strange_words_are_counted_by_rows_and_said() -> None:
    few = [*map(str, range(100)), "broken", "unknown", "unknown"]
    found = infer(few)

    assert found.kind == "integer"
    assert found.form.missing == ("broken", "unknown")
    assert "'broken' (1 row) cannot be parsed as numbers and count as missing" in found.note
    assert found.missing == {"broken": 1, "unknown": 2}
    # One strange word of nine, but in one row of 900.
    assert infer([*[str(n % 8) for n in range(900)], "\\N", "error!"]).kind == "integer"
    # Ten strange words of a hundred, but in half of the rows.
    many = [*map(str, range(95)), *[f"bad {n % 5}" for n in range(95)]]
    found = infer(many)
    assert found.kind == "string"
    assert "looks like numbers" in found.note or found.note == ""


DATES = [
    (["20240101", "20240131", "20240229"], "order_date", datetime(2024, 1, 1, tzinfo=UTC)),
    (["31-JAN-24", "01-FEB-24"], "x", datetime(2024, 1, 31, tzinfo=UTC)),
    (["31-Jan-2024", "01-Feb-2024"], "x", datetime(2024, 1, 31, tzinfo=UTC)),
    (["Jan-24", "Feb-23"], "month", datetime(2024, 1, 1, tzinfo=UTC)),
    (["Jan-2018", "Feb-2019"], "issue_d", datetime(2018, 1, 1, tzinfo=UTC)),
    (["2020-Q1", "2020-Q2"], "x", datetime(2020, 1, 1, tzinfo=UTC)),
    (["1706659200", "1706745600"], "created_at", datetime(2024, 1, 31, tzinfo=UTC)),
    (["1706659200000", "1706745600000"], "timestamp", datetime(2024, 1, 31, tzinfo=UTC)),
    (["45322", "45323.5"], "Order Date", datetime(2024, 1, 31, tzinfo=UTC)),
    (["202401", "202402"], "month", datetime(2024, 1, 1, tzinfo=UTC)),
    (["31JAN2024", "01FEB2024"], "x", datetime(2024, 1, 31, tzinfo=UTC)),
    (["Wed Jan 31 2024 00:00:00 GMT+0000 (UTC)"] * 2, "x", datetime(2024, 1, 31, tzinfo=UTC)),
    (["Wed, 31 Jan 2024 00:00:00 +0000"] * 2, "x", datetime(2024, 1, 31, tzinfo=UTC)),
    (["01/31/2024 12:00:00 AM", "02/01/2024 1:00:00 PM"], "x", datetime(2024, 1, 31, tzinfo=UTC)),
    (["31.01.24", "01.02.24"], "x", datetime(2024, 1, 31, tzinfo=UTC)),
    (["31.12.1968", "01.02.2020"], "x", datetime(1968, 12, 31, tzinfo=UTC)),
    (["2024-01-31T00:00:00Z", "2024-02-01T10:00:00+02:00"], "x", datetime(2024, 1, 31, tzinfo=UTC)),
]


@pytest.mark.parametrize(("words", "name", "first"), DATES)
def test_dates_are_read_in_every_usual_form(words: list[str], name: str, first: datetime) -> None:
    found = infer(words, name)

    assert found.kind == "timestamp", found
    assert read(found, words)[0] == first
    assert None not in read(found, words)


def test_a_column_is_text_where_a_flag_says_so() -> None:
    found = infer(["17", "18", "19"], overrides=ColumnOverrides(text=True))
    assert (found.kind, found.note) == ("string", "")


def test_times_without_a_zone_are_noted() -> None:
    note = "times have no zone and are taken as UTC"
    assert note in infer(["2024-01-31 10:00", "2024-02-01 11:30"]).note
    assert note not in infer(["2024-01-31 10:00Z", "2024-02-01 11:30Z"]).note
    assert note not in infer(["2024-01-31", "2024-02-01"]).note


def test_years_of_two_digits_lie_in_the_hundred_that_holds_them_together() -> None:
    found = infer([f"01.01.{year % 100:02}" for year in range(1965, 2025)], "born")

    assert read(found, ["01.01.65", "01.01.24"])[0] == datetime(1965, 1, 1, tzinfo=UTC)
    assert "read as 1965 to 2024" in found.note
    assert found.form.newest_year is not None
    assert found.form.newest_year >= 2030, "tomorrow's rows are newer"
    later = infer(
        [f"01.01.{year % 100:02}" for year in range(1965, 2025)],
        overrides=ColumnOverrides(newest_year=2064),
    )
    assert read(later, ["01.01.64"]) == [datetime(2064, 1, 1, tzinfo=UTC)]
    full = infer([f"01.01.{year:02}" for year in range(100)], "born_date")
    assert full.kind == "string"
    assert "named like a time" in full.note


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["2024-01-31 10:00:00 EST", "2024-02-01 11:00:00 EST"], "ordered_at"),
        (["31. Januar 2024", "1. Mai 2024"], "Datum"),
        ([str(n * 37) for n in range(100)], "order_date"),
        ([f"202{n % 4}{n % 12 + 1:02}{n % 28 + 1:02}" for n in range(100)], "x"),
    ],
)
def test_what_may_be_a_time_and_is_not_read_as_one_is_said(words: list[str], name: str) -> None:
    found = infer(words, name)

    assert found.kind != "timestamp"
    assert f"--date-format '{name}=" in found.note


def test_numbers_with_names_of_durations_are_numbers_without_a_line() -> None:
    for name in ("time_in_hospital", "days", "duration", "response_time"):
        found = infer([str(n * 37) for n in range(100)], name)
        assert (found.kind, found.note) == ("integer", ""), name


def test_a_date_format_is_what_the_flag_says() -> None:
    overrides = ColumnOverrides(dates=("%d.%m.%y",), newest_year=1999)
    found = infer(["01.02.65", "NA"], overrides=overrides)

    assert read(found, ["01.02.65", "NA"]) == [datetime(1965, 2, 1, tzinfo=UTC), None]
    with pytest.raises(ProjectError, match=r"--date-format says that 'x' holds times, but '7'"):
        infer(["01.02.65", "7"], overrides=overrides)


def test_words_for_missing_values_are_categories_until_somebody_says_otherwise() -> None:
    words = ["NA", "None", "null", "DE", "FR", "nan"]
    table = pd.DataFrame({"country": words * 100, "x": [1.5] * 600})
    found = infer_formats(table, TableContext(), {})["country"]

    assert read(found, words) == words
    assert "'NA' (100 rows)" in found.note
    assert "--missing 'country=NA'" in found.note
    asked = infer_formats(table, TableContext(ask=lambda question, safe: "'NA'" in question), {})
    assert read(asked["country"], words)[:2] == [None, "None"]
    given = infer_formats(table, TableContext(missing=("None",)), {})["country"]
    assert "None" in given.missing


def test_a_word_that_the_numbers_of_a_table_use_for_missing_is_missing_among_words_too() -> None:
    table = pd.DataFrame({"mass": ["3750", "NA", "3250"], "sex": ["male", "NA", "female"]})
    found = infer_formats(table, TableContext(), {})

    assert found["sex"].form.missing == ("NA",)
    assert found["sex"].missing == {"NA": 1}
    # Of two-letter codes one is Namibia's; and who leaves cells empty writes no NA.
    table = table.assign(iso=["DE", "NA", "FR"], city=["Ulm", "NA", ""])
    found = infer_formats(table, TableContext(), {})
    assert found["iso"].possibly_missing == {"NA": 1}
    assert found["city"].possibly_missing == {"NA": 1}


@pytest.mark.parametrize("word", ["\\N", "?", "#N/A", "<NA>"])
def test_words_that_only_tools_write_are_missing_everywhere(word: str) -> None:
    among_words = infer(["red", word, "blue"])
    among_numbers = infer([*map(str, range(8)), *[word] * 400])

    assert read(among_words, ["red", word]) == ["red", None]
    assert (among_numbers.kind, read(among_numbers, ["7", word])) == ("integer", [7, None])


def test_flags_name_columns_or_all_of_them() -> None:
    given = FormatOverrides(
        decimal=("a=b=,", "."), missing=("a=b=n.a.", "=", "none"), thousands=("c=.",)
    )
    found = resolve_overrides(given, ["a=b", "c"])

    assert (found.of("a=b").decimal, found.of("c").decimal) == (",", ".")
    assert (found.of("a=b").missing, found.missing) == (("n.a.",), ("=", "none"))
    assert (found.of("a=b").thousands, found.of("c").thousands) == (None, ".")
    with pytest.raises(ProjectError, match=r"--decimal names the column 'd'"):
        resolve_overrides(FormatOverrides(decimal=("d=,",)), ["a", "c"])
    with pytest.raises(ProjectError, match=r"--text names the column 'kode'.*did you mean 'code'"):
        resolve_overrides(FormatOverrides(text=frozenset({"kode"})), ["code"])
    with pytest.raises(ProjectError, match=r"--thousands of 'a' is 'dot'"):
        resolve_overrides(FormatOverrides(thousands=("a=dot",)), ["a"])
    with pytest.raises(ProjectError, match=r"--newest-year is '65'"):
        resolve_overrides(FormatOverrides(newest_year=("65",)), ["a"])


def test_integers_of_typed_columns_stay_exact() -> None:
    values = pd.Series([2**53 + 1, None, 2**62], dtype="Int64")

    assert infer_format(values).kind == "integer"
    assert infer_format(pd.Series([1.0, 2.0])).kind == "integer"
    assert infer_format(pd.Series([1.0, 2.5])).kind == "number"


def test_columns_of_numbers_and_of_names_are_not_tried_in_every_form_of_dates(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried = []

    def count(string: str, form: ColumnFormat) -> datetime | None:
        tried.append(string)
        return try_time(string, form)

    monkeypatch.setattr(dates, "try_time", count)
    assert infer([f"{day}.12.2025" for day in range(1, 32)]).kind == "timestamp"
    assert len(tried) >= 31
    tried.clear()
    assert infer([f"{n * 0.731 - 300:.4f}" for n in range(3000)]).kind == "number"
    assert infer([f"town {n}" for n in range(3000)]).kind == "string"
    assert len(tried) < 300


def test_the_quick_look_at_a_format_misses_no_time_of_it() -> None:
    moments = [datetime(2024, 1, 2, 3, 4, 5, 6, UTC), datetime(1999, 12, 31, 23, 59, tzinfo=UTC)]
    formats = [date for date in dates._candidates(dates._DAY_FIRST) if "%" in date]
    assert len(formats) > 400
    for date in formats:
        for moment in moments:
            time = moment.strftime(date)
            wide = time.translate(str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩"))
            for string in (time, f" {time.lower()}", f"{time} UTC", wide, "x"):
                read = try_time(string, ColumnFormat(dates=(date,))) is not None
                assert dates._reads_any([string], date) == read, (date, string)
