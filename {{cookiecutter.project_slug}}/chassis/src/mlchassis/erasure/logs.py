"""A person's lines in the prediction log."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mlchassis.data.forgotten import spell_cell
from mlchassis.erasure.selection import Selection
from mlchassis.prediction_log.reading import read_entries
from mlchassis.prediction_log.removal import holds_rows, remove_rows
from mlchassis.prediction_log.segments import (
    JSON_LINES,
    PARQUET,
    exclusive,
    find_start,
    list_files,
)
from mlchassis.prediction_log.table import SCHEMA, parse_line


def clear_logs(folder: Path, selection: Selection) -> Iterator[tuple[Path, int]]:
    """Remove the lines about the selected rows; yield the number of each file that had some.

    Segments that a Parquet file replaced and that a killed compaction left are cleared too.
    """
    if not folder.is_dir():
        return
    with exclusive(folder):
        for suffix in (JSON_LINES, PARQUET):
            for path in list_files(folder, suffix):
                yield path, clear_file(path, selection)


def clear_file(path: Path, selection: Selection) -> int:
    """Remove the lines about the selected rows from a file of the log; count them."""
    if path.suffix == JSON_LINES:
        return blank_lines(path, selection)
    return remove_rows(path, lambda entry: _is_selected(entry, selection))


def holds_lines(folder: Path, selection: Selection) -> bool:
    """True if the log has a line about the selected rows."""
    return any(_is_selected(entry, selection) for entry in read_entries(folder))


def file_holds_lines(path: Path, selection: Selection) -> bool:
    """True if a file of the log has a line about the selected rows."""
    if path.suffix == JSON_LINES:
        return any(True for _ in _find_lines(path, selection))
    return holds_rows(path, lambda entry: _is_selected(entry, selection))


def is_log_file(path: Path) -> bool:
    """True if a service or `compact-log` wrote a file."""
    if path.suffix == JSON_LINES:
        return find_start(path) is not None
    try:
        return set(pq.read_schema(path).names) == set(SCHEMA.names)
    except (pa.ArrowInvalid, OSError):
        return False


def blank_lines(path: Path, selection: Selection) -> int:
    """Overwrite the lines about the selected rows with spaces; count them.

    The file keeps its length, so a service that appends to it loses no line, and a process that is
    killed here leaves every other line whole.
    """
    count = 0
    with path.open("r+b", buffering=0) as file:
        for offset, length in list(_find_lines(path, selection)):
            os.pwrite(file.fileno(), b" " * length, offset)
            count += 1
        os.fsync(file.fileno())
    return count


def _find_lines(path: Path, selection: Selection) -> Iterator[tuple[int, int]]:
    offset = 0
    with path.open("rb") as lines:
        for line in lines:
            bare = line.rstrip(b"\n")
            if bare.strip() and _is_selected(parse_line(bare), selection):
                yield offset, len(bare)
            offset += len(line)


def _is_selected(entry: Any, selection: Selection) -> bool:
    return isinstance(entry, dict) and _matches(entry, selection)


def _matches(entry: Mapping[str, Any], selection: Selection) -> bool:
    column = selection.column
    key = selection.key
    inputs = entry.get("inputs")
    cells = [inputs.get(column.name) if isinstance(inputs, dict) else None]
    cells += [entry.get(role) for role in ("key", "event_time") if role in column.roles]
    if any(spell_cell(cell, column.kind) == selection.value for cell in cells):
        return True
    return key is not None and spell_cell(entry.get("key"), key.kind) in selection.keys
