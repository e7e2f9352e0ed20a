"""Type and format of each column of a table.

What is clearly right is read. What is ambiguous is asked; where nobody answers, the column stays
text, with a note that names the flag which decides it.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from mlchassis.adoption.formats.code_names import find_code_name
from mlchassis.adoption.formats.dates import (
    DateGuess,
    are_clocks,
    find_digit_form,
    guess_dates,
    is_surely_named_as_time,
)
from mlchassis.adoption.formats.numbers import (
    find_code,
    guess_numbers,
    looks_like_number,
    measure_marks,
    split_number,
)
from mlchassis.adoption.formats.overrides import ColumnOverrides
from mlchassis.config.source_params import ColumnFormat
from mlchassis.contract.cells import (
    FALSE_WORDS,
    MISSING_WORDS,
    TRUE_WORDS,
    Cell,
    CellParser,
    normalize_text,
)
from mlchassis.contract.model import Kind
from mlchassis.errors import ProjectError
from mlchassis.sources.parsing import is_words

_TOLERATED = 0.05
"""Share of a column's rows that may hold strange words among numbers or times."""
_MOST_STRAY_WORDS = 10
_LEAST_READ = 2
_PLACEHOLDERS = frozenset(
    {
        *("-", "--", "---", ".", "..", "unknown", "missing", "none", "n.a.", "n/a", "na", "tbd"),
        *("error", "invalid", "unbekannt", "k.a.", "n.v.", "inconnu", "desconocido", "*", "x"),
        *("not available", "not applicable", "nicht bekannt", "keine angabe", "#value!", "#ref!"),
        *("#div/0!", "#num!", "#name?", "#null!", "n.d.", "nd", "\u2013", "\u2014", "no data"),
    }
)
"""Words, in lower case, for a missing value among numbers or times."""
_ALWAYS_MISSING = frozenset(
    {"?", "\\N", "#N/A", "#N/A N/A", "#NA", "<NA>", "NaT", "1.#IND", "-1.#IND", "1.#QNAN"}
)
"""Words that tools write for a missing value, and that are no category."""
_MAY_BE_MISSING = frozenset(
    {"NA", "na", "N/A", "n/a", "n.a.", "nan", "NaN", "NAN", "null", "NULL", "Null", "None", "nil"}
)
"""Words that are missing values in some tables and categories in others."""
_BOOLEAN_PAIRS = {
    frozenset(pair)
    for pair in (*zip(TRUE_WORDS, FALSE_WORDS, strict=False), ("tak", "nie"), ("s", "n"))
}
_COMPARISONS = "<>=~\u2264\u2265 "
"""Signs before numbers that are bounds, such as those of a laboratory."""
_SHOWN = 3
_PLURALS = {
    "number": "numbers",
    "integer": "numbers",
    "timestamp": "times",
    "boolean": "true or false",
}
_SAMPLE = 2000

Ask = Callable[[str, bool], bool]
EarlierFormat = tuple[Kind, ColumnFormat]
"""The kind and the format that an earlier adoption gave a column."""


@dataclass(frozen=True, slots=True)
class InferredFormat:
    """Inferred type and format of a column.

    Attributes:
        kind: None for a column without any value.
        form: Format of its values.
        note: Note for a person; may be empty.
        example: A cell as it is written, and the value that it is read as.
        missing: Rows by the word that counts as missing; "" are empty cells.
        undecided: True if it stays text only because its format is ambiguous.
        kept: Rows by the word that is kept in a column of text, though it may be a missing value.
        short_codes: True if its other strings are codes that look like the kept ones, such as DE.
    """

    kind: Kind | None
    form: ColumnFormat
    note: str = ""
    example: tuple[str, str] = ("", "")
    missing: Mapping[str, int] = field(default_factory=dict)
    undecided: bool = False
    kept: Mapping[str, int] = field(default_factory=dict)
    short_codes: bool = False


@dataclass(frozen=True, slots=True)
class TableContext:
    """Facts shared by all columns of a table.

    Attributes:
        day_first: True to read ambiguous dates with the day first.
        ask: Settles what is ambiguous; gives the safe answer where nobody can be asked.
        delimiter: Between the cells of its files.
        decimal: The decimal mark that its columns show for certain, if it is one.
        missing: Words for a missing value in every column, as flags say.
        target: The column to predict, whose name is no sign of codes.
        earlier: Decisions of an earlier adoption, by column.
        this_year: The year of today.
    """

    day_first: bool = True
    ask: Ask = lambda _question, safe: safe
    delimiter: str = ","
    decimal: str | None = None
    missing: tuple[str, ...] = ()
    target: str = ""
    earlier: Mapping[str, EarlierFormat] = field(default_factory=dict)
    this_year: int = field(default_factory=lambda: datetime.now(UTC).year)


