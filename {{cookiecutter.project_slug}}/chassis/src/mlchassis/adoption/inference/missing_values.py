"""Missing-value markers: those of every table, and those that may also be categories."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from mlchassis.adoption.inference.models import InferredFormat, StringColumn, TableContext
from mlchassis.adoption.inference.notes import count_rows, describe_near_misses, list_strings
from mlchassis.config.source_params import ColumnFormat

PLACEHOLDERS = frozenset(
    {
        *("-", "--", "---", ".", "..", "unknown", "missing", "none", "n.a.", "n/a", "na", "tbd"),
        *("error", "invalid", "unbekannt", "k.a.", "n.v.", "inconnu", "desconocido", "*", "x"),
        *("not available", "not applicable", "nicht bekannt", "keine angabe", "#value!", "#ref!"),
        *("#div/0!", "#num!", "#name?", "#null!", "n.d.", "nd", "\u2013", "\u2014", "no data"),
    }
)
"""Missing-value markers in columns of numbers or times, in lower case."""
_ALWAYS_MISSING = frozenset(
    {"?", "\\N", "#N/A", "#N/A N/A", "#NA", "<NA>", "NaT", "1.#IND", "-1.#IND", "1.#QNAN"}
)
"""Missing-value markers that tools write; never a category."""
_POSSIBLY_MISSING = frozenset(
    {"NA", "na", "N/A", "n/a", "n.a.", "nan", "NaN", "NAN", "null", "NULL", "Null", "None", "nil"}
)
"""Missing-value markers in some tables, categories in others."""


def drop_placeholders(strings: Sequence[str]) -> list[str]:
    """Drop the missing-value markers of numbers and times."""
    return [string for string in strings if string.lower() not in PLACEHOLDERS]


def as_empty(column: StringColumn) -> InferredFormat:
    """Return the format of a column without any value."""
    listed = list_strings(string for string in column.counts if string)
    note = f"no value at all but {listed}" if listed else "no value at all"
    form = ColumnFormat(missing=tuple(string for string in column.counts if string))
    return InferredFormat(None, form, note, missing=dict(column.counts))


def as_text(column: StringColumn, note: str = "", *, undecided: bool = True) -> InferredFormat:
    """Return text, in which only empty cells, declared and technical markers count as missing."""
    technical = [string for string in column.counts if string in _ALWAYS_MISSING]
    declared = tuple(sorted({*technical, *column.declared} & {*column.counts}))
    absent = {"", *declared, *column.context.missing}
    missing = {string: rows for string, rows in column.counts.items() if string in absent}
    possibly_missing = {
        string: rows
        for string, rows in column.counts.items()
        if string in _POSSIBLY_MISSING and string not in absent
    }
    return InferredFormat(
        "string",
        ColumnFormat(missing=declared),
        note or ("" if column.overrides.text else describe_near_misses(column)),
        missing=missing,
        undecided=bool(note) and undecided,
        possibly_missing=possibly_missing,
        short_codes=_are_short_codes(column, possibly_missing),
    )


def _are_short_codes(column: StringColumn, possibly_missing: Mapping[str, int]) -> bool:
    """Return True if the other strings are codes of the same form, such as DE beside NA."""
    others = [string for string in column.present() if string not in possibly_missing]
    lengths = {len(string) for string in possibly_missing}
    return bool(others) and all(string.isupper() and len(string) in lengths for string in others)


def resolve_missing(
    name: str, inferred: InferredFormat, missing_elsewhere: set[str], context: TableContext
) -> InferredFormat:
    """Decide whether strings such as NA in a text column are missing values.

    They are if other columns of the table mark missing values by them and this one has no empty
    cell, unless the column holds codes of the same form, such as those of countries.
    """
    for string, rows in inferred.possibly_missing.items():
        marked_elsewhere = string in missing_elsewhere and not inferred.missing.get("")
        usual = marked_elsewhere and not inferred.short_codes
        question = f"'{name}' holds '{string}' in {count_rows(rows)}. Is it a missing value?"
        asked = name not in context.earlier and not usual and context.ask(question, False)
        if usual or asked:
            inferred = declare_missing(inferred, string)
    if not inferred.possibly_missing:
        return inferred
    listed = list_strings(inferred.possibly_missing, inferred.possibly_missing)
    note = (
        f"{listed} kept as a category; if it is a missing value, run again with --missing "
        f"'{name}={next(iter(inferred.possibly_missing))}'"
    )
    return replace(inferred, note="; ".join(filter(None, (inferred.note, note))))


def declare_missing(inferred: InferredFormat, string: str) -> InferredFormat:
    """Return the format with one more missing-value marker."""
    possibly_missing = dict(inferred.possibly_missing)
    rows = possibly_missing.pop(string, 0)
    missing = {**inferred.missing, string: rows} if rows else inferred.missing
    declared = tuple(sorted({*inferred.form.missing, string}))
    return replace(
        inferred,
        form=inferred.form.model_copy(update={"missing": declared}),
        possibly_missing=possibly_missing,
        missing=missing,
    )
