"""Parsing of a column's strings in a candidate format."""

import re
from collections.abc import Mapping

from mlchassis.adoption.inference.missing_values import PLACEHOLDERS
from mlchassis.adoption.inference.models import InferredFormat, StringColumn
from mlchassis.adoption.inference.notes import list_strings
from mlchassis.config.source_params import ColumnFormat
from mlchassis.contract.cells import Cell, CellParser
from mlchassis.contract.model import Kind
from mlchassis.errors import ProjectError

_MAX_UNEXPECTED_PROPORTION = 0.05
"""Proportion of a column's rows whose strings may be neither numbers nor times."""
_MAX_UNEXPECTED = 10
_MIN_PARSED = 2
_PLURALS = {
    "number": "numbers",
    "integer": "numbers",
    "timestamp": "times",
    "boolean": "booleans",
}


def match_format(
    column: StringColumn, kind: Kind, form: ColumnFormat, note: str
) -> InferredFormat | None:
    """Return the format if all but a few of the column's strings can be parsed in it."""
    present = column.present()
    parsed, unparsed = parse_strings(present, kind, form)
    if kind == "number":
        fractions = parse_strings(dict.fromkeys(parsed, 1), "integer", form)[1]
        if not fractions:
            kind = "integer"
        elif any(re.fullmatch(r"[0-9]{19,}", string) for string in fractions):
            return None
    rows = sum(present.values())
    unexpected = [string for string in unparsed if string.lower() not in PLACEHOLDERS]
    unexpected_rows = sum(unparsed[string] for string in unexpected)
    if len(parsed) < min(_MIN_PARSED, len(present)) or not parsed:
        return None
    if unexpected_rows > _MAX_UNEXPECTED_PROPORTION * rows or len(unexpected) > _MAX_UNEXPECTED:
        return None
    if unexpected:
        listed = list_strings(unexpected, unparsed)
        unparsed_note = f"{listed} cannot be parsed as {_PLURALS[kind]} and count as missing"
        note = f"{note}; {unparsed_note}" if note else unparsed_note
    declared = tuple(sorted({*unparsed, *(set(column.declared) & set(column.counts))}))
    missing = {w: n for w, n in column.counts.items() if w not in present} | unparsed
    return InferredFormat(
        kind, form.model_copy(update={"missing": declared}), note, missing=missing
    )


def require_format(column: StringColumn, kind: Kind, form: ColumnFormat) -> InferredFormat:
    """Return the format that a flag names.

    Raises:
        ProjectError: A string of the column cannot be parsed in it.
    """
    present = column.present()
    form = form.model_copy(update={"missing": column.declared})
    unparsed = parse_strings(present, kind, form)[1]
    if unparsed:
        flag = "--date-format" if kind == "timestamp" else "--number"
        string = next(iter(unparsed))
        raise ProjectError(
            f"{flag} says that '{column.name}' holds {_PLURALS[kind]}, but "
            f"{list_strings(unparsed, unparsed)} cannot be parsed; correct the flag, or name "
            f"missing-value markers with --missing '{column.name}={string:.40}'."
        )
    if kind == "number" and not parse_strings(present, "integer", form)[1]:
        kind = "integer"
    missing = {w: n for w, n in column.counts.items() if w not in present}
    return InferredFormat(kind, form, missing=missing)


def parse_strings(
    present: Mapping[str, int], kind: Kind, form: ColumnFormat
) -> tuple[dict[str, Cell], dict[str, int]]:
    """Return values by string, and the rows of strings that cannot be parsed."""
    parser = CellParser(kind, form)
    parsed: dict[str, Cell] = {}
    unparsed: dict[str, int] = {}
    for string, rows in present.items():
        try:
            value = parser.parse(string)
        except ValueError:
            unparsed[string] = rows
        else:
            if value is not None:
                parsed[string] = value
    return parsed, unparsed
