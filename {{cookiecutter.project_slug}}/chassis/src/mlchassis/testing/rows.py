"""Rows that keep a contract, for the suites."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from mlchassis.contract.model import Contract
from mlchassis.contract.schemas import generate_rows
from mlchassis.data.tables import coerce

Row = dict[str, Any]


def complete_rows(contract: Contract, count: int, seed: int) -> list[Row]:
    """Draw values of every column but the target, none of them missing."""
    columns = tuple(
        replace(column, required=True, roles=frozenset({"feature"}))
        for column in contract.columns
        if column != contract.target
    )
    return generate_rows(replace(contract, columns=columns), count, seed)


def make_table(contract: Contract, rows: Sequence[Row], seed: int = 7) -> pd.DataFrame:
    """Return rows as a typed table with every column of the contract; the target is drawn."""
    table = pd.DataFrame(
        {
            column.name: pd.Series([row.get(column.name) for row in rows], dtype=object)
            for column in contract.columns
        }
    )
    table[contract.target.name] = draw_targets(contract, len(rows), seed)
    return coerce(table, contract)


def draw_targets(contract: Contract, count: int, seed: int) -> "pd.Series[Any]":
    """Draw values of the target: its classes, or numbers within its limits."""
    target = contract.target
    if contract.classes:
        chosen = np.random.default_rng(seed).integers(len(contract.classes), size=count)
        return pd.Series([contract.classes[k] for k in chosen], dtype=object)
    alone = replace(target, required=True, roles=frozenset({"feature"}))
    drawn = generate_rows(replace(contract, columns=(alone,)), count, seed)
    return pd.Series([row[target.name] for row in drawn], dtype=object)
