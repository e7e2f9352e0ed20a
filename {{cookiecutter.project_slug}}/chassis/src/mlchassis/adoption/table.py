"""The table to adopt: read, typed and profiled."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pandas as pd

from mlchassis.adoption.columns.codes import resolve_codes
from mlchassis.adoption.columns.keys_and_times import check_names
from mlchassis.adoption.columns.plan import Ask, RoleOverrides
from mlchassis.adoption.columns.profile import ColumnFacts, profile
from mlchassis.adoption.earlier import EarlierAdoption, read_formats
from mlchassis.adoption.files.placement import collect_query, make_portable
from mlchassis.adoption.formats.composed_time import Composed, find_composed
from mlchassis.adoption.formats.detect_source import OpenedSource, open_source
from mlchassis.adoption.formats.overrides import (
    ColumnOverrides,
    FormatOverrides,
    resolve_overrides,
)
from mlchassis.adoption.inference.infer import infer_format, infer_formats
from mlchassis.adoption.inference.models import EarlierFormat, InferredFormat, TableContext
from mlchassis.adoption.options import AdoptionOptions
from mlchassis.config.source_params import ColumnFormat, OwnParams, TableFormat
from mlchassis.contract.model import Kind
from mlchassis.errors import ProjectError
from mlchassis.paths import Paths
from mlchassis.sources.composing import compose_times
from mlchassis.sources.files import MISSING_COLUMNS, NESTED, NOTES
from mlchassis.sources.parsing import is_text, parse_column
from mlchassis.sources.registry import read_as_text
from mlchassis.sources.sql import query_database


@dataclass(frozen=True, slots=True)
class ReadTable:
    """A table with how it is written and what its columns hold.

    Attributes:
        opened: The source as it was found, with the encoding of its files.
        source: The source as `params.yaml` is to say it.
        local_path: The source's path, where that holds on this machine alone.
        query: The database's query, where a person gave one.
        formats: Inferred format by column.
        composed: Times that are made of several columns.
        rows: The typed rows.
        facts: Profile by column.
        notes: Columns and files that were left out.
    """

    opened: OpenedSource
    source: OwnParams
    local_path: str | None
    query: str | None
    formats: dict[str, InferredFormat]
    composed: Composed
    rows: pd.DataFrame
    facts: dict[str, ColumnFacts]
    notes: tuple[str, ...]


def read_source_text(
    paths: Paths, options: AdoptionOptions, ask: Ask
) -> tuple[OpenedSource, str | None, pd.DataFrame]:
    """Find the source, and read every row as it is written; with the database's query.

    Raises:
        ProjectError: The source cannot be read, or has no column of the target's name.
    """
    opened = open_source(options.location, paths.root, options.formats, ask)
    query = collect_query(options.location, paths.root)
    strings = _read_all(opened.params, query, paths.root)
    _check_target(strings, options.overrides)
    return opened, query, strings


def read_table(
    paths: Paths,
    opened: OpenedSource,
    query: str | None,
    strings: pd.DataFrame,
    options: AdoptionOptions,
    earlier: EarlierAdoption | None,
    ask: Ask,
) -> ReadTable:
    """Type and profile the rows of a source.

    Args:
        paths: The project.
        opened: The source, from `read_source_text` as the next two.
        query: The database's query.
        strings: The rows as they are written.
        options: Options of the adoption.
        earlier: The adoption that this one continues.
        ask: Callback for the user's answer.
    """
    known = read_formats(paths, earlier, options.overrides.target)
    formats = read_columns(strings, options, ask, _delimiter(opened.params), known)
    composed = find_composed(strings, formats, options.overrides.event_time)
    strings, formats = _compose(strings, formats, composed)
    rows = parse_table(strings, formats)
    settled = {*known, *(name for parts in composed.values() for name in parts)}
    target = options.overrides.target
    coded = resolve_codes(strings, rows, formats, target, options.formats, settled, ask)
    if coded != formats:
        formats, rows = coded, parse_table(strings, coded)
    facts = profile(rows, formats)
    source, local_path = make_portable(
        _with_formats(opened.params, facts, options.formats, composed), paths.root
    )
    notes = (*_note_nested(strings.attrs.get(NESTED, ())), *strings.attrs.get(NOTES, ()))
    return ReadTable(opened, source, local_path, query, formats, composed, rows, facts, notes)


def _check_target(strings: pd.DataFrame, overrides: RoleOverrides) -> None:
    """Reject a table without the target.

    Raises:
        ProjectError: No file, or not every one, has the column.
    """
    lacking = strings.attrs.get(MISSING_COLUMNS, {})
    if overrides.target in lacking:
        raise ProjectError(
            f"{lacking[overrides.target]} lacks the target '{overrides.target}', which other files "
            "of the folder have; add it to the file, or take the file out of the folder, and run "
            "`make adopt` again."
        )
    if overrides.target not in strings:
        # A flag may also name a time that is composed later, so other names are checked with it.
        check_names([str(name) for name in strings], overrides)


def _read_all(opened: OwnParams, query: str | None, root: Path) -> pd.DataFrame:
    """A profile is of all rows, whichever months are stored."""
    if opened.kind != "sql":
        return read_as_text(opened, root)
    whole = opened.model_copy(update={"incremental": None})
    return read_as_text(whole, root) if query is None else query_database(whole, query, root)


def _answer_safely(_question: str, safe: bool) -> bool:
    return safe


def read_columns(
    strings: pd.DataFrame,
    options: AdoptionOptions,
    ask: Ask = _answer_safely,
    delimiter: str = ",",
    earlier: Mapping[str, EarlierFormat] = MappingProxyType({}),
) -> dict[str, InferredFormat]:
    """Infer each column's format; a target with classes other than integers becomes text."""
    overrides = resolve_overrides(options.formats, list(map(str, strings)))
    target = options.overrides.target
    context = TableContext(
        options.day_first,
        ask,
        delimiter,
        missing=overrides.missing,
        target=target,
        earlier=_select_formats(earlier, day_first=options.day_first),
    )
    inferred = infer_formats(strings, context, overrides.columns)
    if _is_class_label(inferred[target].kind, strings[target], options.overrides):
        as_text = ColumnOverrides(text=True)
        inferred[target] = infer_format(strings[target], context=context, overrides=as_text)
    return inferred


