"""Rows that `make forget` removed, recognized by a salted digest of one of their values.

`params.yaml` lists the digests, so that a source that still offers such a row does not bring it
back, on this machine or in any clone. A digest tells nobody's name; who knows a value can check
whether it is listed.
"""

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from mlchassis.config.source_params import ColumnFormat
from mlchassis.contract.cells import parse_cell
from mlchassis.contract.model import Column, Contract, Kind

Digests = Mapping[str, Sequence[str]]
"""`SALT:DIGEST` of each forgotten value, keyed by column."""


def spell_cell(cell: Any, kind: Kind) -> str | None:
    """One text for all ways in which a value of a kind is written; None for a missing one."""
    if cell is None or cell is pd.NaT or cell is pd.NA or cell != cell:
        return None
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    text = cell.isoformat() if isinstance(cell, datetime) else str(cell)
    try:
        value = parse_cell(text, kind, ColumnFormat())
    except ValueError:
        return text.strip()
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if kind == "number" and value is not None:
        return repr(float(value))
    return None if value is None else str(value)


def match_values(values: "pd.Series[Any]", kind: Kind, wanted: frozenset[str]) -> "pd.Series[bool]":
    """Mask of the cells that hold a wanted value, compared as `spell_cell` spells them."""
    distinct = values.dropna().unique()
    hits = [cell for cell in distinct if spell_cell(cell, kind) in wanted]
    return values.isin(hits)


def make_digest(column: str, value: str, known: Digests) -> str:
    """The entry of a value; all values of a project share one salt."""
    salts = [entry.partition(":")[0] for entries in known.values() for entry in entries]
    salt = salts[0] if salts else secrets.token_hex(16)
    return f"{salt}:{_digest(salt, column, value)}"


def drop_forgotten(
    rows: pd.DataFrame, contract: Contract, known: Digests
) -> tuple[pd.DataFrame, int]:
    """Rows without those that were forgotten, and how many these are."""
    forgotten = pd.Series(False, index=rows.index)
    for column in contract.columns:
        entries = known.get(column.name)
        if entries and column.name in rows:
            forgotten |= _match_entries(rows[column.name], column, entries)
    return rows[~forgotten], int(forgotten.sum())


def _match_entries(
    values: "pd.Series[Any]", column: Column, entries: Sequence[str]
) -> "pd.Series[bool]":
    by_salt: dict[str, set[str]] = {}
    for entry in entries:
        salt, _, digest = entry.partition(":")
        by_salt.setdefault(salt, set()).add(digest)
    spelled = {cell: spell_cell(cell, column.kind) for cell in values.dropna().unique()}
    hits = [
        cell
        for cell, text in spelled.items()
        if text is not None
        and any(_digest(salt, column.name, text) in listed for salt, listed in by_salt.items())
    ]
    return values.isin(hits)


def _digest(salt: str, column: str, value: str) -> str:
    return hashlib.sha256(f"{salt}\0{column}\0{value}".encode()).hexdigest()
