"""Rows are removed from a Parquet file, and the segments that it replaced stay replaced."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mlchassis.prediction_log.compaction import compact_log
from mlchassis.prediction_log.reading import read_entries
from mlchassis.prediction_log.removal import remove_rows
from mlchassis.prediction_log.segments import name_host
from mlchassis.prediction_log.table import find_newest, read_replaced


def has_key(key: int) -> Any:
    return lambda entry: isinstance(entry, dict) and entry["key"] == key


def test_selected_rows_are_removed_and_nothing_else(tmp_path: Path) -> None:
    segment = tmp_path / f"20260301T100000Z-{name_host()}-7-01234567.jsonl"
    lines = "".join(json.dumps({"key": key, "inputs": {}}) + "\n" for key in (1, 2, 1))
    segment.write_text(lines)
    compact_log(tmp_path, None, datetime(2026, 3, 5, tzinfo=UTC))
    path = segment.with_suffix(".parquet")
    before = path.read_bytes()
    assert remove_rows(path, has_key(3)) == 0
    assert path.read_bytes() == before
    assert remove_rows(path, has_key(1)) == 2
    assert [entry["key"] for entry in read_entries(tmp_path)] == [2]
    assert read_replaced(path) == {segment.name: len(lines)}
    assert find_newest(path) == ""
    # A compaction that was killed before it deleted the segment.
    segment.write_text(lines)
    assert [entry["key"] for entry in read_entries(tmp_path)] == [2]
