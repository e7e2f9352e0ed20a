"""Steps from month to month: units, names and gaps that change, and seasons that do not count."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlchassis.contract.model import Column, Contract, Kind, parse_contract
from mlchassis.data.shifts import LEAST_VALUES, find_shifts, find_target_shifts, measure_distance

pytestmark = pytest.mark.one_python
ROWS = 2000
MONTHS = [f"2013-{month:02d}" for month in range(1, 13)]
KINDS: dict[str, Kind] = {
    "heat": "number",
    "year": "integer",
    "count": "integer",
    "length": "number",
    "goal": "string",
}
COLUMNS = tuple(
    Column(name, kind, required=False, description="", examples=(), roles=frozenset({"feature"}))
    for name, kind in KINDS.items()
)


def make_months(count: int = 12, rows: int = ROWS) -> dict[str, pd.DataFrame]:
    """Heat with its seasons, a count that rises, a length and goals that hardly move."""
    draw = np.random.default_rng(1)
    return {
        month: pd.DataFrame(
            {
                "heat": draw.normal(55 - 22 * np.cos(2 * np.pi * k / 12), 9, rows),
                "year": np.full(rows, 2013 + k // 6),
                "count": np.arange(k * rows, (k + 1) * rows),
                "length": draw.lognormal(7, 0.6, rows),
                "goal": pd.Series(draw.choice(["ORD", "MIA", "ATL"], rows), dtype="string"),
            }
        )
        for k, month in enumerate(MONTHS[:count])
    }


def change(months: dict[str, pd.DataFrame], month: str, **values: Any) -> dict[str, pd.DataFrame]:
    return {**months, month: months[month].assign(**values)}


def test_seasons_a_year_that_ends_and_a_count_that_rises_are_no_steps() -> None:
    assert find_shifts(make_months(), COLUMNS, 0.8) == []


@pytest.mark.parametrize("month", MONTHS[4:])
def test_degrees_that_become_celsius_are_seen_in_any_season(month: str) -> None:
    months = make_months()
    celsius = (months[month]["heat"] - 32) / 1.8
    (step, *_) = find_shifts(change(months, month, heat=celsius), COLUMNS, 0.8)

    assert (step.column, step.month) == ("heat", month)
    assert "its unit or its meaning seems to have changed" in str(step)


@pytest.mark.parametrize("factor", [1 / 60, 60, 1.609, 0.3048])
def test_a_length_in_another_unit_is_seen_although_both_units_overlap(factor: float) -> None:
    months = make_months()
    changed = change(months, "2013-09", length=months["2013-09"]["length"] * factor)

    assert ("length", "2013-09") in {
        (s.column, s.month) for s in find_shifts(changed, COLUMNS, 0.8)
    }


def test_a_category_that_was_renamed_is_named_with_its_new_name() -> None:
    months = make_months()
    renamed = months["2013-03"]["goal"].replace("ORD", "CHI")
    (step, *_) = find_shifts(change(months, "2013-03", goal=renamed), COLUMNS, 0.8)

    assert "'ORD' (3" in str(step)
    assert "'CHI' (3" in str(step)


def test_a_category_that_comes_back_was_not_renamed() -> None:
    months = make_months()
    for month in MONTHS[4:6]:
        months[month] = months[month].assign(goal=months[month]["goal"].replace("ORD", "CHI"))

    assert [step.month for step in find_shifts(months, COLUMNS, 0.8)] == ["2013-05"]


def change_from(month: int, day: int, column: str, convert: Any) -> dict[str, pd.DataFrame]:
    """Convert a column from a day of a month on."""
    months = make_months()
    for k, name in enumerate(MONTHS[month:]):
        values = months[name][column].copy()
        first = day * ROWS // 30 if k == 0 else 0
        values.iloc[first:] = convert(values.iloc[first:])
        months[name] = months[name].assign(**{column: values})
    return months


@pytest.mark.parametrize("day", [3, 10, 15, 20, 27])
@pytest.mark.parametrize("month", range(1, 11))
def test_a_unit_that_changes_within_a_month_is_seen_even_in_the_first_ones(
    month: int, day: int
) -> None:
    seconds = change_from(month, day, "length", lambda values: values * 60)
    (step,) = find_shifts(seconds, COLUMNS, 0.8)

    late = MONTHS[month : month + 2]
    assert step.column == "length"
    assert step.month in late


@pytest.mark.parametrize("day", [3, 15, 27])
def test_what_is_renamed_or_no_longer_filled_within_a_month_is_seen(day: int) -> None:
    renamed = change_from(3, day, "goal", lambda values: values.replace("ORD", "CHI"))
    empty = change_from(3, day, "heat", lambda values: values * np.nan)

    assert {step.column for step in find_shifts(renamed, COLUMNS, 0.8)} == {"goal"}
    assert {step.column for step in find_shifts(empty, COLUMNS, 0.8)} == {"heat"}


def test_what_moves_every_quarter_moves_with_time_and_is_no_step() -> None:
    months = {
        month: rows.assign(length=rows["length"] * 10.0 ** (k // 3))
        for k, (month, rows) in enumerate(make_months().items())
    }

    assert find_shifts(months, COLUMNS, 0.8) == []


def test_rare_words_are_not_renamed_by_chance() -> None:
    draw = np.random.default_rng(4)
    months = {
        month: rows.assign(goal=pd.Series(draw.zipf(1.5, 200).astype(str), dtype="string"))
        for month, rows in make_months(rows=200).items()
    }

    assert find_shifts(months, COLUMNS, 0.8) == []


@pytest.mark.parametrize("goals", [["ORD", "MIA"], ["ORD", "MIA", "ATL", "LAX"]])
def test_a_category_that_only_vanishes_or_only_comes_is_no_step(goals: list[str]) -> None:
    drawn = pd.Series(np.random.default_rng(2).choice(goals, ROWS), dtype="string")
    months = make_months()

    assert find_shifts(change(months, "2013-12", goal=drawn), COLUMNS, 0.8) == []


def test_a_column_that_is_no_longer_filled_is_seen() -> None:
    months = make_months()
    empty = pd.Series(pd.NA, index=range(ROWS), dtype="string")
    (step,) = find_shifts(change(months, "2013-12", goal=empty), COLUMNS, 0.8)

    assert step.description == "100% of the rows have no value, before 0%"


def test_a_month_that_has_just_begun_is_not_compared() -> None:
    months = make_months()
    begun = months["2013-12"].assign(length=0.1)

    assert find_shifts({**months, "2013-12": begun[: LEAST_VALUES + 1]}, COLUMNS, 0.8) == []


def test_small_months_are_no_steps_by_chance() -> None:
    for _ in range(3):
        assert find_shifts(make_months(rows=LEAST_VALUES), COLUMNS, 0.8) == []


def test_the_distance_is_that_of_kolmogorov_and_smirnov() -> None:
    from scipy.stats import ks_2samp

    draw = np.random.default_rng(3)
    one, other = np.sort(draw.normal(size=80)), np.sort(draw.normal(0.5, 2, size=130))

    assert measure_distance(one, other) == pytest.approx(ks_2samp(one, other).statistic)


def make_outcomes(seed: int, proportions: list[float], rows: int = 400) -> dict[str, pd.DataFrame]:
    """Draw the outcomes of months with these proportions of yes."""
    draw = np.random.default_rng(seed)
    return {
        f"2013-{k + 1:02d}": pd.DataFrame({"late": pd.array(draw.random(rows) < proportion)})
        for k, proportion in enumerate(proportions)
    }


def contract_of(kind: str) -> Contract:
    target: dict[str, Any] = {"name": "late", "logicalType": kind, "tags": ["target"]}
    if kind == "string":
        target["enum"] = [{"value": label} for label in "abc"]
    feature = {"name": "x", "logicalType": "number", "tags": ["feature"]}
    schema = [{"properties": [target, feature]}]
    return parse_contract(
        json.dumps({"apiVersion": "v3.2.0", "version": "1.0.0", "schema": schema})
    )


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(
    "proportions",
    [
        [0.3] * 12,
        [0.3 + 0.1 * np.sin(k / 2) for k in range(12)],
        [0.1 + 0.05 * k for k in range(12)],
        [0.02] * 12,
    ],
)
def test_outcomes_with_chance_seasons_or_a_trend_are_no_shift(
    seed: int, proportions: list[float]
) -> None:
    assert find_target_shifts(make_outcomes(seed, proportions), contract_of("boolean"), 0.85) == []


@pytest.mark.parametrize("month", [1, 2, 4, 7, 11])
@pytest.mark.parametrize(("before", "after"), [(0.36, 0.98), (0.7, 0.2), (0.3, 0.65)])
def test_an_outcome_that_is_recorded_otherwise_is_found(
    before: float, after: float, month: int
) -> None:
    proportions = [before] * month + [after] * (12 - month)
    for seed in range(3):
        found = find_target_shifts(make_outcomes(seed, proportions), contract_of("boolean"), 0.85)
        assert [(step.column, step.month) for step in found] == [("late", f"2013-{month + 1:02d}")]
        assert "of the outcomes are 'true', before" in str(found[0])


def test_a_class_whose_proportion_changes_and_a_number_in_another_unit_are_found() -> None:
    draw = np.random.default_rng(1)
    classes = {
        month: pd.DataFrame({"late": draw.choice(["a", "b", "c"], 400, p=p)})
        for month, p in zip(MONTHS, [[0.5, 0.3, 0.2]] * 6 + [[0.1, 0.7, 0.2]] * 6, strict=True)
    }
    assert [s.month for s in find_target_shifts(classes, contract_of("string"), 0.85)] == [
        "2013-07"
    ]
    numbers = {
        month: pd.DataFrame({"late": draw.lognormal(2, 0.5, 400) * (60 if k > 5 else 1)})
        for k, month in enumerate(MONTHS)
    }
    assert [s.month for s in find_target_shifts(numbers, contract_of("number"), 0.85)] == [
        "2013-07"
    ]
