"""Late labels: outcomes that arrived after the response, by the key of their row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from mlchassis.config.source_params import CustomParams, SqlParams
from mlchassis.contract.model import Column, Contract
from mlchassis.contract.table_checks import find_reasons
from mlchassis.data.forgotten import spell_cell
from mlchassis.data.tables import coerce
from mlchassis.errors import ProjectError
from mlchassis.evaluation.metrics import encode_target
from mlchassis.monitoring.source_rows import SourceRows
from mlchassis.printable import show_cell, show_value
from mlchassis.sources.parsing import INVALID_CELLS

Labels = Mapping[str, float]
"""Encoded target by the spelled key: the position of the class, or the number."""


@dataclass(frozen=True, slots=True)
class LabelTable:
    """Outcomes that have arrived.

    Attributes:
        by_key: Encoded outcomes.
        invalid: Number of outcomes that the contract does not allow; they are left out.
        ambiguous: Number of keys with different outcomes in several rows; they are left out.
        statement: Sentences on them, or on why there are no outcomes; else empty.
    """

    by_key: Labels = field(default_factory=dict)
    invalid: int = 0
    ambiguous: int = 0
    statement: str = ""


def has_labels(contract: Contract) -> bool:
    """Return whether rows of the log can be found in a table: they have a key that is logged."""
    return contract.key is not None and contract.key not in contract.pii


def read_labels(source: SourceRows) -> LabelTable:
    """Read every known outcome from the table of labels, or from the source itself.

    Raises:
        ProjectError: The table cannot be read, or lacks the key or the target.
    """
    contract = source.contract
    if contract.key is None:
        return LabelTable()
    key = contract.key
    target = contract.target
    rows = source.read_outcomes()
    missing = [column.name for column in (key, target) if column.name not in rows.columns]
    if missing:
        raise ProjectError(
            f"{_name_table(source)} lacks the column '{missing[0]}', by which labels are joined; "
            "add it, or name another table in monitor.labels of params.yaml."
        )
    keys = coerce(rows, replace(contract, columns=(key,)))[key.name]
    written = rows[target.name]
    outcomes = read_outcomes(written, contract)
    by_key, ambiguous = _join(key, keys, outcomes, contract)
    unreadable = rows.attrs.get(INVALID_CELLS, {}).get(target.name, [])
    invalid = [*unreadable, *written[written.notna() & outcomes.isna()].to_list()]
    total = int(written.notna().sum()) + len(unreadable)
    statements = (
        _describe_invalid(invalid, source, total),
        _describe_ambiguous(ambiguous, source),
    )
    return LabelTable(
        by_key=by_key,
        invalid=len(invalid),
        ambiguous=len(ambiguous),
        statement=" ".join(filter(None, statements)),
    )


def _join(
    key: Column, keys: "pd.Series[Any]", outcomes: "pd.Series[Any]", contract: Contract
) -> tuple[dict[str, float], list[str]]:
    """Return the encoded outcome of each spelled key, and the keys that have different ones."""
    known = keys.notna() & outcomes.notna()
    encoded = encode_target(outcomes[known].to_numpy(), contract.classes).tolist()
    spelled = [spell_key(value, key) for value in keys[known].to_list()]
    by_key = dict(zip(spelled, encoded, strict=True))
    different = (
        text for text, value in zip(spelled, encoded, strict=True) if by_key[text] != value
    )
    ambiguous = list(dict.fromkeys(different))
    for text in ambiguous:
        del by_key[text]
    return by_key, ambiguous


def read_outcomes(written: "pd.Series[Any]", contract: Contract) -> "pd.Series[Any]":
    """Return outcomes in the type of the target; missing where they are invalid.

    Args:
        written: Outcomes as the table writes them.
        contract: Contract with the target and its classes.
    """
    codes, different = pd.factorize(written)
    values = pd.Series(different, name=contract.target.name, dtype=object)
    read = _read_values(values, contract)
    if contract.classes:
        read = read.where(read.isin(list(contract.classes)))
    else:
        # An infinite number, or a word for a missing one such as -999, would be a huge error.
        target = replace(contract, columns=(contract.target,))
        table = coerce(read.infer_objects().to_frame(contract.target.name), target)
        read = read.where(~read.index.isin(find_reasons(table, target).index))
    outcomes: pd.Series[Any] = read.reindex(codes).set_axis(written.index)
    return outcomes


def _read_values(values: "pd.Series[Any]", contract: Contract) -> "pd.Series[Any]":
    """Return different outcomes in the type of the target; invalid ones are found by halves."""
    target = replace(contract, columns=(contract.target,))
    try:
        table = coerce(values.infer_objects().to_frame(), target)
    except ProjectError:
        if len(values) == 1:
            return pd.Series([None], index=values.index, dtype=object)
        middle = len(values) // 2
        halves = [_read_values(half, contract) for half in (values[:middle], values[middle:])]
        joined: pd.Series[Any] = pd.concat(halves)
        return joined
    read = table[contract.target.name]
    return read.astype(object).where(read.notna(), None)


def _describe_invalid(invalid: Sequence[Any], source: SourceRows, total: int) -> str:
    """Return a sentence about the outcomes that are left out; empty where there are none."""
    if not invalid:
        return ""
    target = source.contract.target
    classes = source.contract.classes
    allowed = f"none of the {len(classes)} classes" if classes else f"not {target.kind}s"
    shown = show_cell(invalid[0], personal="pii" in target.roles)
    return (
        f"{_name_table(source)}: {len(invalid):,} of {total:,} labels are left out, since they are "
        f"{allowed} of the deployed contract, such as {shown} in the column '{target.name}'; "
        "correct the table, or train and deploy a model with the new values."
    )


def _describe_ambiguous(keys: Sequence[str], source: SourceRows) -> str:
    """Return a sentence about the keys that are left out; empty where there are none."""
    if not keys:
        return ""
    have = "key has" if len(keys) == 1 else "keys have"
    return (
        f"{_name_table(source)}: {len(keys):,} {have} different outcomes in several rows, such as "
        f"{show_value(keys[0])}; these labels are left out, so keep one row of each key."
    )


def describe_strangers(labels: LabelTable, joined: int) -> str:
    """Return a sentence on labels of which none belongs to a response; empty if one does.

    Args:
        labels: Outcomes that have arrived.
        joined: Responses of the deployed model that have one.
    """
    if joined or not labels.by_key:
        return ""
    return (
        f"None of the {len(labels.by_key):,} labels has the key of a response of the deployed "
        f"model, such as {show_value(next(iter(labels.by_key)))}; if some should, compare how the "
        "table and the requests write the key."
    )


def _name_table(source: SourceRows) -> str:
    table = source.params.monitor.labels or source.params.source
    if isinstance(table, CustomParams):
        return "The source of project.py"
    return table.query if isinstance(table, SqlParams) else table.path


def spell_key(value: Any, key: Column) -> str:
    """Return a key as text, equal for the log and for a table."""
    return spell_cell(value, key.kind) or ""
