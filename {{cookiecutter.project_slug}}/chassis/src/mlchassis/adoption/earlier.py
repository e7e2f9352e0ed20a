"""Decisions of an earlier adoption of the same table."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import pandas as pd

from mlchassis.adoption.columns.plan import RoleOverrides
from mlchassis.adoption.formats.overrides import FormatOverrides
from mlchassis.adoption.inference.models import EarlierFormat
from mlchassis.adoption.redraft import split_text
from mlchassis.config.source_params import ColumnFormat
from mlchassis.contract.model import Contract, load_contract
from mlchassis.paths import Paths
from mlchassis.project import read_params


@dataclass(frozen=True, slots=True)
class EarlierAdoption:
    """The contract of an earlier adoption.

    Attributes:
        reasons: Comment with the reason of each decision, by column.
    """

    contract: Contract
    text: str
    reasons: Mapping[str, str]

    @property
    def roles(self) -> dict[str, tuple[str, ...]]:
        """Roles by column."""
        return {column.name: tuple(sorted(column.roles)) for column in self.contract.columns}

    def is_continued_by(self, contract: Contract) -> bool:
        """True if a contract is for the same problem, so that its settings stay."""
        same_target = self.contract.target.name == contract.target.name
        names = {column.name for column in contract.columns}
        kept = [column.name in names for column in self.contract.features]
        return same_target and self.contract.task == contract.task and 2 * sum(kept) >= len(kept)


def read_earlier(paths: Paths, previous: Contract | None) -> EarlierAdoption | None:
    """The contract that is there, with its comments; None where it is the sample's."""
    if previous is None:
        return None
    text = paths.contract.read_text(encoding="utf-8")
    reasons = {name: column.reason for name, column in split_text(text).columns.items()}
    return EarlierAdoption(load_contract(paths.contract), text, reasons)


def continue_roles(
    overrides: RoleOverrides, earlier: EarlierAdoption | None, strings: pd.DataFrame
) -> RoleOverrides:
    """Merge flags with earlier decisions on the same target; flags win."""
    if earlier is None or earlier.contract.target.name != overrides.target:
        return overrides
    contract = earlier.contract
    values = {str(value) for value in strings[overrides.target].dropna().unique()}
    task = overrides.task
    if task is None and "--task" in earlier.reasons.get(overrides.target, ""):
        task = contract.task
    positive = overrides.positive
    is_binary_text = contract.task == "binary" and contract.target.kind != "boolean"
    if positive is None and is_binary_text and str(contract.classes[-1]) in values:
        positive = str(contract.classes[-1])
    return replace(overrides, task=task, positive=positive)


def read_formats(
    paths: Paths, earlier: EarlierAdoption | None, target: str
) -> dict[str, EarlierFormat]:
    """Kinds and formats that columns had, but for the target's: they hold for new rows too."""
    if earlier is None:
        return {}
    source = read_params(paths).source
    formats = {} if source.kind == "custom" else source.columns
    return {
        column.name: (column.kind, formats.get(column.name, ColumnFormat()))
        for column in earlier.contract.columns
        if column.name != target
    }


def continue_formats(
    formats: FormatOverrides, paths: Paths, earlier: EarlierAdoption | None
) -> FormatOverrides:
    """Merge format flags with earlier decisions on the whole table; flags win."""
    source = read_params(paths).source if earlier else None
    if source is None or source.kind == "custom":
        return formats
    missing = formats.missing or source.missing
    return replace(formats, missing=missing, known_encoding=source.encoding)
