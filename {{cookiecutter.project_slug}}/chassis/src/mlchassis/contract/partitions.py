"""Partitions, the unit in which rows arrive: a month (UTC), or all rows where there is no time."""

from collections.abc import Iterator

import pandas as pd

from mlchassis.contract.model import Contract
from mlchassis.errors import ProjectError

WHOLE = "all"
"""Name of the only partition of a table without an event time."""
MONTH = "_month"
"""Column that tells the partitions of joined rows apart; no contract can name a column so."""


def split_by_month(rows: pd.DataFrame, contract: Contract) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield each month (UTC) with its rows in the order of event time and key.

    Raises:
        ProjectError: A row has no event time.
    """
    if contract.event_time is None:
        yield WHOLE, rows.reset_index(drop=True)
        return
    untimed = int(rows[contract.event_time.name].isna().sum())
    if untimed:
        raise ProjectError(
            f"{untimed} rows have no '{contract.event_time.name}', so they belong to no month; "
            "fix the source or leave them out there."
        )
    order = [column.name for column in (contract.event_time, contract.key) if column is not None]
    rows = rows.sort_values(order, kind="stable")
    timestamps = rows[contract.event_time.name]
    for (year, month), partition in rows.groupby(
        [timestamps.dt.year, timestamps.dt.month], sort=True
    ):
        yield f"{year:04d}-{month:02d}", partition.reset_index(drop=True)


def is_available(month: str, as_of: str | None) -> bool:
    """True if the month is at or before the last month that is available."""
    return as_of is None or month == WHOLE or month <= as_of
