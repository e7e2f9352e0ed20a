"""Times that lie in several columns, such as year, month and day, made into one column."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from mlchassis.config.source_params import TableFormat
from mlchassis.errors import ProjectError
from mlchassis.sources.parsing import parse_column

PARTS = ("year", "month", "day", "hour", "minute")
"""Parts of a composed time, in the order of its columns; a missing day is the first one."""


def list_sources(form: TableFormat, names: set[str]) -> set[str]:
    """Return the columns that a table must have for the contract's columns of these names."""
    parts = {part for name in names for part in form.compose.get(name, ())}
    return names.difference(form.compose) | parts


def compose_times(rows: pd.DataFrame, form: TableFormat) -> pd.DataFrame:
    """Add the composed columns as text in ISO 8601; rows that lack a part have none.

    Raises:
        ProjectError: A part is not there, or is not a whole number.
    """
    composed = {}
    for name, parts in form.compose.items():
        absent = [part for part in parts if part not in rows]
        if absent:
            raise ProjectError(
                f"The source lacks the column '{absent[0]}', of which '{name}' is made "
                "(source.compose in params.yaml); add it to the source."
            )
        composed[name] = _join([_read_part(rows[part], form) for part in parts])
    if not composed:
        return rows
    whole = rows.assign(**composed)
    whole.attrs = rows.attrs
    return whole


def _read_part(written: "pd.Series[Any]", form: TableFormat) -> "pd.Series[Any]":
    values, invalid = parse_column(written, "integer", form.column(str(written.name)))
    if invalid.any():
        position = int(invalid.argmax())
        raise ProjectError(
            f"The source's column '{written.name}' holds no whole number in row {position + 1} "
            f"({invalid.sum()} such rows), but is part of a time (source.compose in params.yaml); "
            "correct the source."
        )
    return values


def _join(parts: Sequence["pd.Series[Any]"]) -> "pd.Series[Any]":
    values = dict(zip(PARTS, parts, strict=False))
    whole = pd.concat(parts, axis=1).notna().all(axis=1)
    texts = [
        _write({part: int(column.iloc[row]) for part, column in values.items()}) if there else None
        for row, there in enumerate(whole)
    ]
    return pd.Series(texts, index=parts[0].index, dtype="str")


def _write(values: Mapping[str, int]) -> str:
    date = f"{values['year']:04d}-{values['month']:02d}-{values.get('day', 1):02d}"
    return f"{date} {values.get('hour', 0):02d}:{values.get('minute', 0):02d}:00"
