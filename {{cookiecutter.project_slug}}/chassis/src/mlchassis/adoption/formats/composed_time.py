"""Event times that lie in columns of year, month and perhaps day, hour and minute."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from mlchassis.adoption.inference.models import InferredFormat
from mlchassis.sources.composing import PARTS
from mlchassis.sources.parsing import parse_column

NAME = "event_time"
_LIMITS = {
    "year": (1900, 2100),
    "month": (1, 12),
    "day": (1, 31),
    "hour": (0, 23),
    "minute": (0, 59),
}
Composed = dict[str, tuple[str, ...]]


def find_composed(
    strings: pd.DataFrame, formats_by_column: Mapping[str, InferredFormat], event_time: str | None
) -> Composed:
    """Find a time that lies in several columns of a table without another time.

    Args:
        strings: The table as it is written.
        formats_by_column: Inferred format of each column.
        event_time: Value of the flag: a column's name or "none".

    Returns:
        The new column's name, and the columns that it is made of; empty if there is none.
    """
    if event_time not in (None, NAME) or NAME in strings:
        return {}
    if event_time is None and any(
        inferred.kind == "timestamp" for inferred in formats_by_column.values()
    ):
        return {}
    names = {
        part: name
        for name, inferred in formats_by_column.items()
        for part in PARTS
        if name.lower() == part and _holds_part(strings[name], inferred, part)
    }
    parts = [part for part in PARTS if part in names]
    # An hour without its day would be an hour of the month's first day.
    if len(parts) < 2 or parts != list(PARTS[: len(parts)]):
        parts = [part for part in PARTS[:2] if part in names]
    return {NAME: tuple(names[part] for part in parts)} if len(parts) > 1 else {}


def note_composed(composed: Composed) -> list[str]:
    """Return what a person should know about the composed time."""
    return [
        f"'{name}' is made of {', '.join(map(repr, parts))}, so that rows are split by time; if "
        "they are not times of an event, run again with --event-time none"
        for name, parts in composed.items()
    ]


def _holds_part(written: "pd.Series[Any]", inferred: InferredFormat, part: str) -> bool:
    if inferred.kind != "integer":
        return False
    values, _ = parse_column(written, "integer", inferred.form)
    low, high = _LIMITS[part]
    present = values.dropna()
    return bool(len(present)) and bool(present.between(low, high).all())
