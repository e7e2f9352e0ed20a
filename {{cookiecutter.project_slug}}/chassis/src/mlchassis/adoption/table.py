"""The table to adopt: read, typed and profiled."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import pandas as pd

from mlchassis.adoption.columns.codes import settle_codes
from mlchassis.adoption.columns.profile import ColumnFacts, profile
from mlchassis.adoption.columns.roles import Ask, Wishes, plan_columns
from mlchassis.adoption.earlier import Earlier, read_formats
from mlchassis.adoption.files.placement import collect_query, settle_location
from mlchassis.adoption.formats.composed_time import Composed, find_composed
from mlchassis.adoption.formats.detect_source import OpenedSource, open_source
from mlchassis.adoption.formats.infer import (
    EarlierFormat,
    InferredFormat,
    TableContext,
    infer_format,
    infer_formats,
)
from mlchassis.adoption.formats.overrides import (
    ColumnOverrides,
    FormatOverrides,
    resolve_overrides,
)
from mlchassis.adoption.request import Request
from mlchassis.config.source_params import ColumnFormat, OwnParams, TableFormat
from mlchassis.errors import ProjectError
from mlchassis.paths import Paths
from mlchassis.sources.composing import compose_times
from mlchassis.sources.files import LACKING, NESTED, NOTES
from mlchassis.sources.parsing import is_words, parse_column
from mlchassis.sources.registry import read_words
from mlchassis.sources.sql import ask_database


@dataclass(frozen=True, slots=True)
class ReadTable:
    """A table with how it is written and what its columns hold.

    Attributes:
        opened: The source as it was found, with the encoding of its files.
        source: The source as `params.yaml` is to say it.
        location: The source's path, where that holds on this machine alone.
        query: The database's query, where a person gave one.
        formats: Inferred format by column.
        composed: Times that are made of several columns.
        rows: The typed rows.
        facts: Profile by column.
        notes: Columns and files that were left out.
    """

    opened: OpenedSource
    source: OwnParams
    location: str | None
    query: str | None
    formats: dict[str, InferredFormat]
    composed: Composed
    rows: pd.DataFrame
    facts: dict[str, ColumnFacts]
    notes: tuple[str, ...]


def open_words(
    paths: Paths, request: Request, ask: Ask
) -> tuple[OpenedSource, str | None, pd.DataFrame]:
    """Find the source, and read every row as it is written; with the database's query.

    Raises:
        ProjectError: The source cannot be read, or has no column of the target's name.
    """
    opened = open_source(request.place, paths.root, request.formats, ask)
    query = collect_query(request.place, paths.root)
    words = _read_all(opened.params, query, paths.root)
    _check_target(words, request.wishes, ask)
    return opened, query, words


def read_table(
    paths: Paths,
    opened: OpenedSource,
    query: str | None,
    words: pd.DataFrame,
    request: Request,
    earlier: Earlier | None,
    ask: Ask,
) -> ReadTable:
    """Type and profile the rows of a source.

    Args:
        paths: The project.
        opened: The source, from `open_words` as the next two.
        query: The database's query.
        words: The rows as they are written.
        request: Options of the adoption.
        earlier: The adoption that this one continues.
        ask: Settles doubts.
    """
    known = read_formats(paths, earlier, request.wishes.target)
    formats = read_columns(words, request, ask, _delimiter(opened.params), known)
    composed = find_composed(words, formats, request.wishes.event_time)
    words, formats = _compose(words, formats, composed)
    rows = parse_table(words, formats)
    settled = {*known, *(name for parts in composed.values() for name in parts)}
    target = request.wishes.target
    coded = settle_codes(words, rows, formats, target, request.formats, settled, ask)
    if coded != formats:
        formats, rows = coded, parse_table(words, coded)
    facts = profile(rows, formats)
    source, location = settle_location(
        _with_formats(opened.params, facts, request.formats, composed), paths.root
    )
    notes = (*_note_nested(words.attrs.get(NESTED, ())), *words.attrs.get(NOTES, ()))
    return ReadTable(opened, source, location, query, formats, composed, rows, facts, notes)


_NOTHING = ColumnFacts("", None, ColumnFormat(), "", 0, 0, 0)


def _check_target(words: pd.DataFrame, wishes: Wishes, ask: Ask) -> None:
    """Refuse a table without the target.

    Raises:
        ProjectError: No file, or not every one, has the column.
    """
    lacking = words.attrs.get(LACKING, {})
    if wishes.target in lacking:
        raise ProjectError(
            f"{lacking[wishes.target]} lacks the target '{wishes.target}', which other files of "
            "the folder have; add it to the file, or take the file out of the folder, and run "
            "`make adopt` again."
        )
    if wishes.target not in words:
        # The plan refuses it with a hint; nothing needs to be read for that.
        plan_columns(dict.fromkeys(map(str, words), _NOTHING), {}, wishes, {}, ask)


def _read_all(opened: OwnParams, query: str | None, root: Path) -> pd.DataFrame:
    """A profile is of all rows, whichever months are stored."""
    if opened.kind != "sql":
        return read_words(opened, root)
    whole = opened.model_copy(update={"incremental": None})
    return read_words(whole, root) if query is None else ask_database(whole, query, root)


def _answer_safely(_question: str, safe: bool) -> bool:
    return safe


def read_columns(
    words: pd.DataFrame,
    request: Request,
    ask: Ask = _answer_safely,
    delimiter: str = ",",
    earlier: Mapping[str, EarlierFormat] = MappingProxyType({}),
) -> dict[str, InferredFormat]:
    """Infer each column's format; a target with classes that are no integers becomes text."""
    overrides = resolve_overrides(request.formats, list(map(str, words)))
    target, task = request.wishes.target, request.wishes.task
    context = TableContext(
        request.day_first,
        ask,
        delimiter,
        missing=overrides.missing,
        target=target,
        # --month-first asks for times to be read in another way.
        earlier={
            name: one for name, one in earlier.items() if request.day_first or one[0] != "timestamp"
        },
    )
    inferred = infer_formats(words, context, overrides.columns)
    two = words[target].nunique() == 2
    as_text = {
        "number": two if task is None else task != "regression",
        "timestamp": True,
        # Which of the two is to be found is said by the word that stands there.
        "boolean": request.wishes.positive is not None,
    }
    if as_text.get(str(inferred[target].kind), False):
        inferred[target] = infer_format(
            words[target], context=context, overrides=ColumnOverrides(text=True)
        )
    return inferred


