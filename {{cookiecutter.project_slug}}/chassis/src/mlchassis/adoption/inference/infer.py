"""Inference of the type and format of each column of a table.

A format that is clearly right is used. For an ambiguous one a person is asked; without an answer
the column stays text, with a note that names the flag which decides it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from mlchassis.adoption.formats.code_names import find_code_name, find_mixed_codes
from mlchassis.adoption.formats.dates import DateGuess, guess_dates
from mlchassis.adoption.formats.numbers import NumberGuess, find_code, guess_numbers
from mlchassis.adoption.formats.overrides import ColumnOverrides
from mlchassis.adoption.inference.decimal_mark import find_decimal
from mlchassis.adoption.inference.missing_values import (
    as_empty,
    as_text,
    declare_missing,
    drop_placeholders,
    resolve_missing,
)
from mlchassis.adoption.inference.models import InferredFormat, StringColumn, TableContext
from mlchassis.adoption.inference.notes import add_example, describe_numbers
from mlchassis.adoption.inference.parsing import match_format, require_format
from mlchassis.config.source_params import ColumnFormat
from mlchassis.contract.cells import FALSE_STRINGS, TRUE_STRINGS, normalize_text
from mlchassis.contract.model import Kind
from mlchassis.sources.parsing import is_text

_BOOLEAN_PAIRS = {
    frozenset(pair)
    for pair in (*zip(TRUE_STRINGS, FALSE_STRINGS, strict=False), ("tak", "nie"), ("s", "n"))
}


def infer_format(
    values: "pd.Series[Any]",
    *,
    day_first: bool = True,
    context: TableContext | None = None,
    overrides: ColumnOverrides | None = None,
) -> InferredFormat:
    """Infer the type and format of a column.

    Args:
        values: Values from the source: text, or already numbers, booleans or times.
        day_first: True to read ambiguous dates with the day first, without a context.
        context: Facts shared by all columns of the table.
        overrides: Flags for the column.

    Raises:
        ProjectError: A flag names a format in which a value cannot be parsed.
    """
    context = context or TableContext(day_first)
    overrides = overrides or ColumnOverrides()
    if not values.notna().any():
        return InferredFormat(None, ColumnFormat(), "no value at all", missing={"": len(values)})
    if not is_text(values):
        earlier = context.earlier.get(str(values.name))
        return _infer_typed(values, overrides, earlier[0] if earlier else None)
    column = StringColumn(str(values.name), _count_strings(values), context, overrides)
    return add_example(_infer(column), column)


def infer_formats(
    table: pd.DataFrame, context: TableContext, overrides: Mapping[str, ColumnOverrides]
) -> dict[str, InferredFormat]:
    """Infer the formats of a table's columns; each depends on those of the others."""
    context = replace(context, decimal=context.decimal or find_decimal(table))
    formats = {
        str(name): infer_format(
            table[name], context=context, overrides=overrides.get(str(name), ColumnOverrides())
        )
        for name in table
    }
    missing_elsewhere = {
        string
        for inferred in formats.values()
        if inferred.kind not in (None, "string")
        for string in inferred.missing
    }
    return {
        name: resolve_missing(name, inferred, missing_elsewhere, context)
        for name, inferred in formats.items()
    }


def _count_strings(values: "pd.Series[Any]") -> dict[str, int]:
    counts: dict[str, int] = {}
    for string, rows in values.value_counts(dropna=True).items():
        bare = normalize_text(str(string))
        counts[bare] = counts.get(bare, 0) + int(rows)
    empty = int(values.isna().sum())
    if empty:
        counts[""] = counts.get("", 0) + empty
    return counts


def _infer_typed(
    values: "pd.Series[Any]", overrides: ColumnOverrides, before: Kind | None
) -> InferredFormat:
    missing = {"": int(values.isna().sum())}
    present = values.dropna()
    example = (str(present.iloc[0]), str(present.iloc[0]))
    if overrides.text or (before == "string" and not overrides.number):
        return InferredFormat("string", ColumnFormat(text=True), "", example, missing)
    if pd.api.types.is_bool_dtype(values):
        return InferredFormat("boolean", ColumnFormat(), "", example, missing)
    if pd.api.types.is_datetime64_any_dtype(values):
        zone = "" if values.dt.tz else "times have no zone and are taken as UTC"
        return InferredFormat("timestamp", ColumnFormat(), zone, example, missing)
    kind: Kind = "number" if before == "number" or not _is_whole(present) else "integer"
    return InferredFormat(kind, ColumnFormat(), "", example, missing)


def _is_whole(present: "pd.Series[Any]") -> bool:
    if pd.api.types.is_integer_dtype(present):
        return True
    return bool(((present % 1) == 0).all()) and bool((present.abs() < 2**53).all())


def _infer(column: StringColumn) -> InferredFormat:
    overrides = column.overrides
    if overrides.text:
        return as_text(column)
    if overrides.dates:
        return require_format(column, "timestamp", _override_dates(overrides))
    return _reuse_earlier(column) or _infer_from_strings(column)