@dataclass(frozen=True, slots=True)
class _Column:
    """The different words of a column.

    Attributes:
        counts: Rows by normalized word; "" are empty cells.
    """

    name: str
    counts: Mapping[str, int]
    context: TableContext
    overrides: ColumnOverrides

    @property
    def declared(self) -> tuple[str, ...]:
        return (*self.overrides.missing, *self.context.missing)

    def present(self) -> dict[str, int]:
        """Rows by word, without the standard words for a missing value and the declared ones."""
        return {
            word: rows
            for word, rows in self.counts.items()
            if word.lower() not in MISSING_WORDS and word not in self.declared
        }


def infer_format(
    values: "pd.Series[Any]",
    *,
    day_first: bool = True,
    context: TableContext | None = None,
    overrides: ColumnOverrides | None = None,
) -> InferredFormat:
    """Infer what a column holds.

    Args:
        values: As the source gives them: text, or already numbers, booleans or times.
        day_first: True to read ambiguous dates with the day first, without a context.
        context: Facts shared by all columns of the table.
        overrides: Flags for the column.

    Raises:
        ProjectError: A flag says that it holds numbers or times of a form, and it does not.
    """
    context = context or TableContext(day_first)
    overrides = overrides or ColumnOverrides()
    if not values.notna().any():
        return InferredFormat(None, ColumnFormat(), "no value at all", missing={"": len(values)})
    if not is_words(values):
        earlier = context.earlier.get(str(values.name))
        return _read_typed(values, overrides, earlier[0] if earlier else None)
    column = _Column(str(values.name), _count_words(values), context, overrides)
    return _with_example(_infer(column), column)


def infer_formats(
    table: pd.DataFrame, context: TableContext, overrides: Mapping[str, ColumnOverrides]
) -> dict[str, InferredFormat]:
    """Infer what the columns of a table hold, each in the light of the others."""
    context = replace(context, decimal=context.decimal or find_decimal(table))
    found = {
        str(name): infer_format(
            table[name], context=context, overrides=overrides.get(str(name), ColumnOverrides())
        )
        for name in table
    }
    used = {
        word
        for inferred in found.values()
        if inferred.kind not in (None, "string")
        for word in inferred.missing
    }
    return {name: _settle_missing(name, one, used, context) for name, one in found.items()}


def find_decimal(table: pd.DataFrame) -> str | None:
    """The decimal mark that the columns of a table show for certain, if they agree."""
    shown: set[str] = set()
    for name in table:
        if is_words(table[name]):
            words = table[name].dropna().drop_duplicates().head(_SAMPLE).astype(str)
            shown |= _shown_decimal([normalize_text(word) for word in words])
    return shown.pop() if len(shown) == 1 else None


def _shown_decimal(words: Sequence[str]) -> set[str]:
    numbers = [word for word in words if split_number(word) is not None]
    if len(numbers) <= len(words) / 2:
        return set()
    marks = measure_marks(numbers)
    if marks.invalid:
        return set()
    if marks.decimal:
        return {*marks.decimal} if len(marks.decimal) == 1 else set()
    return {"." if sign == "," else "," for sign in marks.thousands if sign in ".,"}


def _count_words(values: "pd.Series[Any]") -> dict[str, int]:
    counts: dict[str, int] = {}
    for word, rows in values.value_counts(dropna=True).items():
        bare = normalize_text(str(word))
        counts[bare] = counts.get(bare, 0) + int(rows)
    empty = int(values.isna().sum())
    if empty:
        counts[""] = counts.get("", 0) + empty
    return counts


