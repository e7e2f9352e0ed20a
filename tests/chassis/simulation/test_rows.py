"""Rows as clients send them, and as the source delivers them."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import pandas as pd
import pytest
from pydantic import TypeAdapter

from mlchassis.config.params import Params
from mlchassis.contract.model import Contract
from mlchassis.contract.schemas import request_model
from mlchassis.data.tables import coerce, read_table
from mlchassis.simulation.options import Plan, SimulationOptions, make_plan
from mlchassis.simulation.rows import DeliveredSource, TimedRows, hide_outcomes, to_records


@pytest.fixture
def rows(shop_contract: Contract, make_rows: Callable[..., pd.DataFrame]) -> TimedRows:
    """Orders of March to May, 200 a day."""
    table = coerce(make_rows(92, seed=1, start=datetime(2024, 3, 1, tzinfo=UTC)), shop_contract)
    return TimedRows(shop_contract, table, table["ordered_at"].dt.date)


@pytest.fixture
def plan(rows: TimedRows, fixed_params: Params) -> Plan:
    """March is the past."""
    ingest = fixed_params.ingest.model_copy(update={"as_of": "2024-03"})
    params = fixed_params.model_copy(update={"ingest": ingest})
    return make_plan(rows.months, rows.days.max(), params, SimulationOptions())


def test_rows_of_a_day_are_drawn_equally_each_time(rows: TimedRows) -> None:
    drawn = rows.draw(date(2024, 4, 2), 50, seed=3)
    assert len(drawn) == 50
    assert set(drawn["ordered_at"].dt.date) == {date(2024, 4, 2)}
    pd.testing.assert_frame_equal(drawn, rows.draw(date(2024, 4, 2), 50, seed=3))
    assert not drawn.index.equals(rows.draw(date(2024, 4, 2), 50, seed=4).index)
    assert len(rows.draw(date(2024, 4, 2), 1000, seed=3)) == 200


def test_records_keep_the_contract_of_requests(rows: TimedRows) -> None:
    records = to_records(rows.table[:100], rows.contract)
    record = request_model(rows.contract)
    assert len(TypeAdapter(list[record]).validate_python(records)) == 100  # type: ignore[valid-type]
    assert any(each["price"] is None for each in records)
    assert "returned" not in records[0]


def test_labels_are_hidden_from_a_day_on(rows: TimedRows) -> None:
    hidden = hide_outcomes(rows, date(2024, 5, 1)).table["returned"].isna()
    assert hidden.equals(pd.Series(rows.days >= date(2024, 5, 1)).rename("returned"))
    assert rows.table["returned"].notna().all()


def test_the_source_delivers_rows_first_and_labels_later(
    rows: TimedRows, plan: Plan, tmp_path: Path
) -> None:
    source = DeliveredSource(tmp_path, rows, plan)
    source.deliver_past()
    assert [path.stem for path in tmp_path.iterdir()] == ["2024-03"]
    assert read_table(tmp_path / "2024-03.parquet")["returned"].notna().all()
    source.remove_past()
    source.deliver(date(2024, 4, 8))
    assert [path.stem for path in tmp_path.iterdir()] == ["2024-04"]
    delivered = read_table(tmp_path / "2024-04.parquet")
    assert delivered["ordered_at"].max().date() == date(2024, 4, 7)
    labeled = delivered[delivered["returned"].notna()]
    assert labeled["ordered_at"].max().date() == date(2024, 4, 4)
