"""Rows of the project's source, as clients send them and as the source delivers them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mlchassis.config.params import Params
from mlchassis.contract.model import Contract
from mlchassis.contract.partitions import split_by_month
from mlchassis.data.forgotten import drop_forgotten
from mlchassis.data.tables import coerce, write_table
from mlchassis.errors import ProjectError
from mlchassis.project import Workspace
from mlchassis.simulation.options import Plan, end_month
from mlchassis.sources.registry import read_source

Records = list[dict[str, Any]]
LATENESS = timedelta(days=30)
"""Time by which the rows of a late partition arrive later."""


@dataclass(frozen=True, slots=True)
class TimedRows:
    """Rows with an event time.

    Attributes:
        contract: Their contract.
        table: Rows in the order of time.
        days: Day (UTC) of each row.
    """

    contract: Contract
    table: pd.DataFrame
    days: "pd.Series[Any]"

    @property
    def months(self) -> list[str]:
        """Months of the rows, in their order."""
        return sorted(set(self.days.map(lambda day: day.strftime("%Y-%m"))))

    def draw(self, day: date, most: int, seed: int) -> pd.DataFrame:
        """Draw rows of a day, in the order of time."""
        places = np.flatnonzero((self.days == day).to_numpy())
        generator = np.random.default_rng([seed, day.toordinal()])
        chosen = generator.permutation(places)[:most]
        return self.table.iloc[np.sort(chosen)]


def read_rows(own: Workspace, params: Params, contract: Contract) -> TimedRows:
    """Read every row of the source.

    Raises:
        ProjectError: The contract has no event time, or the source cannot be read.
    """
    read = coerce(read_source(params.source, contract, own.root, own.project.source), contract)
    rows, _ = drop_forgotten(read, contract, params.ingest.forgotten)
    months = [part for _, part in split_by_month(rows, contract)]
    return make_timed(contract, pd.concat(months, ignore_index=True))


def make_timed(contract: Contract, table: pd.DataFrame) -> TimedRows:
    """Return rows with their days.

    Raises:
        ProjectError: The contract has no event time.
    """
    if contract.event_time is None:
        raise ProjectError(
            "The contract has no column tagged event_time, so rows cannot be played in the order "
            "of time; tag one in contract.yaml."
        )
    return TimedRows(contract, table, table[contract.event_time.name].dt.date)


def hide_outcomes(rows: TimedRows, known_before: date) -> TimedRows:
    """Return the rows without what is known only after the event, from a day on."""
    table = rows.table.copy()
    columns = [rows.contract.target.name, *(column.name for column in rows.contract.leakage)]
    table.loc[(rows.days >= known_before).to_numpy(), columns] = pd.NA
    return replace(rows, table=table)


def to_records(rows: pd.DataFrame, contract: Contract) -> Records:
    """Return rows as JSON records of a request."""
    columns = {column.name: _to_json(rows[column.name]) for column in contract.request_columns}
    return [
        dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
    ]


def _to_json(values: "pd.Series[Any]") -> list[Any]:
    if isinstance(values.dtype, pd.DatetimeTZDtype):
        return [None if pd.isna(value) else value.isoformat() for value in values]
    return [None if pd.isna(value) else value for value in values.tolist()]


@dataclass(frozen=True, slots=True)
class DeliveredSource:
    """Folder of Parquet files, one per month, from which the scratch project reads.

    Attributes:
        folder: Place of the files.
        rows: All rows, those of the future included.
        plan: Days of the simulation.
        late_from: Day from which on rows arrive late; None for never.
    """

    folder: Path
    rows: TimedRows
    plan: Plan
    late_from: date | None = None

    def deliver_past(self) -> None:
        """Write the months that the first model sees, with all their outcomes."""
        self._write([month for month in self.plan.months if month <= self.plan.start], self.rows)

    def remove_past(self) -> None:
        """Remove these months: the project has stored them, and a source may forget them."""
        for path in self.folder.glob("*.parquet"):
            if path.stem <= self.plan.start:
                path.unlink()

    def deliver(self, today: date) -> None:
        """Write the rows before a day; labels arrive later than rows."""
        known = hide_outcomes(self._select(today), today - self.plan.label_delay)
        self._write(known.months, known)

    def _select(self, today: date) -> TimedRows:
        days = self.rows.days
        arrived = (days >= end_month(self.plan.start)) & (days < today)
        if self.late_from is not None:
            arrived &= (days < self.late_from) | (days < today - LATENESS)
        chosen = arrived.to_numpy()
        return replace(self.rows, table=self.rows.table[chosen], days=self.rows.days[chosen])

    def _write(self, months: Sequence[str], rows: TimedRows) -> None:
        of_month = rows.days.map(lambda day: day.strftime("%Y-%m"))
        for month in months:
            chosen = (of_month == month).to_numpy()
            write_table(self.folder / f"{month}.parquet", rows.table[chosen])
