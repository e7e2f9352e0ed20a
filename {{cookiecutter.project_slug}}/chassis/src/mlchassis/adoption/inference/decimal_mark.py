"""Decimal mark of a table, where its columns agree on one."""

from collections.abc import Sequence

import pandas as pd

from mlchassis.adoption.formats.numbers import measure_marks, split_number
from mlchassis.adoption.inference.notes import SAMPLE_SIZE
from mlchassis.contract.cells import normalize_text
from mlchassis.sources.parsing import is_text


def find_decimal(table: pd.DataFrame) -> str | None:
    """Return the decimal mark that the columns of a table show for certain, if they agree."""
    marks: set[str] = set()
    for name in table:
        if is_text(table[name]):
            strings = table[name].dropna().drop_duplicates().head(SAMPLE_SIZE).astype(str)
            marks |= _find_shown_marks([normalize_text(string) for string in strings])
    return marks.pop() if len(marks) == 1 else None


def _find_shown_marks(strings: Sequence[str]) -> set[str]:
    numbers = [string for string in strings if split_number(string) is not None]
    if len(numbers) <= len(strings) / 2:
        return set()
    marks = measure_marks(numbers)
    if marks.invalid:
        return set()
    if marks.decimal:
        return {*marks.decimal} if len(marks.decimal) == 1 else set()
    return {"." if sign == "," else "," for sign in marks.thousands if sign in ".,"}