def _read_typed(
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


def _infer(column: _Column) -> InferredFormat:
    overrides = column.overrides
    if overrides.text:
        return _as_text(column)
    if overrides.dates:
        return _demand(column, "timestamp", _override_dates(overrides))
    return _repeat(column) or _infer_anew(column)


def _repeat(column: _Column) -> InferredFormat | None:
    """Reuse an earlier decision if no flag contradicts it and new rows fit it."""
    kind, form = column.context.earlier.get(column.name, ("string", ColumnFormat()))
    is_known = column.name in column.context.earlier and column.overrides == ColumnOverrides()
    if not is_known or not column.present():
        return None
    # Nobody is asked a second time; what nobody has answered is noted again.
    fresh = _infer_anew(replace(column, context=replace(column.context, ask=_answer_safely)))
    if kind == "string":
        text = fresh if fresh.kind == "string" else _as_text(column)
        for word in form.missing:
            text = _declare_missing(text, word)
        return text
    found = _accept(column, kind, form, "")
    if found is None:
        return None
    declared = tuple(sorted({*found.form.missing, *form.missing}))
    found = replace(
        found,
        kind="number" if kind == "number" else found.kind,
        form=found.form.model_copy(update={"missing": declared}),
    )
    same = (fresh.kind, fresh.form) == (found.kind, found.form)
    return replace(found, note=fresh.note) if same else found


def _answer_safely(_question: str, safe: bool) -> bool:
    return safe


def _infer_anew(column: _Column) -> InferredFormat:
    overrides = column.overrides
    present = column.present()
    if not present:
        return _as_nothing(column)
    words = list(present)
    if boolean := _read_boolean(column, words):
        return boolean
    dates = guess_dates(
        words,
        column.name,
        day_first=column.context.day_first,
        this_year=column.context.this_year,
    )
    if dates and not overrides.number and (found := _read_dates(column, dates)):
        return found
    return _read_numbers(column, words)


def _as_nothing(column: _Column) -> InferredFormat:
    listed = _list_words(word for word in column.counts if word)
    note = f"no value at all but {listed}" if listed else "no value at all"
    form = ColumnFormat(missing=tuple(word for word in column.counts if word))
    return InferredFormat(None, form, note, missing=dict(column.counts))


def _read_boolean(column: _Column, words: Sequence[str]) -> InferredFormat | None:
    lower = frozenset(word.casefold() for word in words)
    if len(lower) != 2 or lower not in _BOOLEAN_PAIRS:
        return None
    true = tuple(sorted(lower & {*TRUE_WORDS, "s"}))
    plain = lower <= {*TRUE_WORDS, *FALSE_WORDS}
    form = ColumnFormat(true=true, false=tuple(sorted(lower - {*true})))
    return _accept(column, "boolean", ColumnFormat() if plain else form, "")


def _read_dates(column: _Column, dates: DateGuess) -> InferredFormat | None:
    form, note = dates.form, dates.note
    if column.overrides.newest_year is not None and form.newest_year is not None:
        form = form.model_copy(update={"newest_year": column.overrides.newest_year})
        note = ""
    if dates.question and dates.other is not None and not column.context.ask(dates.question, True):
        form = dates.other
    return _accept(column, "timestamp", form, note)


def _override_dates(overrides: ColumnOverrides) -> ColumnFormat:
    return ColumnFormat(dates=overrides.dates, newest_year=overrides.newest_year)


def _read_numbers(column: _Column, words: Sequence[str]) -> InferredFormat:
    overrides, context = column.overrides, column.context
    guess = guess_numbers(
        _without_strays(words), column.name, overrides, context.decimal, context.delimiter
    )
    if overrides.number:
        likely = guess and (guess.form or next((doubt.form for doubt in guess.doubts), None))
        return _demand(column, "number", likely or ColumnFormat())
    if guess is None:
        return _as_text(column, _describe_numbers(column, words))
    form = guess.form or next(
        (doubt.form for doubt in guess.doubts if context.ask(doubt.question, False)), None
    )
    if form is None:
        return _as_text(column, guess.note)
    marked = bool(overrides.decimal or overrides.thousands)
    code = "" if marked else _find_code(column, words)
    found = _accept(column, "number", form, guess.note if guess.form else "")
    if found is not None:
        return _as_code(column, found, code) if code else found
    if code:
        return _as_text(column, _note_code(column, code), undecided=False)
    return _as_text(column, _describe_numbers(column, words))


def _find_code(column: _Column, words: Sequence[str]) -> str:
    whole = _without_strays(words)
    if found := find_code(whole):
        return found
    if column.name == column.context.target:
        return ""
    return find_code_name(column.name, whole, sum(column.counts.values()))


def _as_code(column: _Column, found: InferredFormat, code: str) -> InferredFormat:
    """Text, where numbers are codes: by their look for certain, by their name if agreed to."""
    question = f"'{column.name}': {code}. Is it a code or a category, not a magnitude?"
    if found.kind == "number" or not column.context.ask(question, True):
        return found
    return _as_text(column, _note_code(column, code), undecided=False)


def _note_code(column: _Column, code: str) -> str:
    return f"{code}: kept as text; if it is a magnitude, --number '{column.name}'"


def _without_strays(words: Sequence[str]) -> list[str]:
    return [word for word in words if word.lower() not in _PLACEHOLDERS]


def _accept(column: _Column, kind: Kind, form: ColumnFormat, note: str) -> InferredFormat | None:
    """The format, where all but a few stray words can be read in it."""
    present = column.present()
    parsed, stray = _parse(present, kind, form)
    if kind == "number":
        fractions = _parse(dict.fromkeys(parsed, 1), "integer", form)[1]
        if not fractions:
            kind = "integer"
        elif any(re.fullmatch(r"[0-9]{19,}", word) for word in fractions):
            return None
    rows = sum(present.values())
    strange = [word for word in stray if word.lower() not in _PLACEHOLDERS]
    strange_rows = sum(stray[word] for word in strange)
    if len(parsed) < min(_LEAST_READ, len(present)) or not parsed:
        return None
    if strange_rows > _TOLERATED * rows or len(strange) > _MOST_STRAY_WORDS:
        return None
    if strange:
        listed = _list_words(strange, stray)
        said = f"{listed} cannot be read as {_PLURALS[kind]} and count as missing"
        note = f"{note}; {said}" if note else said
    declared = tuple(sorted({*stray, *(set(column.declared) & set(column.counts))}))
    missing = {w: n for w, n in column.counts.items() if w not in present} | stray
    return InferredFormat(
        kind, form.model_copy(update={"missing": declared}), note, missing=missing
    )


def _demand(column: _Column, kind: Kind, form: ColumnFormat) -> InferredFormat:
    """The format that a flag names.

    Raises:
        ProjectError: Words cannot be read in it.
    """
    present = column.present()
    form = form.model_copy(update={"missing": column.declared})
    stray = _parse(present, kind, form)[1]
    if stray:
        flag = "--date-format" if kind == "timestamp" else "--number"
        word = next(iter(stray))
        raise ProjectError(
            f"{flag} says that '{column.name}' holds {_PLURALS[kind]}, but "
            f"{_list_words(stray, stray)} cannot be read so; correct the flag, or name words for a "
            f"missing value with --missing '{column.name}={word:.40}'."
        )
    if kind == "number" and not _parse(present, "integer", form)[1]:
        kind = "integer"
    missing = {w: n for w, n in column.counts.items() if w not in present}
    return InferredFormat(kind, form, missing=missing)


def _parse(
    present: Mapping[str, int], kind: Kind, form: ColumnFormat
) -> tuple[dict[str, Cell], dict[str, int]]:
    """Values by word, and the rows of words that cannot be read."""
    parser = CellParser(kind, form)
    parsed: dict[str, Cell] = {}
    stray: dict[str, int] = {}
    for word, rows in present.items():
        try:
            value = parser.parse(word)
        except ValueError:
            stray[word] = rows
        else:
            if value is not None:
                parsed[word] = value
    return parsed, stray


def _as_text(column: _Column, note: str = "", *, undecided: bool = True) -> InferredFormat:
    """Text, in which only empty cells, declared words and what tools write count as missing."""
    technical = [word for word in column.counts if word in _ALWAYS_MISSING]
    declared = tuple(sorted({*technical, *column.declared} & {*column.counts}))
    absent = {"", *declared, *column.context.missing}
    missing = {word: rows for word, rows in column.counts.items() if word in absent}
    kept = {
        word: rows
        for word, rows in column.counts.items()
        if word in _MAY_BE_MISSING and word not in absent
    }
    return InferredFormat(
        "string",
        ColumnFormat(missing=declared),
        note or ("" if column.overrides.text else _describe_near_misses(column)),
        missing=missing,
        undecided=bool(note) and undecided,
        kept=kept,
        short_codes=_are_short_codes(column, kept),
    )


def _are_short_codes(column: _Column, kept: Mapping[str, int]) -> bool:
    """True if the other strings are codes of the same form, such as DE beside NA."""
    others = [word for word in column.present() if word not in kept]
    lengths = {len(word) for word in kept}
    return bool(others) and all(word.isupper() and len(word) in lengths for word in others)


def _describe_numbers(column: _Column, words: Sequence[str]) -> str:
    """Why words of which most look like numbers stay text; empty where they do not."""
    counts = column.counts
    odd = [word for word in words if not looks_like_number(word)]
    strange = [word for word in odd if not looks_like_number(word.lstrip(_COMPARISONS))]
    strange_rows = sum(counts[word] for word in strange)
    if not odd or strange_rows >= sum(counts[word] for word in words) / 2:
        return ""
    return (
        f"looks like numbers, but {_list_words(odd, counts)} cannot be read so: left as text; if "
        f"they are missing values, run again with --missing '{column.name}={odd[0]:.40}' for each"
    )


def _describe_near_misses(column: _Column) -> str:
    """Describe the types that a column of text almost has."""
    words = list(column.present())
    if words and are_clocks(words[:_SAMPLE]):
        return "holds times of day or durations, which stay text; write them as one number"
    if words and is_surely_named_as_time(column.name) and _have_digits(words):
        return (
            f"is named like a time and was read as text ({_list_words(words)}); if it is one, run "
            f"again with --date-format '{column.name}=%d.%m.%Y' in its own form"
        )
    return ""


def _have_digits(words: Sequence[str]) -> bool:
    some = words[:_SAMPLE]
    return sum(any(sign.isdigit() for sign in word) for word in some) > len(some) / 2


def _with_example(found: InferredFormat, column: _Column) -> InferredFormat:
    """Adds a cell that shows what reading does, and what digits might be besides numbers."""
    if found.kind is None:
        return found
    words = [word for word in column.counts if word and word not in found.missing][:_SAMPLE]
    parser = CellParser(found.kind, found.form)
    pairs = [(word, show_value(parser.parse(word))) for word in words]
    plain = next(iter(pairs), ("", ""))
    example = next((pair for pair in pairs if pair[0] != pair[1]), plain)
    return replace(found, example=example, note=found.note or _note_digits(found, column))


def _note_digits(found: InferredFormat, column: _Column) -> str:
    if found.kind not in ("integer", "number") or column.overrides.number:
        return ""
    words = list(column.present())
    if form := find_digit_form(words):
        return (
            f"was read as numbers; all could be dates ({form}): if so, run again with "
            f"--date-format '{column.name}={form}'"
        )
    if is_surely_named_as_time(column.name):
        return (
            f"is named like a time and was read as numbers ({_list_words(words)}); if it is one, "
            f"run again with --date-format '{column.name}=%Y%m%d' in its own form"
        )
    return ""


def show_value(value: Cell | None) -> str:
    """A value as the table of decisions shows it."""
    if isinstance(value, datetime):
        return value.isoformat().replace("T00:00:00+00:00", "").replace("+00:00", "Z")
    return str(value)


def _settle_missing(
    name: str, found: InferredFormat, used: set[str], context: TableContext
) -> InferredFormat:
    """Decide about words such as NA in a column of text.

    Where other columns of the table write a missing value so, and this one has no empty cell, the
    word is one here too; unless the column holds codes of the same shape, such as countries'.
    """
    for word, rows in found.kept.items():
        usual = word in used and not found.missing.get("") and not found.short_codes
        question = f"'{name}' holds '{word}' in {count_rows(rows)}. Is it a missing value?"
        asked = name not in context.earlier and not usual and context.ask(question, False)
        if usual or asked:
            found = _declare_missing(found, word)
    if not found.kept:
        return found
    listed = _list_words(found.kept, found.kept)
    note = (
        f"{listed} kept as a category; if it is a missing value, run again with --missing "
        f"'{name}={next(iter(found.kept))}'"
    )
    return replace(found, note="; ".join(filter(None, (found.note, note))))


def _declare_missing(found: InferredFormat, word: str) -> InferredFormat:
    kept = dict(found.kept)
    rows = kept.pop(word, 0)
    missing = {**found.missing, word: rows} if rows else found.missing
    declared = tuple(sorted({*found.form.missing, word}))
    return replace(
        found,
        form=found.form.model_copy(update={"missing": declared}),
        kept=kept,
        missing=missing,
    )


def count_rows(rows: int) -> str:
    """A number of rows in words."""
    return f"{rows:,} row" if rows == 1 else f"{rows:,} rows"


def _list_words(words: Iterable[str], counts: Mapping[str, int] | None = None) -> str:
    every = list(words)
    shown = [
        f"'{word:.40}'" + (f" ({count_rows(counts[word])})" if counts is not None else "")
        for word in every[:_SHOWN]
    ]
    rest = f" and {len(every) - _SHOWN} more" if len(every) > _SHOWN else ""
    return ", ".join(shown) + rest
