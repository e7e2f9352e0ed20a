"""A split is tried on the table before anything is written."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import ml_service
from mlchassis.adoption.split_choice import SplitChoice, choose_split, count_days
from mlchassis.config.params import Params, load_params
from mlchassis.contract.model import Contract, parse_contract
from mlchassis.data.splitting import check_splits, split_rows
from mlchassis.errors import ProjectError

ROOT = Path(ml_service.__file__).parents[2]
CONTRACT = """
apiVersion: v3.2.0
name: trips
version: 1.0.0
schema:
  - properties:
      - {name: day, logicalType: timestamp, required: true, tags: [TIME]}
      - {name: size, logicalType: number, tags: [feature]}
      - {name: town, logicalType: string}
      - {name: late, logicalType: string, tags: [target], enum: [{value: a}, {value: b}]}
"""


@pytest.fixture
def current() -> Params:
    return load_params(ROOT / "params.yaml")


def make_contract(*, time: bool) -> Contract:
    return parse_contract(CONTRACT.replace("[TIME]", "[event_time]" if time else "[]"))


def make_rows(rows: int, **columns: Any) -> pd.DataFrame:
    draw = np.random.default_rng(1)
    made = {
        "day": pd.date_range("2020-01-01", periods=rows, tz="UTC"),
        "size": draw.normal(size=rows),
        "town": draw.choice(list("pqrstuvwxyz"), rows),
        "late": draw.choice(["a", "b"], rows),
    }
    return pd.DataFrame({**made, **columns})


def choose(rows: pd.DataFrame, current: Params, *, time: bool = False, **options: Any) -> Any:
    """The choice, and the parts that it gives."""
    arguments = {"group": None, "keep": False, **options}
    contract = make_contract(time=time)
    choice = choose_split(rows, contract, arguments["group"], current, keep=arguments["keep"])
    parts = split_rows(rows, contract, choice.params, choice.seed)
    check_splits(parts, contract, choice.params)
    return choice, parts


@pytest.mark.parametrize("time", [True, False])
def test_too_few_rows_are_refused_in_one_sentence(current: Params, *, time: bool) -> None:
    with pytest.raises(ProjectError, match=r"has 60 rows with an outcome, too few .*; bring 100"):
        choose(make_rows(60), current, time=time)


def test_a_rare_class_is_in_every_part(current: Params) -> None:
    towns = np.repeat(np.arange(40), 50).astype(str)
    rare = np.isin(towns, ["3", "17", "21", "38"])
    rows = make_rows(2000, town=towns, late=np.where(rare, "b", "a"))
    choice, parts = choose(rows, current, group="town")

    assert choice.params.strategy == "group"
    assert all((part["late"] == "b").any() for part in parts.values())


def test_a_class_of_one_group_is_refused_with_the_ways_on(current: Params) -> None:
    towns = np.repeat(np.arange(40), 50).astype(str)
    rows = make_rows(2000, town=towns, late=np.where(towns == "3", "b", "a"))

    with pytest.raises(ProjectError) as refusal:
        choose(rows, current, group="town")
    assert "no row of class 'b' of 'late'; bring more rows, or run `make adopt` again" in str(
        refusal.value
    )
    assert str(refusal.value).endswith("again without --group.")


def test_a_class_that_ends_in_time_is_refused_with_a_command_that_goes_on(current: Params) -> None:
    late = np.where(np.arange(1200) < 240, np.resize(["a", "b"], 1200), "a")
    rows = make_rows(1200, late=late)

    with pytest.raises(ProjectError) as refusal:
        choose(rows, current, time=True)
    assert str(refusal.value) == (
        "The table's 1,200 rows cannot be split into training, validation and test data: The "
        "validation split has no row of class 'b' of 'late'; bring more rows, or run `make adopt` "
        'again with ARGS="--event-time none", which splits at random.'
    )
    assert choose(rows, current)[0].params.strategy == "random"


def test_one_of_several_classes_may_be_joined_with_another(current: Params) -> None:
    text = CONTRACT.replace("[TIME]", "[event_time]").replace(
        "{value: b}", "{value: b}, {value: c}"
    )
    kinds = np.where(np.arange(1200) < 240, np.resize(["a", "b", "c"], 1200), "a")
    kinds[240:] = np.resize(["a", "b"], 960)

    with pytest.raises(
        ProjectError, match=r"class 'c' .*, or merge a rare class with another one, or"
    ):
        choose_split(make_rows(1200, late=kinds), parse_contract(text), None, current, keep=False)


def test_the_days_are_more_where_a_class_is_missing_at_the_end(current: Params) -> None:
    late = np.where(np.arange(1200) < 1000, np.resize(["a", "b"], 1200), "a")
    late[700:1000] = "b"
    rows = make_rows(1200, late=late)
    choice, _ = choose(rows, current, time=True)

    assert choice.params.strategy == "time"
    assert choice.params.test_days > 0.2 * 1200


def test_months_that_are_days_are_whole_months(current: Params) -> None:
    months = pd.DatetimeIndex(["2018-01-01", "2018-02-01", "2018-03-01"], tz="UTC")
    rows = make_rows(9000, day=np.repeat(months, 3000))
    choice, parts = choose(rows, current, time=True)

    assert choice.params.strategy == "time"
    assert [set(part["day"]) for part in parts.values()] == [{month} for month in months]


def test_few_days_of_one_month_are_no_split_by_time(current: Params) -> None:
    days = pd.date_range("2018-01-01", periods=5, tz="UTC")
    rows = make_rows(1000, day=np.repeat(days, 200))

    assert count_days(rows, make_contract(time=True), 0.2) is None
    assert choose(rows, current, time=True)[0].params.strategy == "random"


def test_a_split_that_works_stays(current: Params) -> None:
    rows = make_rows(2000)
    own = current.split.model_copy(
        update={"strategy": "random", "test_proportion": 0.31, "min_rows": 100}
    )
    mine = current.model_copy(update={"split": own, "seed": 7})
    choice, _ = choose(rows, mine, keep=True)

    assert choice == SplitChoice(own, 7, "")
    assert choose(make_rows(300), mine, keep=True)[0].params != own
