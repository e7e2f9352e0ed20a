"""Columns about persons are recognized by name and by value; others are not taken for such."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlchassis.adoption.columns.persons import find_personal_columns
from mlchassis.adoption.columns.plan import RoleOverrides
from mlchassis.adoption.formats.detect_source import DataLocation
from mlchassis.adoption.options import AdoptionOptions
from mlchassis.adoption.table import parse_table, read_columns

ROWS = 300
FIRST = ["Marcus", "Anna", "Li", "Joe", "Eva", "Tom", "Mary", "Ada", "James", "Olga"]
LAST = ["Gibbons", "O'Neil", "Wood", "Young", "Odag", "Smith-Ray", "Ng", "Kowalski", "de Vries"]


def find(columns: dict[str, Any]) -> dict[str, str]:
    words = pd.DataFrame({**columns, "y": np.resize(["a", "b"], ROWS)}).astype("str")
    options = AdoptionOptions(DataLocation("x"), RoleOverrides(target="y"))
    readings = read_columns(words, options)
    return find_personal_columns(parse_table(words, readings), readings)


def draw(values: list[str], seed: int = 1) -> list[str]:
    return list(np.random.default_rng(seed).choice(values, ROWS))


def make_names() -> tuple[list[str], list[str], list[str]]:
    """First names, last names (many of them), and both together."""
    first = draw(FIRST)
    numbers = np.random.default_rng(2).integers(97, 123, (ROWS, 3))
    last = [name + "".join(map(chr, part)) for name, part in zip(draw(LAST), numbers, strict=True)]
    return first, last, [f"{one} {other}" for one, other in zip(first, last, strict=True)]


def make_days() -> list[str]:
    days = np.random.default_rng(3).integers(0, 15_000, ROWS)
    return list((pd.Timestamp("1950-01-01") + pd.to_timedelta(days, unit="D")).strftime("%Y-%m-%d"))


@pytest.mark.parametrize(
    "name", ["first", "last", "middle", "surname", "First_Name", "lname", "patient name"]
)
def test_parts_of_names_are_recognized_by_their_column(name: str) -> None:
    assert name in find({name: make_names()[1]})


@pytest.mark.parametrize(
    "name",
    ["dob", "DOB", "date_of_birth", "birthDate", "birthday", "born", "Geburtsdatum", "birth_dt"],
)
def test_dates_of_birth_are_recognized(name: str) -> None:
    assert find({name: make_days()})[name] == "its name sounds like a date of birth"


def test_columns_that_proportion_words_with_a_name_are_parts_of_it() -> None:
    first, last, names = make_names()
    swapped = [f"{name.upper()}, {one}" for one, name in zip(first, last, strict=True)]
    columns = {"who": swapped, "a": first, "b": last, "whole": names, "town": draw(["x", "y"])}

    assert set(find(columns)) == {"who", "a", "b", "whole"}


VALUES = {
    "contact": [f"{name}@example.org".lower() for name in FIRST],
    "reach": ["+49 30 1234567", "+44 20 7946 0958", "030 123 4567", "(555) 555-0100"],
    "number": ["123-45-6789", "987-65-4320"],
    "host": ["192.168.0.1", "10.0.0.27", "172.16.4.200"],
    "payee": [f"DE{k:020}" for k in range(40)],
    "holder": [f"Dr. {first} {last}" for first in FIRST for last in LAST],
}


@pytest.mark.parametrize("name", VALUES)
def test_values_of_persons_are_recognized(name: str) -> None:
    assert name in find({name: list(np.resize(VALUES[name], ROWS))})


OTHERS = {
    "birth_weight": [f"{value:.1f}" for value in np.random.default_rng(4).normal(3, 1, ROWS)],
    "last": draw(["yes", "no"]),
    "first": [str(value) for value in range(ROWS)],
    "city": draw(["San Jose", "New York", "Paris", "St Paul", "Berlin", "Los Angeles"]),
    "title": [f"The {a} of {b}" for a, b in zip(draw(["War", "Sea"]), draw(["Rome"]), strict=True)],
    "airborne": draw(["yes", "no", "partly"]),
    "ship": draw(["fast", "slow"]),
    "brand": draw(["ford", "fiat", "saab", "opel", "audi", "seat"]),
    "version": draw(["1.2.3", "1.3.0", "2.0.1"]),
    "date": make_days(),
    "column_names": draw(["3", "4"]),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_columns_are_not(name: str) -> None:
    assert find({name: OTHERS[name]}) == {}


def test_a_product_s_name_makes_no_person_of_its_brand() -> None:
    names = [f"{brand} {k % 90}" for k, brand in enumerate(OTHERS["brand"])]

    assert set(find({"name": names, "brand": OTHERS["brand"]})) == {"name"}
