"""Notes on an inferred format, with an example and the flags that change it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from mlchassis.adoption.formats.dates import are_clocks, find_digit_form, is_surely_named_as_time
from mlchassis.adoption.formats.numbers import looks_like_number
from mlchassis.adoption.inference.models import InferredFormat, StringColumn
from mlchassis.contract.cells import Cell, CellParser

_COMPARISONS = "<>=~\u2264\u2265 "
"""Signs before numbers that are bounds, such as those of a laboratory."""
_MAX_LISTED = 3
SAMPLE_SIZE = 2000
"""Distinct strings of a column that are examined; more show nothing new."""


def describe_numbers(column: StringColumn, strings: Sequence[str]) -> str:
    """Explain why strings that mostly look like numbers stay text; empty if they do not."""
    counts = column.counts
    odd = [string for string in strings if not looks_like_number(string)]
    unexpected = [string for string in odd if not looks_like_number(string.lstrip(_COMPARISONS))]
    unexpected_rows = sum(counts[string] for string in unexpected)
    if not odd or unexpected_rows >= sum(counts[string] for string in strings) / 2:
        return ""
    return (
        f"looks like numbers, but {list_strings(odd, counts)} cannot be parsed: left as text; if "
        f"they are missing values, run again with --missing '{column.name}={odd[0]:.40}' for each"
    )


def describe_near_misses(column: StringColumn) -> str:
    """Describe the types that a column of text almost has."""
    strings = list(column.present())
    if strings and are_clocks(strings[:SAMPLE_SIZE]):
        return "holds times of day or durations, which stay text; write them as one number"
    if strings and is_surely_named_as_time(column.name) and _have_digits(strings):
        return (
            f"is named like a time and was read as text ({list_strings(strings)}); if it is one, "
            f"run again with --date-format '{column.name}=%d.%m.%Y' in its own form"
        )
    return ""


def _have_digits(strings: Sequence[str]) -> bool:
    some = strings[:SAMPLE_SIZE]
    return sum(any(sign.isdigit() for sign in string) for string in some) > len(some) / 2


def add_example(inferred: InferredFormat, column: StringColumn) -> InferredFormat:
    """Record a cell whose text shows its format, or the other meanings of its digits."""
    if inferred.kind is None:
        return inferred
    strings = [string for string in column.counts if string and string not in inferred.missing]
    parser = CellParser(inferred.kind, inferred.form)
    pairs = [(string, show_value(parser.parse(string))) for string in strings[:SAMPLE_SIZE]]
    plain = next(iter(pairs), ("", ""))
    example = next((pair for pair in pairs if pair[0] != pair[1]), plain)
    return replace(inferred, example=example, note=inferred.note or _note_digits(inferred, column))


def _note_digits(inferred: InferredFormat, column: StringColumn) -> str:
    if inferred.kind not in ("integer", "number") or column.overrides.number:
        return ""
    strings = list(column.present())
    if form := find_digit_form(strings):
        return (
            f"was read as numbers; all could be dates ({form}): if so, run again with "
            f"--date-format '{column.name}={form}'"
        )
    if is_surely_named_as_time(column.name):
        return (
            f"is named like a time and was read as numbers ({list_strings(strings)}); if it is "
            f"one, run again with --date-format '{column.name}=%Y%m%d' in its own form"
        )
    return ""


def show_value(value: Cell | None) -> str:
    """Return a value as the table of decisions shows it."""
    if isinstance(value, datetime):
        return value.isoformat().replace("T00:00:00+00:00", "").replace("+00:00", "Z")
    return str(value)


def count_rows(rows: int) -> str:
    """Return a number of rows with its noun."""
    return f"{rows:,} row" if rows == 1 else f"{rows:,} rows"


def list_strings(strings: Iterable[str], counts: Mapping[str, int] | None = None) -> str:
    """List a few strings in quotation marks, with their rows if these are given."""
    every = list(strings)
    listed = [
        f"'{string:.40}'" + (f" ({count_rows(counts[string])})" if counts is not None else "")
        for string in every[:_MAX_LISTED]
    ]
    rest = f" and {len(every) - _MAX_LISTED} more" if len(every) > _MAX_LISTED else ""
    return ", ".join(listed) + rest