def _select_formats(
    earlier: Mapping[str, EarlierFormat], *, day_first: bool
) -> dict[str, EarlierFormat]:
    """Return the earlier formats that still hold: --month-first reads times in another way."""
    return {
        name: (kind, form)
        for name, (kind, form) in earlier.items()
        if day_first or kind != "timestamp"
    }


def _is_class_label(kind: Kind | None, target: "pd.Series[Any]", overrides: RoleOverrides) -> bool:
    """Return True if the target's values are class labels that must be read as text."""
    if kind == "number":
        return target.nunique() == 2 if overrides.task is None else overrides.task != "regression"
    # --positive names the class as it is written, such as 'yes'.
    return kind == "timestamp" or (kind == "boolean" and overrides.positive is not None)


def _delimiter(source: OwnParams) -> str:
    return "," if source.kind == "sql" else source.delimiter


def parse_table(
    strings: pd.DataFrame, formats_by_column: Mapping[str, InferredFormat]
) -> pd.DataFrame:
    """Every column in its kind."""
    columns = {}
    for name, inferred in formats_by_column.items():
        kind = inferred.kind or "string"
        columns[name], _ = parse_column(strings[name], kind, inferred.form)
        if not is_text(columns[name]) and kind in ("integer", "number"):
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
    strings: pd.DataFrame, formats_by_column: dict[str, InferredFormat], composed: Composed
) -> tuple[pd.DataFrame, dict[str, InferredFormat]]:
    """Add the times that are made of several columns, as every ingest will."""
    forms = {name: inferred.form for name, inferred in formats_by_column.items()}
    rows = compose_times(strings, TableFormat(columns=forms, compose=composed))
    times = dict.fromkeys(composed, InferredFormat("timestamp", ColumnFormat()))
    return rows, formats_by_column | times


def _note_nested(names: Sequence[str]) -> list[str]:
    listed = ", ".join(f"'{name}'" for name in names)
    why = "lists or structs, which are not read; if they matter, give them plain columns"
    return [f"{listed}: {why}"] if names else []
