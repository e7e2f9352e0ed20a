"""Dependence between rows, which makes a random split wrong."""

from collections.abc import Mapping
from dataclasses import replace

import pandas as pd

from mlchassis.adoption.columns.plan import Ask, RoleOverrides
from mlchassis.adoption.columns.profile import ColumnFacts
from mlchassis.config.params import SplitParams
from mlchassis.contract.model import Contract
from mlchassis.data.dependence import find_things, measure_neighbors
from mlchassis.evaluation.metrics import encode_target


def list_groups(
    table: pd.DataFrame, facts: Mapping[str, ColumnFacts], overrides: RoleOverrides
) -> dict[str, float]:
    """List columns that may name what several rows are about: rows for each value, by name.

    Their values say so (rows of one value agree in other columns), or their name does.
    """
    special = (overrides.target, overrides.key, overrides.event_time, *overrides.leakage)
    columns = {
        name: column
        for name, column in facts.items()
        if name not in special and column.kind in ("string", "integer") and not column.has_sentences
    }
    by_value = find_things(table, {name: column.distinct for name, column in columns.items()})
    by_name = {
        name: column.present / column.distinct
        for name, column in columns.items()
        if column.may_be_group
    }
    return by_name | by_value


def ask_group(
    groups: Mapping[str, float],
    facts: Mapping[str, ColumnFacts],
    overrides: RoleOverrides,
    ask: Ask,
) -> RoleOverrides:
    """Ask whether rows of one thing stay together, where no time could split them."""
    timed = any(c.may_be_event_time and c.named_as_event_time for c in facts.values())
    if overrides.group is not None or (timed and overrides.event_time != "none"):
        return overrides
    for name, rows in groups.items():
        question = (
            f"'{name}' repeats ({rows:.1f} rows for each value). Are its rows about the same "
            "person or thing, so that they must stay together?"
        )
        if ask(question, False):
            return replace(overrides, group=name)
    return overrides


def note_dependence(
    labeled: pd.DataFrame, contract: Contract, split: SplitParams, groups: Mapping[str, float]
) -> list[str]:
    """Note the assumption of a random split, and the evidence against it."""
    if split.strategy == "group":
        return []
    notes = []
    if split.strategy == "random":
        notes.append(
            "rows are split at random, which is right only if future rows are like a random "
            "sample of these; otherwise name a time with --event-time, or with --group a column "
            "whose rows belong together"
        )
        target = encode_target(labeled[contract.target.name].to_numpy(), contract.classes)
        autocorrelation = measure_neighbors(target, classes=bool(contract.classes))
        if autocorrelation is not None:
            notes.append(
                "neighboring rows of the file have similar outcomes (autocorrelation "
                f"{autocorrelation:.2f}): "
                "they may follow one another in time or be about the same entity, and then a "
                "random split is too optimistic; name --event-time or --group"
            )
    notes += [
        f"'{name}' may name what several rows are about ({rows:.1f} rows for each value); if rows "
        f"that share it must stay together, run again with --group '{name}'"
        for name, rows in groups.items()
    ]
    return notes
