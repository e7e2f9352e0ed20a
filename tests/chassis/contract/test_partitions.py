"""Rows arrive by months of UTC."""

import pandas as pd
import pytest

from mlchassis.contract.model import Contract, parse_contract
from mlchassis.contract.partitions import WHOLE, is_available, split_by_month
from mlchassis.data.tables import coerce
from mlchassis.errors import ProjectError

TIMED = """
apiVersion: v3.2.0
version: 1.0.0
schema:
  - properties:
      - {name: key, logicalType: string, tags: [key]}
      - {name: moment, logicalType: timestamp, required: true, tags: [event_time]}
      - {name: size, logicalType: number, tags: [feature]}
      - {name: answer, logicalType: number, tags: [target]}
"""


@pytest.fixture(scope="module")
def timed() -> Contract:
    return parse_contract(TIMED)


def make_rows(timed: Contract, *moments: str | None) -> pd.DataFrame:
    size = len(moments)
    frame = pd.DataFrame({"moment": list(moments), "key": [f"k{size - i}" for i in range(size)]})
    return coerce(frame.assign(size=1.0, answer=1.0), timed)


def test_a_month_is_a_month_in_utc(timed: Contract) -> None:
    rows = make_rows(
        timed,
        "2013-02-01T00:00:00+00:00",
        "2013-01-31T23:59:59+00:00",
        "2013-01-31T20:00:00-05:00",
        "2012-12-01T00:00:00+00:00",
    )
    months = {month: len(batch) for month, batch in split_by_month(rows, timed)}

    assert list(months.items()) == [("2012-12", 1), ("2013-01", 1), ("2013-02", 2)]


def test_a_month_is_the_same_in_whatever_order_its_rows_come(timed: Contract) -> None:
    moments = ["2013-01-03T00:00:00Z", "2013-01-01T00:00:00Z", "2013-01-01T00:00:00Z"]
    rows = make_rows(timed, *moments)
    ((_, forwards),) = split_by_month(rows, timed)
    ((_, backwards),) = split_by_month(rows[::-1], timed)

    pd.testing.assert_frame_equal(forwards, backwards)
    assert forwards["key"].tolist() == ["k1", "k2", "k3"]


def test_no_row_is_lost_or_doubled(timed: Contract) -> None:
    days = pd.date_range("2012-11-20", periods=500, freq="7h", tz="UTC")
    rows = make_rows(timed, *(day.isoformat() for day in days))
    keys = [key for _, batch in split_by_month(rows, timed) for key in batch["key"]]

    assert sorted(keys) == sorted(rows["key"])


def test_rows_without_a_time_are_refused_since_they_belong_to_no_month(timed: Contract) -> None:
    rows = make_rows(timed, "2013-01-01T00:00:00Z", None, None)

    with pytest.raises(ProjectError, match="2 rows have no 'moment', so they belong to no month"):
        list(split_by_month(rows, timed))


def test_a_table_without_time_is_one_batch_that_has_always_arrived() -> None:
    contract = parse_contract(TIMED.replace(", tags: [event_time]", ""))
    rows = make_rows(contract, "2013-01-03T00:00:00Z", "2014-01-01T00:00:00Z")
    ((name, batch),) = split_by_month(rows, contract)

    pd.testing.assert_frame_equal(batch, rows)
    assert is_available(name, "1900-01")
    assert name == WHOLE


@pytest.mark.parametrize(
    ("month", "as_of", "arrived"),
    [
        ("2013-08", "2013-08", True),
        ("2013-07", "2013-08", True),
        ("2013-09", "2013-08", False),
        ("2012-12", "2013-08", True),
        ("2014-01", "2013-08", False),
        ("2014-01", None, True),
    ],
)
def test_a_month_has_arrived_up_to_and_with_the_last_one(
    month: str, as_of: str | None, arrived: bool
) -> None:
    assert is_available(month, as_of) is arrived
