"""What a column of words is, and how its values are written."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ..cells import FALSE_WORDS, MISSING_WORDS, TRUE_WORDS
from ..contract import Kind
from ..source_params import ColumnFormat
from ..sources.parsing import GAPS, is_words, tidy, try_parse

_TOLERATED = 0.05
"""Share of a column's values that may be words for nothing among numbers or times."""
_MOST_STRAY_WORDS = 10
_NOTHING = (
    *("-", "--", ".", "unknown", "missing", "none", "n.a.", "n/a", "na", "tbd", "error", "invalid"),
    *("unbekannt", "k.a.", "n.v.", "inconnu", "desconocido"),
)
"""Words, in lower case, that stand for a value that is not there."""
_BOOLEAN_PAIRS = {
    frozenset(pair)
    for pair in (*zip(TRUE_WORDS, FALSE_WORDS, strict=False), ("tak", "nie"), ("s", "n"))
}
_DAY_FIRST = ("%d.%m.%Y", "%d/%m/%Y", "%d-%m-%Y", "%d.%m.%y", "%d/%m/%y")
_MONTH_FIRST = ("%m/%d/%Y", "%m-%d-%Y", "%m/%d/%y")
_OTHER_DATES = ("ISO8601", "%Y/%m/%d", "%Y.%m.%d", "%d %b %Y", "%d %B %Y", "%b %d, %Y")
_CLOCKS = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
_GROUPED_COMMA = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+")
_CODE = re.compile(r"0\d+")


@dataclass(frozen=True, slots=True)
class Reading:
    """What a column is taken for.

    Attributes:
        kind: None for a column without any value.
        form: How its values are written.
        note: What a person should know about it; may be empty.
    """

    kind: Kind | None
    form: ColumnFormat
    note: str = ""


def read_kind(values: "pd.Series[Any]", *, day_first: bool = True) -> Reading:
    """Finds what a column holds.

    Args:
        values: As the file gives them: words, or already numbers, booleans or times.
        day_first: How a date that can be read in two ways is to be read.
    """
    if not values.notna().any():
        return Reading(None, ColumnFormat(), "no value at all")
    if not is_words(values):
        return _read_typed(values)
    words = pd.Series(tidy(values).dropna().unique(), dtype="string")
    if words.empty:
        return Reading(None, ColumnFormat(), "no value at all")
    # In a column of words these would be words.
    rest = words[~words.str.lower().isin(MISSING_WORDS)]
    if rest.empty:
        return Reading("string", ColumnFormat())
    for found in _interpretations(rest, day_first=day_first):
        return found
    return Reading("string", ColumnFormat())


def _read_typed(values: "pd.Series[Any]") -> Reading:
    if pd.api.types.is_bool_dtype(values):
        return Reading("boolean", ColumnFormat())
    if pd.api.types.is_datetime64_any_dtype(values):
        zone = "" if values.dt.tz else "times have no zone and are taken as UTC"
        return Reading("timestamp", ColumnFormat(), zone)
    present = values.dropna()
    whole = bool(((present % 1) == 0).all()) and bool((present.abs() < 2**53).all())
    return Reading("integer" if whole else "number", ColumnFormat())


def _interpretations(words: "pd.Series[Any]", *, day_first: bool) -> Iterator[Reading]:
    lower = frozenset(words.str.lower())
    if len(lower) == 2 and lower in _BOOLEAN_PAIRS:
        true = tuple(sorted(lower & {*TRUE_WORDS, "s"}))
        form = ColumnFormat(true=true, false=tuple(sorted(lower - {*true})))
        plain = lower <= {*TRUE_WORDS, *FALSE_WORDS}
        yield Reading("boolean", ColumnFormat() if plain else form)
        return
    if words.map(lambda word: bool(_CODE.fullmatch(word))).mean() > _TOLERATED:
        return  # Leading zeros mean a code, such as a post code.
    for form, note in _number_forms(words):
        reading = _fit(words, "number", form, note)
        if reading:
            yield reading
            return
    reading = _read_dates(words, day_first=day_first)
    if reading:
        yield reading


def _number_forms(words: "pd.Series[Any]") -> Iterator[tuple[ColumnFormat, str]]:
    yield ColumnFormat(), ""
    commas = words[words.str.contains(",", regex=False)]
    grouped = commas.str.replace(f"[{GAPS}]", "", regex=True)
    grouped = grouped.map(lambda word: bool(_GROUPED_COMMA.fullmatch(str(word).split(".")[0])))
    if len(commas) and grouped.all():
        note = "a comma groups thousands; if it is a decimal comma, say so in params.yaml"
        yield ColumnFormat(thousands=","), note
    yield ColumnFormat(thousands=" "), "gaps group thousands"
    yield ColumnFormat(decimal=",", thousands="."), "decimal comma"
    yield ColumnFormat(thousands=","), "a comma groups thousands"


def _fit(words: "pd.Series[Any]", kind: Kind, form: ColumnFormat, note: str) -> Reading | None:
    """The reading, where all but a few stray words can be read so."""
    parsed = try_parse(words, kind, form)
    stray = words[parsed.isna()]
    strange = ~stray.str.lower().isin(_NOTHING)
    if strange.sum() > _TOLERATED * len(words) or strange.sum() > _MOST_STRAY_WORDS:
        return None
    if len(stray) * 2 > len(words):
        return None
    if len(stray):
        listed = ", ".join(f"'{word}'" for word in stray)
        note = f"{note}; " if note else ""
        note += f"{listed} cannot be read as a {kind} and count as missing"
    if kind == "number" and bool(((parsed.dropna() % 1) == 0).all()):
        written_plainly = not words.str.contains(r"[.eE]", regex=True).any()
        big = bool((parsed.dropna().abs() >= 2**53).any())
        if big and not written_plainly:
            return Reading("number", form, note)
        kind = "integer" if not big or bool((parsed.dropna().abs() < 2**62).all()) else "number"
    return Reading(kind, form.model_copy(update={"missing": tuple(stray)}), note)


def _read_dates(words: "pd.Series[Any]", *, day_first: bool) -> Reading | None:
    """Tries forms in turn on what no form before has read; a column may hold several."""
    if not words.str.contains(r"\d", regex=True).mean() > 1 - 2 * _TOLERATED:
        return None
    numeric, note = _choose_order(words, day_first=day_first)
    rest, used = words, []
    for date in (*_OTHER_DATES, *numeric):
        for clock in _CLOCKS if date != "ISO8601" else ("",):
            read = try_parse(rest, "timestamp", ColumnFormat(dates=(date + clock,)))
            if read.notna().any():
                used.append(date + clock)
                rest = rest[read.isna()]
            if rest.empty:
                break
    if not used:
        return None
    dates = () if used == ["ISO8601"] else tuple(used)
    several = f"{len(used)} forms of dates" if len(used) > 1 else ""
    return _fit(
        words, "timestamp", ColumnFormat(dates=dates), "; ".join(filter(None, (several, note)))
    )


def _choose_order(words: "pd.Series[Any]", *, day_first: bool) -> tuple[tuple[str, ...], str]:
    """Whether dates written in numbers begin with the day, by days after the twelfth."""
    parts = words.str.extract(r"^(\d{1,2})[/.-](\d{1,2})[/.-]\d{2,4}").dropna().astype(int)
    first, second = int((parts[0] > 12).sum()), int((parts[1] > 12).sum())
    note = ""
    if len(parts) and not first and not second:
        note = f"dates read with the {'day' if day_first else 'month'} first; they could be either"
    if first or second:
        day_first = first >= second
    return (_DAY_FIRST if day_first else _MONTH_FIRST), note
