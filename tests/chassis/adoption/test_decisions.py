"""Decisions of an adoption, printed as one table before anything changes."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlchassis.adoption.columns.plan import RoleOverrides
from mlchassis.adoption.formats.detect_source import DataLocation
from mlchassis.adoption.formats.overrides import FormatOverrides
from mlchassis.adoption.options import AdoptionOptions
from mlchassis.adoption.prepare import Adoption, prepare
from mlchassis.config.params import load_params, parse_params
from mlchassis.contract.model import parse_contract
from mlchassis.errors import ProjectError
from mlchassis.paths import Paths
from mlchassis.sources.registry import read_source


def make_table(rows: int = 600) -> pd.DataFrame:
    draw = np.random.default_rng(3)
    size = draw.normal(size=rows)
    return pd.DataFrame(
        {
            "город": draw.choice(["Москва", "Казань", "Тверь"], rows),
            "Preis": [f"{value:,.2f} €".translate(SWAP) for value in size * 900 + 5000],
            "e-mail": [f"a{number}@example.org" for number in range(rows)],
            "zip": [f"{number:05}" for number in draw.integers(0, 40, rows)],
            "grade": [*draw.integers(1, 9, rows - 12).astype(str), *["unknown"] * 12],
            "state": np.where(size + draw.normal(0, 0.3, rows) > 1, "back", "kept"),
        }
    )


SWAP = str.maketrans(",.", ".,")


def draft(paths: Paths, formats: FormatOverrides | None = None) -> list[str]:
    """The table of decisions for a file in cp1251, with params.yaml as it will be."""
    text = make_table().to_csv(index=False, sep=";").replace("€", "EUR")
    (paths.root / "shop.csv").write_bytes(text.encode("cp1251"))
    options = AdoptionOptions(
        DataLocation("shop.csv"),
        RoleOverrides(target="state"),
        formats=formats or FormatOverrides(),
    )
    adoption = prepare(paths, options, None, lambda _question, safe: safe)
    paths.params.write_text(adoption.params, encoding="utf-8")
    return list(adoption.decisions)


def find_row(lines: list[str], name: str) -> str:
    (row,) = [" ".join(line.split()) for line in lines if line.split()[:1] == [name]]
    return row


def test_every_decision_is_in_the_table(paths: Paths) -> None:
    lines = draft(paths)
    text = "\n".join(lines)

    assert "encoding: cp1251 (reads 'город', " in text
    assert "delimiter: ';'" in text
    assert "split: random" in text
    assert "the positive class is 'back' (--positive 'kept'" in text
    assert "number (decimal ,; thousands .; EUR)" in find_row(lines, "Preis")
    assert "EUR → " in find_row(lines, "Preis")
    assert "string" in find_row(lines, "zip")
    assert "'unknown' 12" in find_row(lines, "grade")
    assert "(not shown)" in find_row(lines, "e-mail")
    assert "@example.org" not in text


def test_flags_are_kept_in_params_so_that_ingest_repeats_them(paths: Paths) -> None:
    formats = FormatOverrides(
        encoding="cp1251",
        missing=("grade=1", "none"),
        text=frozenset({"grade"}),
    )
    lines = draft(paths, formats)
    source = load_params(paths.params).source

    assert source.kind == "files"
    assert (source.encoding, source.delimiter, source.missing) == ("cp1251", ";", ("none",))
    assert source.columns["grade"].missing == ("1",)
    assert source.columns["Preis"].affixes == ("EUR",)
    assert "string" in find_row(lines, "grade")


@pytest.mark.one_python
def test_the_table_of_a_wide_table_stays_short(paths: Paths) -> None:
    draw = np.random.default_rng(3)
    table = pd.DataFrame({f"m{number}": draw.normal(size=300) for number in range(200)})
    table["odd"] = [f"{value:.1f} kg" for value in draw.normal(80, 9, 300)]
    table["y"] = draw.choice(["a", "b"], 300)
    table.to_csv(paths.root / "wide.csv", index=False)
    options = AdoptionOptions(DataLocation("wide.csv"), RoleOverrides(target="y"))
    lines = prepare(paths, options, None, lambda _question, safe: safe).decisions

    assert len(lines) < 80
    assert "142 more columns" in lines[-1]
    assert "kg" in find_row(list(lines), "odd")


def write_days(paths: Paths, **parts: Any) -> None:
    """A table whose dates lie in several columns."""
    draw = np.random.default_rng(3)
    table = pd.DataFrame({**parts, "x": draw.normal(size=400)})
    table.assign(y=draw.choice(["a", "b"], 400)).to_csv(paths.root / "d.csv", index=False)


def prepare_days(paths: Paths, **overrides: Any) -> Adoption:
    options = AdoptionOptions(DataLocation("d.csv"), RoleOverrides(target="y", **overrides))
    return prepare(paths, options, None, lambda _question, safe: safe)


def test_a_date_in_several_columns_becomes_the_event_time(paths: Paths) -> None:
    hours = pd.date_range("2023-01-31 22:00", periods=400, freq="5h")
    write_days(paths, Year=hours.year, month=hours.month, day=hours.day, hour=hours.hour)
    adoption = prepare_days(paths)
    contract = parse_contract(adoption.contract)
    rows = read_source(parse_params(adoption.params).source, contract, paths.root)

    assert contract.event_time is not None
    assert list(rows[contract.event_time.name]) == list(hours.tz_localize("UTC"))
    assert parse_params(adoption.params).split.strategy == "time"
    assert [line for line in adoption.open_questions if "is made of 'Year', 'month', 'day'" in line]
    # What the parts say of the season stays.
    assert {"month", "hour"} <= {column.name for column in contract.features}


def test_a_date_in_several_columns_is_left_alone_where_somebody_says_so(paths: Paths) -> None:
    days = pd.date_range("2023-01-01", periods=400)
    write_days(paths, year=days.year, month=days.month, day=days.day)
    contract = parse_contract(prepare_days(paths, event_time="none").contract)

    assert contract.event_time is None
    assert "event_time" not in {column.name for column in contract.columns}


@pytest.mark.parametrize(
    "parts",
    [
        {"year": range(400), "month": [1] * 400},
        {"year": [2020] * 400, "month": [13, *[1] * 399]},
        {"month": [1] * 400, "day": [2] * 400},
        {"at": ["2023-01-05"] * 400, "year": [2020] * 400, "month": [1] * 400},
    ],
    ids=["no years", "no months", "no year", "another time"],
)
def test_columns_that_make_no_date_are_not_composed(paths: Paths, parts: Any) -> None:
    write_days(paths, **parts)

    assert "compose" not in prepare_days(paths).params


def test_a_part_that_is_no_number_is_refused_when_rows_are_read(paths: Paths) -> None:
    days = pd.date_range("2023-01-01", periods=400)
    write_days(paths, year=days.year, month=days.month, day=days.day)
    adoption = prepare_days(paths)
    contract, source = parse_contract(adoption.contract), parse_params(adoption.params).source
    write_days(paths, year=days.year, month=["May", *days.month[1:]], day=days.day)
    with pytest.raises(ProjectError, match=r"'month' holds .* in row 1"):
        read_source(source, contract, paths.root)
