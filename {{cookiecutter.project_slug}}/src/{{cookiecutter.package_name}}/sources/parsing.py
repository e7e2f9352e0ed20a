"""Words as a kind of column: numbers, times and booleans as people write them."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from ..contract import Contract, Kind
from ..errors import ProjectError
from ..source_params import ColumnFormat, TableFormat

TRUE_WORDS = ("true", "yes", "y", "t", "on", "ja", "oui", "si", "sí", "sim", "tak")
FALSE_WORDS = ("false", "no", "n", "f", "off", "nein", "non", "não", "nao", "nie")
GAPS = " \u00a0\u202f'\u2019"
"""What groups digits besides a comma and a point; taken away wherever thousands are grouped."""


def parse_columns(words: pd.DataFrame, params: TableFormat, contract: Contract) -> pd.DataFrame:
    """Every row with the contract's columns in the contract's kinds.

    Raises:
        ProjectError: A value cannot be read as its kind.
    """
    columns: dict[str, pd.Series[Any]] = {}
    for column in contract.columns:
        # A column that is not there is the caller's to refuse, as of every source.
        if column.name in words:
            plain = params.columns.get(column.name, ColumnFormat())
            columns[column.name] = parse_column(words.pop(column.name), column.kind, plain)
    return pd.DataFrame(columns)


def parse_column(values: "pd.Series[Any]", kind: Kind, form: ColumnFormat) -> "pd.Series[Any]":
    """Reads a column as a kind; columns that are no words are passed on, times as UTC.

    Raises:
        ProjectError: A value cannot be read so; the sentence names it.
    """
    if pd.api.types.is_datetime64_any_dtype(values):
        naive = values.dt.tz is None
        times: pd.Series[Any] = (
            values.dt.tz_localize("UTC") if naive else values.dt.tz_convert("UTC")
        )
        return times
    if not is_words(values):
        if kind == "boolean" and values.dropna().isin([0, 1]).all():
            return values.astype("boolean")  # SQLite has no other way to write one.
        return values if kind != "string" else values.astype("string")
    words = tidy(values, form.missing)
    if kind == "string":
        return words
    parsed = try_parse(words, kind, form)
    lost = words[words.notna() & parsed.isna()]
    if len(lost):
        raise ProjectError(
            f"The source's column '{values.name}' holds '{lost.iloc[0]}' in row "
            f"{int(lost.index[0]) + 1} ({len(lost)} such rows), which is no {kind} as the contract "
            "says; mend the source, or add the word to source.columns in params.yaml as 'missing'."
        )
    return parsed


def is_words(values: "pd.Series[Any]") -> bool:
    """Whether a column holds strings, or objects that must be read as such."""
    kind = values.dtype
    return bool(pd.api.types.is_object_dtype(kind) or pd.api.types.is_string_dtype(kind)) or (
        isinstance(kind, pd.CategoricalDtype)
    )


def tidy(values: "pd.Series[Any]", missing: tuple[str, ...] = ()) -> "pd.Series[Any]":
    """Words without the blanks around them; words that stand for nothing become missing."""
    words = values.astype("string").str.strip()
    return words.mask(words.isin(["", *missing]))


def try_parse(words: "pd.Series[Any]", kind: Kind, form: ColumnFormat) -> "pd.Series[Any]":
    """Reads words as a kind; what cannot be read is missing afterwards."""
    # Each different word is read once: a million rows hold far fewer, mostly.
    codes, distinct = pd.factorize(words)
    parsed = _PARSERS[kind](pd.Series(distinct, dtype="string"), form)
    found = parsed.reindex(codes)
    found.index = words.index
    return found


def _parse_numbers(words: "pd.Series[Any]", form: ColumnFormat) -> "pd.Series[Any]":
    if form.thousands:
        gap, point = f"[{re.escape(form.thousands)}{GAPS}]", re.escape(form.decimal)
        # Without this a date would be a number whose digits are grouped oddly.
        shape = rf"[+-]?([1-9]\d{{0,2}}({gap}\d{{3}})+|\d*)({point}\d*)?([eE][+-]?\d+)?"
        words = words.where(words.str.fullmatch(shape)).str.replace(gap, "", regex=True)
    if form.decimal != ".":
        words = words.str.replace(".", "x", regex=False).str.replace(form.decimal, ".", regex=False)
    return pd.to_numeric(words.astype(object), errors="coerce").astype("Float64")


def _parse_integers(words: "pd.Series[Any]", form: ColumnFormat) -> "pd.Series[Any]":
    plain = pd.to_numeric(words.astype(object), errors="coerce")
    if pd.api.types.is_integer_dtype(plain.dtype):
        return plain.astype("Int64")  # Exact beyond the whole numbers that a float can hold.
    numbers = _parse_numbers(words, form)
    whole = numbers.mask(numbers.isna() | ((numbers % 1) != 0) | (numbers.abs() >= 2**63))
    return whole.astype("Int64")


def _parse_booleans(words: "pd.Series[Any]", form: ColumnFormat) -> "pd.Series[Any]":
    lower = words.str.lower()
    true = lower.isin([*(word.lower() for word in form.true or TRUE_WORDS)])
    false = lower.isin([*(word.lower() for word in form.false or FALSE_WORDS)])
    return true.astype("boolean").mask(~(true | false))


def _parse_times(words: "pd.Series[Any]", form: ColumnFormat) -> "pd.Series[Any]":
    found = pd.Series(pd.NaT, index=words.index, dtype="datetime64[us, UTC]")
    for date in form.dates or ("ISO8601",):
        rest = words[found.isna()]
        read = pd.to_datetime(rest, format=date, errors="coerce", utc=True)
        found[found.isna()] = read.astype(found.dtype)
    return found


_PARSERS: Mapping[str, Callable[["pd.Series[Any]", ColumnFormat], "pd.Series[Any]"]] = {
    "number": _parse_numbers,
    "integer": _parse_integers,
    "boolean": _parse_booleans,
    "timestamp": _parse_times,
}