def _reuse_earlier(column: StringColumn) -> InferredFormat | None:
    """Reuse an earlier decision if no flag contradicts it and new rows fit it."""
    kind, form = column.context.earlier.get(column.name, ("string", ColumnFormat()))
    is_known = column.name in column.context.earlier and column.overrides == ColumnOverrides()
    if not is_known or not column.present():
        return None
    # A question is asked once; a note on an open one is repeated.
    new = _infer_from_strings(replace(column, context=replace(column.context, ask=_answer_safely)))
    if kind == "string":
        text = new if new.kind == "string" else as_text(column)
        for string in form.missing:
            text = declare_missing(text, string)
        return text
    inferred = match_format(column, kind, form, "")
    if inferred is None:
        return None
    declared = tuple(sorted({*inferred.form.missing, *form.missing}))
    inferred = replace(
        inferred,
        kind="number" if kind == "number" else inferred.kind,
        form=inferred.form.model_copy(update={"missing": declared}),
    )
    same = (new.kind, new.form) == (inferred.kind, inferred.form)
    return replace(inferred, note=new.note) if same else inferred


def _answer_safely(_question: str, safe: bool) -> bool:
    return safe


def _infer_from_strings(column: StringColumn) -> InferredFormat:
    overrides = column.overrides
    present = column.present()
    if not present:
        return as_empty(column)
    strings = list(present)
    if boolean := _infer_boolean(column, strings):
        return boolean
    dates = guess_dates(
        strings,
        column.name,
        day_first=column.context.day_first,
        this_year=column.context.this_year,
    )
    if dates and not overrides.number and (inferred := _infer_dates(column, dates)):
        return inferred
    return _infer_numbers(column, strings)


def _infer_boolean(column: StringColumn, strings: Sequence[str]) -> InferredFormat | None:
    lower = frozenset(string.casefold() for string in strings)
    if len(lower) != 2 or lower not in _BOOLEAN_PAIRS:
        return None
    true = tuple(sorted(lower & {*TRUE_STRINGS, "s"}))
    plain = lower <= {*TRUE_STRINGS, *FALSE_STRINGS}
    form = ColumnFormat(true=true, false=tuple(sorted(lower - {*true})))
    return match_format(column, "boolean", ColumnFormat() if plain else form, "")


def _infer_dates(column: StringColumn, dates: DateGuess) -> InferredFormat | None:
    form, note = dates.form, dates.note
    if column.overrides.newest_year is not None and form.newest_year is not None:
        form = form.model_copy(update={"newest_year": column.overrides.newest_year})
        note = ""
    if dates.question and dates.other is not None and not column.context.ask(dates.question, True):
        form = dates.other
    return match_format(column, "timestamp", form, note)


def _override_dates(overrides: ColumnOverrides) -> ColumnFormat:
    return ColumnFormat(dates=overrides.dates, newest_year=overrides.newest_year)


def _infer_numbers(column: StringColumn, strings: Sequence[str]) -> InferredFormat:
    overrides = column.overrides
    context = column.context
    likely = drop_placeholders(strings)
    codes = "" if overrides.number else find_mixed_codes(column.name, likely)
    if codes:
        return as_text(column, codes, undecided=False)
    guess = guess_numbers(likely, column.name, overrides, context.decimal, context.delimiter)
    if overrides.number:
        return require_format(column, "number", _choose_number_format(guess))
    if guess is None:
        return as_text(column, describe_numbers(column, strings))
    form = guess.form or next(
        (c.form for c in guess.candidates if context.ask(c.question, False)), None
    )
    if form is None:
        return as_text(column, guess.note)
    marked = bool(overrides.decimal or overrides.thousands)
    code = "" if marked else _find_code(column, strings)
    inferred = match_format(column, "number", form, guess.note if guess.form else "")
    if inferred is not None:
        return _offer_code(column, inferred, code) if code else inferred
    if code:
        return as_text(column, _note_code(column, code), undecided=False)
    return as_text(column, describe_numbers(column, strings))


def _choose_number_format(guess: NumberGuess | None) -> ColumnFormat:
    """Return the format for a column that a flag declares numeric."""
    if guess is None:
        return ColumnFormat()
    return guess.form or next((candidate.form for candidate in guess.candidates), ColumnFormat())


def _find_code(column: StringColumn, strings: Sequence[str]) -> str:
    whole = drop_placeholders(strings)
    if reason := find_code(whole):
        return reason
    if column.name == column.context.target:
        return ""
    return find_code_name(column.name, whole, sum(column.counts.values()))


def _offer_code(column: StringColumn, inferred: InferredFormat, code: str) -> InferredFormat:
    """Return text for codes: whole numbers only if a person agrees."""
    question = f"'{column.name}': {code}. Is it a code or a category, not a magnitude?"
    if inferred.kind == "number" or not column.context.ask(question, True):
        return inferred
    return as_text(column, _note_code(column, code), undecided=False)


def _note_code(column: StringColumn, code: str) -> str:
    return f"{code}: kept as text; if it is a magnitude, --number '{column.name}'"
