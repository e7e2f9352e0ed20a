"""Detection of codes among columns of whole numbers, by their values."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from mlchassis.adoption.columns.plan import Ask
from mlchassis.adoption.columns.profile import MAX_CATEGORIES
from mlchassis.adoption.formats.code_names import is_named_as_magnitude
from mlchassis.adoption.formats.dates import is_surely_named_as_time
from mlchassis.adoption.formats.overrides import ColumnOverrides, FormatOverrides, resolve_overrides
from mlchassis.adoption.inference.infer import infer_format
from mlchassis.adoption.inference.models import InferredFormat
from mlchassis.evaluation.code_values import are_codes
from mlchassis.evaluation.metrics import Floats

_SIGN = "equal numbers have similar outcomes, and neighboring numbers do not"


def resolve_codes(
    strings: pd.DataFrame,
    table: pd.DataFrame,
    formats_by_column: Mapping[str, InferredFormat],
    target: str,
    formats: FormatOverrides,
    known: Collection[str],
    ask: Ask,
) -> dict[str, InferredFormat]:
    """Ask whether columns whose values behave as codes are categories, and read them so.

    A column with more values than a model can distinguish stays a number, with a note.

    Args:
        strings: Cells as the source gives them.
        table: The same in the kinds of the readings.
        formats_by_column: Inferred format of each column.
        target: The column to predict.
        formats: Format flags.
        known: Columns about which an earlier adoption has decided, or that make a time.
        ask: Callback for the user's answer; the safe one where nobody can be asked.
    """
    outcome = _measure_outcome(table[target])
    overrides = resolve_overrides(formats, list(formats_by_column))
    decided = {target, *known, *formats.text, *formats.number}
    resolved = dict(formats_by_column)
    for name, inferred in formats_by_column.items():
        is_open = name not in decided and _may_be_code(table, name, inferred)
        if not is_open or not are_codes(table[name], outcome):
            continue
        categories = int(table[name].nunique())
        if categories > MAX_CATEGORIES:
            resolved[name] = _note_many_categories(name, inferred, categories)
        elif ask(f"'{name}': {_SIGN}. Is it a code or a category, not a magnitude?", True):
            resolved[name] = _read_as_text(strings[name], overrides.of(name))
    return resolved


def _note_many_categories(name: str, inferred: InferredFormat, categories: int) -> InferredFormat:
    """Note that a probable code stays a number, since a model would merge most of its values."""
    note = (
        f"{_SIGN}, so it is probably a code; it stays a number, since a model can distinguish "
        f"{MAX_CATEGORIES} of its {categories:,} categories (--category '{name}' makes it a "
        "category)"
    )
    return replace(inferred, note="; ".join(filter(None, (inferred.note, note))))


def _read_as_text(values: "pd.Series[Any]", overrides: ColumnOverrides) -> InferredFormat:
    text = infer_format(values, overrides=replace(overrides, text=True))
    note = f"{_SIGN}: kept as text; if it is a magnitude, --number '{values.name}'"
    return replace(text, note=note)


def _may_be_code(table: pd.DataFrame, name: str, inferred: InferredFormat) -> bool:
    """Return True for whole numbers that repeat, and whose name says nothing else."""
    if inferred.kind != "integer" or is_named_as_magnitude(name) or is_surely_named_as_time(name):
        return False
    return bool(table[name].nunique() <= table[name].notna().sum() / 2)


def _measure_outcome(target: "pd.Series[Any]") -> Floats:
    """Numbers as they are; of classes, whether it is the commonest one."""
    if pd.api.types.is_numeric_dtype(target) and not pd.api.types.is_bool_dtype(target):
        return np.asarray(target.astype("Float64").to_numpy(na_value=np.nan), dtype=np.float64)
    commonest = (target == target.mode().iloc[0]).astype("Float64")
    return np.asarray(commonest.where(target.notna()).to_numpy(na_value=np.nan), dtype=np.float64)
