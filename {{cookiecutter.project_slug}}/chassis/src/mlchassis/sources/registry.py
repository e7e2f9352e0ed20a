"""Read the configured source and coerce its rows to the contract's columns."""

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from mlchassis.config.source_params import CustomParams, OwnParams, SourceParams
from mlchassis.contract.model import Contract
from mlchassis.errors import ProjectError
from mlchassis.sources.composing import compose_times, list_sources
from mlchassis.sources.files import MISSING_COLUMNS, NESTED, NOTES, read_files
from mlchassis.sources.parsing import INVALID_CELLS, MISSING_COUNTS, join_written, parse_columns
from mlchassis.sources.s3 import read_objects
from mlchassis.sources.sql import read_rows

Source = Callable[[Mapping[str, Any], Path], pd.DataFrame]
"""`source.options` of params.yaml and the project's folder, to all rows that there are."""

_Read = Callable[[Any, Path, Collection[str] | None], list[pd.DataFrame]]
_READERS: Mapping[str, _Read] = {
    "files": read_files,
    "s3": read_objects,
    "sql": read_rows,
}


def read_source(
    params: SourceParams,
    contract: Contract,
    root: Path,
    source: Source | None = None,
    lenient: Collection[str] = (),
) -> pd.DataFrame:
    """All rows that the configured source offers, with the contract's column names.

    The frame's attribute NOTES says what was left out, MISSING_COUNTS how many cells of a column
    hold which word that counts as missing.

    Args:
        params: Settings of the source.
        contract: Contract of the resulting columns.
        root: The project's folder, from which relative paths count.
        source: The project's own function, for `source.kind: custom`.
        lenient: Columns whose invalid cells are missing, as in `parse_columns`; the cells of a
            custom source are not parsed.

    Raises:
        ProjectError: The source is not there or lacks what it should have.
    """
    if isinstance(params, CustomParams):
        return _read_custom(params, root, source)
    names = {column.name for column in contract.columns}
    form = params.table_format()
    written = _READERS[params.kind](params, root, list_sources(form, names))
    notes = written[0].attrs.get(NOTES, [])
    parsed = [
        parse_columns(compose_times(frame, form), form, contract, lenient) for frame in written
    ]
    rows = pd.concat(parsed, ignore_index=True) if len(parsed) > 1 else parsed[0]
    rows.attrs[NOTES] = notes
    rows.attrs[INVALID_CELLS] = {
        name: [cell for frame in parsed for cell in frame.attrs[INVALID_CELLS].get(name, ())]
        for name in lenient
    }
    rows.attrs[MISSING_COUNTS] = _add_counts([frame.attrs[MISSING_COUNTS] for frame in parsed])
    return rows


def _read_custom(params: CustomParams, root: Path, source: Source | None) -> pd.DataFrame:
    if source is None:
        raise ProjectError(
            "params.yaml: source.kind is 'custom', but project.py passes no `source` to Project; "
            f"pass a function there, or choose one of {', '.join(_READERS)}."
        )
    rows = source(params.options, root)
    if not isinstance(rows, pd.DataFrame):
        raise ProjectError(
            f"The source of project.py returned {type(rows).__name__}; return a pandas.DataFrame "
            "with the contract's columns."
        )
    return rows


def _add_counts(files: list[dict[str, dict[str, int]]]) -> dict[str, dict[str, int]]:
    """Return the number of cells by column and marker, in all files."""
    total: dict[str, dict[str, int]] = {}
    for columns in files:
        for name, strings in columns.items():
            counts = total.setdefault(name, {})
            for string, count in strings.items():
                counts[string] = counts.get(string, 0) + count
    return total


def read_as_text(params: OwnParams, root: Path) -> pd.DataFrame:
    """Return every row as the source writes it: text, or columns that have a type already.

    Of several files, the columns that all of them have. The frame's attribute NOTES says what was
    left out.

    Raises:
        ProjectError: The source does not exist, is invalid, or is not a table.
    """
    frames = _READERS[params.kind](params, root, None)
    rows = join_written(frames)
    rows.attrs = {
        name: value
        for name, value in frames[0].attrs.items()
        if name in (NESTED, NOTES, MISSING_COLUMNS)
    }
    return rows
