"""Columns of whole numbers that are codes, by their values: asked about, and read as text."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from mlchassis.adoption.columns.profile import MOST_CATEGORIES
from mlchassis.adoption.columns.roles import Ask
from mlchassis.adoption.formats.code_names import is_named_as_magnitude
from mlchassis.adoption.formats.dates import is_surely_named_as_time
from mlchassis.adoption.formats.infer import InferredFormat, infer_format
from mlchassis.adoption.formats.overrides import FormatOverrides, resolve_overrides
from mlchassis.evaluation.code_values import are_codes
from mlchassis.evaluation.metrics import Floats

_SIGN = "equal numbers have like outcomes, and neighboring numbers do not"


def settle_codes(
    words: pd.DataFrame,
    table: pd.DataFrame,
    readings: Mapping[str, InferredFormat],
    target: str,
    formats: FormatOverrides,
    known: Collection[str],
    ask: Ask,
) -> dict[str, InferredFormat]:
    """Ask whether columns whose values behave as codes are categories, and read them so.

    Of more values than a model tells apart, a category keeps less than the number does; there the
    column stays as it is, with a note.

    Args:
        words: Cells as the source gives them.
        table: The same in the kinds of the readings.
        readings: Inferred format of each column.
        target: The column to predict.
        formats: Format flags.
        known: Columns about which an earlier adoption has decided, or that make a time.
        ask: Settles doubts; gives the safe answer where nobody can be asked.
    """
    outcome = _measure_outcome(table[target])
    overrides = resolve_overrides(formats, list(readings))
    decided = {target, *known, *formats.text, *formats.number}
    settled = dict(readings)
    for name, reading in readings.items():
        if name in decided or not _may_be_code(table, name, reading):
            continue
        if not are_codes(table[name], outcome):
            continue
        different = int(table[name].nunique())
        if different > MOST_CATEGORIES:
            note = (
                f"{_SIGN}, so it is probably a code; it stays a number, since of {different:,} "
                f"categories a model tells {MOST_CATEGORIES} apart (--category '{name}' takes it "
                "as one)"
            )
            settled[name] = replace(reading, note="; ".join(filter(None, (reading.note, note))))
        elif ask(f"'{name}': {_SIGN}. Is it a code or a category, not a magnitude?", True):
            text = infer_format(words[name], overrides=replace(overrides.of(name), text=True))
            note = f"{_SIGN}: kept as text; if it is a magnitude, --number '{name}'"
            settled[name] = replace(text, note=note)
    return settled


def _may_be_code(table: pd.DataFrame, name: str, reading: InferredFormat) -> bool:
    """Return True for whole numbers that repeat, and whose name says nothing else."""
    if reading.kind != "integer" or is_named_as_magnitude(name) or is_surely_named_as_time(name):
        return False
    return bool(table[name].nunique() <= table[name].notna().sum() / 2)


def _measure_outcome(target: "pd.Series[Any]") -> Floats:
    """Numbers as they are; of classes, whether it is the commonest one."""
    if pd.api.types.is_numeric_dtype(target) and not pd.api.types.is_bool_dtype(target):
        return np.asarray(target.astype("Float64").to_numpy(na_value=np.nan), dtype=np.float64)
    commonest = (target == target.mode().iloc[0]).astype("Float64")
    return np.asarray(commonest.where(target.notna()).to_numpy(na_value=np.nan), dtype=np.float64)
