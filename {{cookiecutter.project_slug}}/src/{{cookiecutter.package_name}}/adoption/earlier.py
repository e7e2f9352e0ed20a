"""What an earlier adoption of the table decided, which the next one goes on with."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from ..contract import Contract, load_contract
from ..paths import Paths
from ..source_params import ColumnFormat
from ..sources.parsing import parse_column
from .formats import Reading
from .plan import Wishes
from .redraft import split_text


@dataclass(frozen=True, slots=True)
class Earlier:
    """The contract of an earlier adoption.

    Attributes:
        reasons: By column, the comment that says why it is what it is.
    """

    contract: Contract
    text: str
    reasons: Mapping[str, str]

    @property
    def roles(self) -> dict[str, tuple[str, ...]]:
        """By column."""
        return {column.name: tuple(sorted(column.roles)) for column in self.contract.columns}

    def is_continued_by(self, contract: Contract) -> bool:
        """Whether a contract is for the same problem, so that its settings stay."""
        same_target = self.contract.target.name == contract.target.name
        names = {column.name for column in contract.columns}
        kept = [column.name in names for column in self.contract.features]
        return same_target and self.contract.task == contract.task and 2 * sum(kept) >= len(kept)


def read_earlier(paths: Paths, previous: Contract | None) -> Earlier | None:
    """The contract that is there, with its comments; None where it is the sample's."""
    if previous is None:
        return None
    text = paths.contract.read_text(encoding="utf-8")
    reasons = {name: column.reason for name, column in split_text(text).columns.items()}
    return Earlier(load_contract(paths.contract), text, reasons)


def continue_wishes(wishes: Wishes, earlier: Earlier | None, words: pd.DataFrame) -> Wishes:
    """What flags say now, else what they said the last time about the same target."""
    if earlier is None or earlier.contract.target.name != wishes.target:
        return wishes
    contract, found = earlier.contract, set(map(str, words[wishes.target].dropna().unique()))
    task = wishes.task
    if task is None and "--task" in earlier.reasons.get(wishes.target, ""):
        task = contract.task
    positive = wishes.positive
    two_words = contract.task == "binary" and contract.target.kind != "boolean"
    if positive is None and two_words and str(contract.classes[-1]) in found:
        positive = str(contract.classes[-1])
    return replace(wishes, task=task, positive=positive)


def keep_kinds(
    readings: Mapping[str, Reading], earlier: Earlier | None, target: str
) -> dict[str, Reading]:
    """Readings in which words stay words and fractions stay fractions, whatever is seen now."""
    before = {c.name: c.kind for c in earlier.contract.columns} if earlier else {}
    return {
        name: reading if name == target else _keep_kind(reading, before.get(name))
        for name, reading in readings.items()
    }


def keep_formats(
    readings: Mapping[str, Reading], stored: Mapping[str, ColumnFormat], words: pd.DataFrame
) -> dict[str, Reading]:
    """Readings in the formats of the last adoption, where every value still has that format.

    Args:
        readings: What each column would be taken for without it.
        stored: By column, the formats in `params.yaml`.
        words: The table as it is written.
    """
    return {
        name: _keep_format(reading, stored.get(name), words[name])
        for name, reading in readings.items()
    }


def _keep_format(
    reading: Reading, stored: ColumnFormat | None, values: "pd.Series[Any]"
) -> Reading:
    if stored is None or stored == reading.form or reading.kind is None:
        return reading
    _, invalid = parse_column(values, reading.kind, stored)
    return reading if invalid.any() else Reading(reading.kind, stored)


def _keep_kind(reading: Reading, before: str | None) -> Reading:
    if before == "string" and reading.kind != "string":
        return Reading("string", ColumnFormat())
    if before == "number" and reading.kind == "integer":
        return Reading("number", reading.form, reading.note)
    return reading
