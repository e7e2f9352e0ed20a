"""A person's lines in the prediction log."""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mlchassis.data.forgotten import spell_cell
from mlchassis.erasure.selection import Selection
from mlchassis.prediction_log.reading import read_entries
from mlchassis.prediction_log.removal import remove_rows
from mlchassis.prediction_log.segments import JSON_LINES, PARQUET, exclusive, list_files


def clear_logs(folder: Path, selection: Selection) -> Iterator[tuple[Path, int]]:
    """Remove the lines about the selected rows; yield the number of each file that had some.

    Segments that a Parquet file replaced and that a killed compaction left are cleared too.
    """

    def selects(entry: Any) -> bool:
        return isinstance(entry, dict) and _matches(entry, selection)

    if not folder.is_dir():
        return
    with exclusive(folder):
        for path in list_files(folder, JSON_LINES):
            yield path, blank_lines(path, selection)
        for path in list_files(folder, PARQUET):
            yield path, remove_rows(path, selects)


def holds_lines(folder: Path, selection: Selection) -> bool:
    """True if the log has a line about the selected rows."""
    return any(
        isinstance(entry, dict) and _matches(entry, selection) for entry in read_entries(folder)
    )


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
            if bare.strip() and _is_about(bare, selection):
                yield offset, len(bare)
            offset += len(line)


def _is_about(line: bytes, selection: Selection) -> bool:
    try:
        entry = json.loads(line)
    except ValueError:
        return False
    return isinstance(entry, dict) and _matches(entry, selection)


def _matches(entry: Mapping[str, Any], selection: Selection) -> bool:
    column = selection.column
    key = selection.key
    inputs = entry.get("inputs") or {}
    cells = [inputs.get(column.name)]
    cells += [entry.get(role) for role in ("key", "event_time") if role in column.roles]
    if any(spell_cell(cell, column.kind) == selection.value for cell in cells):
        return True
    return key is not None and spell_cell(entry.get("key"), key.kind) in selection.keys
