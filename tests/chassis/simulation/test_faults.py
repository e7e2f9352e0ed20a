"""Faults: what they change, from which day on."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mlchassis.config.params import Params
from mlchassis.contract.model import Contract
from mlchassis.data.tables import coerce, read_table
from mlchassis.errors import ProjectError
from mlchassis.simulation.faults import FAULTS, World, apply_faults, read_faults
from mlchassis.simulation.options import SimulationOptions, make_plan
from mlchassis.simulation.rows import DeliveredSource, TimedRows, make_timed

DAY = date(2024, 4, 10)


@pytest.fixture
def rows(shop_contract: Contract, make_rows: Callable[..., pd.DataFrame]) -> TimedRows:
    """Orders of March to May, 200 a day."""
    table = make_rows(92, seed=1, start=datetime(2024, 3, 1, tzinfo=UTC))
    return make_timed(shop_contract, coerce(table, shop_contract))


def switch_on(rows: TimedRows, text: str) -> World:
    return apply_faults(rows, read_faults([text], rows))


def take_later(rows: TimedRows) -> pd.DataFrame:
    return rows.table[(rows.days >= DAY).to_numpy()]


@pytest.mark.parametrize("name", FAULTS)
def test_nothing_changes_before_the_day(rows: TimedRows, name: str) -> None:
    world = switch_on(rows, f"{name}@{DAY}")
    for changed in (world.sent, world.stored):
        before = changed.table[(changed.days < DAY).to_numpy()]
        pd.testing.assert_frame_equal(before, rows.table[(rows.days < DAY).to_numpy()])
    assert world.sent.table.index.equals(rows.table.index)


def test_a_number_arrives_in_another_unit(rows: TimedRows) -> None:
    world = switch_on(rows, f"unit-change@{DAY}")
    ratio = take_later(world.sent)["size"] / take_later(rows)["size"]
    assert ratio.to_numpy() == pytest.approx(1.609344)
    pd.testing.assert_frame_equal(world.sent.table, world.stored.table)


def test_the_most_common_category_is_renamed(rows: TimedRows) -> None:
    world = switch_on(rows, f"renamed-category@{DAY}")
    assert set(take_later(world.sent)["shop"]) == {"htron", "south", "east", "west"}
    assert set(take_later(world.stored)["shop"]) == {"htron", "south", "east", "west"}


def test_three_of_ten_values_are_missing(rows: TimedRows) -> None:
    world = switch_on(rows, f"null-spike:season@{DAY}")
    assert take_later(world.sent)["season"].isna().mean() == pytest.approx(0.3, abs=0.01)


def test_the_outcome_overwrites_a_number_of_the_source_alone(rows: TimedRows) -> None:
    world = switch_on(rows, f"leaked-label:season@{DAY}")
    leaked = take_later(world.stored)
    assert leaked.groupby("returned")["season"].nunique().tolist() == [1, 1]
    assert leaked["season"].nunique() == 2
    pd.testing.assert_frame_equal(world.sent.table, rows.table)


def test_the_source_has_every_row_twice(rows: TimedRows) -> None:
    world = switch_on(rows, f"doubled-join@{DAY}")
    assert take_later(world.stored)["order_id"].value_counts().eq(2).all()
    assert len(world.sent.table) == len(rows.table)


def test_equal_inputs_have_other_outcomes(rows: TimedRows) -> None:
    world = switch_on(rows, f"concept-change@{DAY}")
    before, after = take_later(rows), take_later(world.sent)
    large = (before["size"] > before["size"].median()).to_numpy(dtype=bool)
    changed = (before["returned"] != after["returned"]).to_numpy(dtype=bool)
    assert np.array_equal(changed, large)
    inputs = ["size", "price", "shop"]
    pd.testing.assert_frame_equal(before[inputs], after[inputs])


def test_a_late_partition_arrives_after_thirty_days(
    rows: TimedRows, fixed_params: Params, tmp_path: Path
) -> None:
    ingest = fixed_params.ingest.model_copy(update={"as_of": "2024-03"})
    params = fixed_params.model_copy(update={"ingest": ingest})
    plan = make_plan(rows.months, rows.days.max(), params, SimulationOptions())
    source = DeliveredSource(tmp_path, rows, plan, late_from=DAY)
    source.deliver(date(2024, 5, 8))
    april = read_table(tmp_path / "2024-04.parquet")
    assert april["ordered_at"].max().date() == date(2024, 4, 9)
    source.deliver(date(2024, 5, 15))
    april = read_table(tmp_path / "2024-04.parquet")
    assert april["ordered_at"].max().date() == date(2024, 4, 14)


@pytest.mark.parametrize("text", ["", "unit-change", "unit-change@soon", "flood@2024-04-10", "@"])
def test_a_text_that_names_no_fault_is_refused(rows: TimedRows, text: str) -> None:
    with pytest.raises(ProjectError, match="NAME@DATE"):
        read_faults([text], rows)


def test_a_column_that_is_not_there_is_refused(rows: TimedRows) -> None:
    with pytest.raises(ProjectError, match="no column 'weight'"):
        read_faults([f"unit-change:weight@{DAY}"], rows)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("unit-change:shop", "'shop' is a feature of kind string, and unit-change changes number"),
        ("renamed-category:size", "'size' is a feature of kind number, and renamed-category"),
        ("concept-change:returned", "'returned' is not a feature that is logged, so"),
        ("null-spike:ordered_at", "'ordered_at' is not a feature that is logged"),
        ("null-spike:customer", "'customer' is not a feature that is logged"),
    ],
)
def test_a_column_that_the_fault_cannot_change_is_refused(
    rows: TimedRows, text: str, sentence: str
) -> None:
    with pytest.raises(ProjectError, match=sentence):
        read_faults([f"{text}@{DAY}"], rows)


def test_values_of_strings_can_be_missing(rows: TimedRows) -> None:
    gone = take_later(switch_on(rows, f"null-spike:shop@{DAY}").sent)["shop"].isna()
    assert gone.mean() == pytest.approx(0.3, abs=0.02)