def _delimiter(source: OwnParams) -> str:
    return "," if source.kind == "sql" else source.delimiter


def parse_table(words: pd.DataFrame, readings: Mapping[str, InferredFormat]) -> pd.DataFrame:
    """Every column in its kind."""
    columns = {}
    for name, reading in readings.items():
        kind = reading.kind or "string"
        columns[name], _ = parse_column(words[name], kind, reading.form)
        if not is_words(columns[name]) and kind in ("integer", "number"):
            columns[name] = columns[name].astype("Int64" if kind == "integer" else "Float64")
    return pd.DataFrame(columns)


def _with_formats(
    opened: OwnParams,
    facts: Mapping[str, ColumnFacts],
    formats: FormatOverrides,
    composed: Composed,
) -> OwnParams:
    plain = ColumnFormat()
    odd = {name: column.form for name, column in facts.items() if column.form != plain}
    missing = resolve_overrides(formats, list(facts)).missing
    return opened.model_copy(update={"columns": odd, "missing": missing, "compose": composed})


def _compose(
    words: pd.DataFrame, readings: dict[str, InferredFormat], composed: Composed
) -> tuple[pd.DataFrame, dict[str, InferredFormat]]:
    """Add the times that are made of several columns, as every ingest will."""
    forms = {name: reading.form for name, reading in readings.items()}
    rows = compose_times(words, TableFormat(columns=forms, compose=composed))
    times = dict.fromkeys(composed, InferredFormat("timestamp", ColumnFormat()))
    return rows, readings | times


def _note_nested(names: Sequence[str]) -> list[str]:
    listed = ", ".join(f"'{name}'" for name in names)
    why = "lists or structs, which are not read; if they tell something, give it columns of its own"
    return [f"{listed}: {why}"] if names else []
