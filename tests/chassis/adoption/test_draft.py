"""A drafted contract follows from the data and does not turn tomorrow's valid rows away."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlchassis.adoption.columns.plan import RoleOverrides
from mlchassis.adoption.columns.profile import profile
from mlchassis.adoption.columns.roles import plan_columns
from mlchassis.adoption.draft import draft_contract
from mlchassis.adoption.formats.detect_source import DataLocation
from mlchassis.adoption.options import AdoptionOptions
from mlchassis.adoption.table import read_columns
from mlchassis.contract.model import Column, Contract, parse_contract

ROWS = 600


def answer_safely(question: str, safe: bool) -> bool:
    return safe


def draft(columns: dict[str, Any], **overrides: Any) -> Contract:
    """The contract for columns as they were read, and a target of chance."""
    size = len(next(iter(columns.values())))
    table = pd.DataFrame(columns).convert_dtypes()
    table["late"] = pd.array(np.random.default_rng(0).random(size) < 0.5)
    table["other"] = np.random.default_rng(1).normal(size=size)
    options = AdoptionOptions(DataLocation("x"), RoleOverrides(target="late", **overrides))
    facts = profile(table, read_columns(table, options))
    plans = plan_columns(facts, {}, options.overrides, {}, answer_safely)
    return parse_contract(draft_contract("trips", "1.0.0", "it", plans, {}))


def draft_one(values: Any, name: str = "value", **overrides: Any) -> Column:
    return draft({name: values}, **overrides).column(name)


def repeat(values: list[Any], seed: int = 2) -> list[Any]:
    """Repeat values to `ROWS` rows in random order, each about as often."""
    return list(np.random.default_rng(seed).permutation(np.resize(values, ROWS)))


@pytest.mark.parametrize(
    "keys",
    [
        [*range(1000, 1000 + ROWS)],
        [f"K{number}" for number in range(8000, 8000 + ROWS)],
        [f"2024-{number:05}" for number in range(ROWS)],
    ],
)
def test_a_key_has_no_limit_that_the_next_one_breaks(keys: list[Any]) -> None:
    key = draft({"order_id": keys}).key

    assert key is not None
    assert (key.minimum, key.maximum, key.pattern) == (None, None, None)
    assert key.kind == "integer" or (key.max_length or 0) >= 64


@pytest.mark.parametrize(
    "name",
    [
        "id",
        "order_id",
        "orderId",
        "Order No",
        "orderNumber",
        "Bestellnr",
        "Kunden-Nr.",
        "Kundennummer",
    ],
)
def test_a_column_with_a_usual_name_of_keys_is_the_key(name: str) -> None:
    assert draft({name: [f"K{number}" for number in range(ROWS)]}).key is not None


@pytest.mark.parametrize("name", ["paid", "Jahr", "note", "monkey"])
def test_a_name_that_only_ends_like_a_key_is_none(name: str) -> None:
    assert draft({name: [f"K{number}" for number in range(ROWS)]}).key is None


LIMITS = [
    ("lat", np.linspace(24.5, 49.0, ROWS), 12, 62),
    ("long", np.linspace(-124.0, -67.0, ROWS), -153, -38),
    ("pressure", np.linspace(950, 1050, ROWS).astype(int), 900, 1100),
    ("distance", np.linspace(10, 2500, ROWS), 0.0, 3800.0),
    ("debt", -np.linspace(10, 2500, ROWS), -3800.0, 0.0),
    ("is_weekend", repeat([0, 0, 0, 0, 1]), 0, 1),
    ("hour", repeat([*range(5, 24)]), 0, 23),
    ("month", repeat([*range(3, 13)]), 1, 12),
    ("day_of_week", repeat([*range(1, 8)]), 0, 7),
    ("grade", repeat([1, 2, 3]), 1, 3),
]


@pytest.mark.parametrize(("name", "values", "low", "high"), LIMITS)
def test_limits_have_room_and_reach_zero_only_where_room_does(
    name: str, values: Any, low: float, high: float
) -> None:
    order = np.random.default_rng(3).permutation(ROWS)
    column = draft_one(np.asarray(values)[order], name)

    assert column.minimum == pytest.approx(low)
    assert column.maximum == pytest.approx(high)


def test_a_count_with_a_thin_end_has_room() -> None:
    column = draft_one(np.random.default_rng(4).poisson(1.0, ROWS), "children")

    assert column.minimum == 0
    assert (column.maximum or 0) > 5


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("year", repeat([94, 95])),
        ("model_year", repeat([2019, 2020, 2021])),
        ("built", repeat([*range(1950, 2012)])),
        ("odometer", [*range(10, 10 + 7 * ROWS, 7)]),
    ],
)
def test_what_grows_with_time_has_no_upper_limit(name: str, values: list[int]) -> None:
    column = draft_one(values, name)

    assert column.maximum is None
    assert column.minimum is not None


def test_a_year_may_be_a_duration() -> None:
    assert draft_one(repeat([*range(40)]), "years_since_visit").maximum is not None


def test_a_list_is_closed_only_if_all_words_were_clearly_seen() -> None:
    states = [f"S{chr(65 + k)}" for k in range(20)]
    columns = {
        "color": repeat(["red", "green", "blue"]),
        "state": repeat(states),
        "campaign": ["PALA"] * (ROWS // 2) + ["PALB"] * (ROWS // 2),
        "release": repeat(["v12", "v13"]),
        "seldom": repeat(["a"] * 199 + ["b"]),
    }
    contract = draft(columns)

    assert contract.column("color").values == ("blue", "green", "red")
    open_lists = [name for name in columns if contract.column(name).values is None]
    assert open_lists == ["state", "campaign", "release", "seldom"]


def test_columns_that_are_left_out_turn_no_row_away() -> None:
    columns = {
        "constant": ["x"] * ROWS,
        "outcome": repeat(["late", "early"]),
        "delay": np.linspace(0, 9, ROWS),
        "phone": ["+49 30 1234567"] * ROWS,
    }
    contract = draft(columns, leakage=frozenset({"outcome", "delay"}))

    for name in columns:
        column = contract.column(name)
        limits = (column.minimum, column.maximum, column.max_length, column.values)
        assert (column.required, *limits) == (False, None, None, None, None), name


def test_words_that_change_with_time_leave_the_list_open_whatever_the_order_of_rows() -> None:
    days = pd.date_range("2020-01-01", periods=ROWS)
    named = np.where(days < days[ROWS // 2], "first", "second")
    order = np.random.default_rng(5).permutation(ROWS)
    contract = draft({"day": days[order], "campaign": named[order]})

    assert contract.event_time is not None
    assert contract.column("campaign").values is None


def test_examples_are_ordinary_values() -> None:
    skewed = np.exp(np.random.default_rng(6).normal(10, 2, ROWS))
    days = pd.date_range("2020-01-01", periods=ROWS, tz="UTC")
    columns = {"income": skewed, "rooms": repeat([1, 2, 2, 3, 9]), "city": repeat(["a", "b", "b"])}
    contract = draft({**columns, "day": days})

    (income,) = contract.column("income").examples
    assert np.median(skewed) * 0.9 < income < np.median(skewed) * 1.1
    assert contract.column("rooms").examples == (2,)
    assert contract.column("day").examples == (days[(ROWS - 1) // 2].isoformat(),)


def test_examples_of_long_whole_numbers_are_exact() -> None:
    numbers = [2**52 + 7 * k for k in range(ROWS)]
    contract = draft({"item": pd.array(numbers * 2, dtype="Int64")})

    assert contract.column("item").examples[0] in numbers
