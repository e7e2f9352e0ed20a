"""Reader of the prediction log: every segment of every worker, in memory that does not grow."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from mlchassis.contract.model import Contract
from mlchassis.prediction_log.reading import read_entries
from mlchassis.prediction_log.table import TORN

FORMAT = 1
CHUNK_ROWS = 20_000
_AHEAD = timedelta(days=400)
"""An event that far in the future is a mistake of the client."""
_SKEW = timedelta(days=1)
"""A response that far in the future is a mistake of the host's clock."""


@dataclass(frozen=True, slots=True)
class LoggedRow:
    """One line of the log.

    Attributes:
        day: Day (UTC) of the event; of the response where the contract has no event time.
        probabilities: Probabilities by class name; None for regression.
    """

    day: str
    key: Any
    inputs: dict[str, Any]
    prediction: Any
    probabilities: dict[str, float] | None
    digest: str
    contract_version: str
    time: str


@dataclass(slots=True)
class LogFacts:
    """Lines of the log by what became of them.

    Attributes:
        rows: Rows that were read.
        torn: Lines that are cut short, as by a killed process or a full disk.
        foreign: Lines of another format, or without a field.
        undated: Rows without an event time, or with one in the future that few others have; they
            are in no window.
        versions: Rows by the version of their contract.
        newest: Time of the newest response (ISO 8601) that is not in the future, as one of a clock
            that jumped is; empty without one.
    """

    rows: int = 0
    torn: int = 0
    foreign: int = 0
    undated: int = 0
    versions: dict[str, int] = field(default_factory=dict)
    newest: str = ""


def read_log(
    folder: Path, contract: Contract, now: datetime, facts: LogFacts, chunk_rows: int = CHUNK_ROWS
) -> Iterator[list[LoggedRow]]:
    """Read all rows that have a day, in chunks.

    Args:
        folder: Folder of the log.
        contract: Contract of the deployed model.
        now: Time from which on dates lie in the future.
        facts: Counts, which grow while the log is read.
        chunk_rows: Rows of a chunk.
    """
    uses_event_time = contract.event_time is not None and contract.event_time not in contract.pii
    latest = (now + (_AHEAD if uses_event_time else _SKEW)).date()
    soon = (now + _SKEW).astimezone(UTC).isoformat()
    chunk: list[LoggedRow] = []
    for entry in read_entries(folder):
        row = _read_row(entry, facts, uses_event_time=uses_event_time)
        if row is None:
            continue
        facts.rows += 1
        if row.time <= soon:
            facts.newest = max(facts.newest, row.time)
        facts.versions[row.contract_version] = facts.versions.get(row.contract_version, 0) + 1
        if not row.day or date.fromisoformat(row.day) > latest:
            facts.undated += 1
            continue
        chunk.append(row)
        if len(chunk) >= chunk_rows:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _read_row(entry: Any, facts: LogFacts, *, uses_event_time: bool) -> LoggedRow | None:
    if entry is TORN:
        facts.torn += 1
        return None
    try:
        if entry["format"] != FORMAT:
            raise ValueError(entry["format"])
        return LoggedRow(
            day=find_day(entry["event_time" if uses_event_time else "time"]),
            key=entry["key"],
            inputs=dict(entry["inputs"]),
            prediction=entry["prediction"],
            probabilities=entry["probabilities"],
            digest=_read_text(entry["digest"]),
            contract_version=_read_text(entry["contract_version"]),
            time=_read_text(entry["time"]),
        )
    except (KeyError, TypeError, ValueError):
        facts.foreign += 1
        return None


def _read_text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


@lru_cache(maxsize=4096)
def find_day(value: str | None) -> str:
    """Return the day (UTC) of a time in ISO 8601; none where it is missing or no time."""
    if value is None:
        return ""
    try:
        moment = datetime.fromisoformat(value)
        zoned = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return zoned.astimezone(UTC).date().isoformat()
    except (TypeError, ValueError, OverflowError):
        return ""
