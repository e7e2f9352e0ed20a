"""The reader yields each line once, from JSON lines and Parquet files alike."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mlchassis.prediction_log.compaction import compact_log
from mlchassis.prediction_log.reading import read_entries
from mlchassis.prediction_log.segments import name_host
from mlchassis.prediction_log.table import TORN

NOW = datetime(2026, 3, 5, 12, tzinfo=UTC)
LINE: dict[str, Any] = {
    "format": 1,
    "time": "2026-03-01T10:00:00+00:00",
    "request_id": "r" * 32,
    "row": 0,
    "key": "K-1",
    "event_time": "2026-03-01T09:00:00+00:00",
    "inputs": {"size": 0.1, "shop": "Zürich ☃", "pieces": 2**70, "price": None},
    "prediction": True,
    "probabilities": {"false": 0.1, "true": 0.9},
    "digest": "d" * 64,
    "model_version": "3",
    "contract_version": "2.0.0",
}
VARIANTS: list[Any] = [
    {"trace_id": "t" * 32},
    {"key": None, "event_time": None, "probabilities": None, "prediction": -1e-300},
    {"key": 7, "inputs": {}},
    # Lines of other versions and tools are kept as they are.
    {"format": 2, "more": [1, {"a": None}]},
    {"format": 2**64},
    {"row": True},
    {"request_id": None},
    {"request_id": "\ud800"},
    {"trace_id": 5},
]
Write = Callable[[list[bytes]], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Function that writes a closed segment."""

    def call(lines: list[bytes]) -> Path:
        path = tmp_path / f"20260301T100000Z-{name_host()}-7-01234567.jsonl"
        path.write_bytes(b"".join(lines))
        return path

    return call


def test_lines_of_every_kind_are_equal_before_and_after_compaction(
    write: Write, tmp_path: Path
) -> None:
    lines = [json.dumps({**LINE, **variant}).encode() + b"\n" for variant in VARIANTS]
    lines += [b"[]\n", b'"text"\n', b"5\n", b"\xff\xfe\n", b"   \n", b'{"format": 1, "ti']
    path = write(lines)
    before = list(read_entries(tmp_path))
    compact_log(tmp_path, None, NOW)
    assert not path.exists()
    after = list(read_entries(tmp_path))
    assert len(before) == len(VARIANTS) + 5
    assert after == before
    assert [entry is TORN for entry in after].count(True) == 2
    order = [list(entry) for entry in before if isinstance(entry, dict)]
    assert [list(entry) for entry in after if isinstance(entry, dict)] == order


def test_one_request_is_found_in_both_kinds_of_files(write: Write, tmp_path: Path) -> None:
    lines = [json.dumps({**LINE, "request_id": name, "row": n}) for n, name in enumerate("abcb")]
    lines.append(json.dumps({**LINE, "request_id": "b", "row": 4, "format": 2, "more": 1}))
    write([line.encode() + b"\n" for line in lines])
    for _ in range(2):
        found = read_entries(tmp_path, request_id="b")
        assert [entry["row"] for entry in found if entry["request_id"] == "b"] == [1, 3, 4]
        compact_log(tmp_path, None, NOW)


def test_a_copy_in_another_folder_is_read_once_and_the_longer_one_wins(
    write: Write, tmp_path: Path
) -> None:
    path = write([json.dumps({**LINE, "row": row}).encode() + b"\n" for row in range(3)])
    copy = tmp_path / "copies" / path.name
    copy.parent.mkdir()
    copy.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:2]))
    assert [entry["row"] for entry in read_entries(tmp_path)] == [0, 1, 2]
    assert [entry["row"] for entry in read_entries(copy.parent, tmp_path)] == [0, 1, 2]


def test_a_folder_that_may_only_be_read_is_read(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write([json.dumps(LINE).encode() + b"\n"])

    def refuse(*arguments: Any) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.open", refuse)
    assert len(list(read_entries(tmp_path))) == 1
