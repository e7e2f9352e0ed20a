"""Distributions on the data page equal plain counts."""

import json

import numpy as np
import pandas as pd
import pytest

from mlchassis.contract.model import parse_contract
from mlchassis.contract.partitions import MONTH
from mlchassis.data.distributions import describe_columns
from mlchassis.data.results.validation import CategoryFacts, ColumnFacts, NumberFacts
from mlchassis.data.tables import coerce

CONTRACT = parse_contract("""
apiVersion: v3.2.0
version: 1.0.0
schema:
  - properties:
      - {name: trip, logicalType: string, required: true, tags: [key]}
      - {name: at, logicalType: timestamp, required: true, tags: [event_time]}
      - {name: phone, logicalType: string, tags: [feature, pii]}
      - {name: length, logicalType: number, tags: [feature]}
      - {name: weekday, logicalType: integer, tags: [feature]}
      - {name: town, logicalType: string, tags: [feature], description: Where it begins}
      - {name: booked, logicalType: timestamp, tags: [feature]}
      - {name: nothing, logicalType: number, tags: [feature]}
      - {name: sex, logicalType: string, tags: [sensitive]}
      - {name: late, logicalType: boolean, tags: [target]}
""")
MONTHS = np.repeat(["2013-01", "2013-02"], 500)


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    draw = np.random.default_rng(1)
    frame = pd.DataFrame(
        {
            "trip": [str(k) for k in range(1000)],
            "at": pd.Timestamp("2013-01-01", tz="UTC"),
            "phone": "0123",
            "length": np.where(draw.random(1000) < 0.1, np.nan, draw.normal(50, 10, 1000)),
            "weekday": draw.integers(1, 8, 1000),
            "town": draw.choice([f"town {k}" for k in range(12)], 1000, p=[0.45, *[0.05] * 11]),
            "booked": pd.Timestamp("2013-01-01", tz="UTC"),
            "nothing": None,
            "sex": "f",
            "late": draw.random(1000) < 0.3,
        }
    )
    return coerce(frame, CONTRACT).assign(**{MONTH: MONTHS})


@pytest.fixture(scope="module")
def told(rows: pd.DataFrame) -> dict[str, ColumnFacts]:
    return describe_columns(rows, CONTRACT)


def test_columns_about_a_person_and_names_of_rows_are_not_told(
    told: dict[str, ColumnFacts],
) -> None:
    assert list(told) == ["length", "weekday", "town", "booked", "nothing", "sex", "late"]


def test_numbers_are_told_by_ranges_and_the_middle_of_each_month(
    rows: pd.DataFrame, told: dict[str, ColumnFacts]
) -> None:
    found, values = told["length"], rows["length"].dropna().to_numpy(dtype=float)
    assert isinstance(found, NumberFacts)
    assert sum(found.proportions) == pytest.approx(1)
    assert len(found.proportions) == len(found.edges) + 1
    low, high = found.edges[2:4]
    assert found.proportions[3] == pytest.approx(((values > low) & (values <= high)).mean())
    january = rows["length"][:500]
    assert found.typical["2013-01"] == pytest.approx(january.dropna().astype(float).median())
    assert found.missing["2013-01"] == pytest.approx(january.isna().mean())


def test_few_numbers_are_told_one_by_one_in_their_order(
    rows: pd.DataFrame, told: dict[str, ColumnFacts]
) -> None:
    found = told["weekday"]
    assert isinstance(found, CategoryFacts)
    assert list(found.values) == ["1", "2", "3", "4", "5", "6", "7"]
    assert found.values["3"] == pytest.approx((rows["weekday"] == 3).mean())


def test_words_are_told_by_how_often_they_come(
    rows: pd.DataFrame, told: dict[str, ColumnFacts]
) -> None:
    found, late = told["town"], told["late"]
    assert isinstance(found, CategoryFacts)
    assert isinstance(late, CategoryFacts)
    assert found.commonest == next(iter(found.values)) == "town 0"
    assert (len(found.values), found.distinct) == (8, 12)
    february = (rows["town"][500:] == "town 0").mean()
    assert found.typical["2013-02"] == pytest.approx(february)
    assert late.values["True"] == pytest.approx(rows["late"].mean())


def test_a_column_without_a_value_or_of_times_has_its_gaps_alone(
    told: dict[str, ColumnFacts],
) -> None:
    assert type(told["nothing"]) is type(told["booked"]) is ColumnFacts
    assert told["nothing"].missing == {"2013-01": 1.0, "2013-02": 1.0}


def test_the_largest_numbers_there_are_can_be_told(rows: pd.DataFrame) -> None:
    spread = np.finfo(float).max * np.tile([-1, 1], 500) * np.linspace(0.5, 1, 1000)
    found = describe_columns(rows.assign(length=spread), CONTRACT)["length"]
    json.dumps(found.model_dump(), allow_nan=False)


def test_no_rows_at_all_are_no_error() -> None:
    empty = coerce(pd.DataFrame(columns=[c.name for c in CONTRACT.columns]), CONTRACT)
    assert all(
        found.missing == {}
        for found in describe_columns(empty.assign(**{MONTH: []}), CONTRACT).values()
    )
