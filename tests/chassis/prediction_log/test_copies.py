"""Two hosts that compact copies of one log: each row is read once."""

import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mlchassis.prediction_log.compaction import compact_log
from mlchassis.prediction_log.copies import CopyFilter
from mlchassis.prediction_log.reading import read_entries
from mlchassis.prediction_log.segments import name_host
from mlchassis.prediction_log.table import make_table

NOW = datetime(2026, 3, 5, 12, tzinfo=UTC)
LINE = (
    '{{"format": 1, "time": "2026-03-01T10:00:00+00:00", "request_id": "same", "row": 0, '
    '"key": {}, "event_time": null, "inputs": {{}}, "prediction": 1.5, "probabilities": null, '
    '"digest": "d", "model_version": "3", "contract_version": "1.0.0"}}\n'
)
"""Clients may give requests one identifier; of one segment both lines are then rows."""


def write(folder: Path, segment: str, *keys: int) -> Path:
    """Write a closed segment in which each line has a time of its own."""
    folder.mkdir(exist_ok=True)
    path = folder / f"20260301T100000Z-{name_host()}-7-0000000{segment}.jsonl"
    lines = [LINE.format(key).replace("10:00:00", f"10:00:{key:02}") for key in keys]
    path.write_text("".join(lines))
    return path


@pytest.fixture
def hosts(tmp_path: Path) -> tuple[Path, Path]:
    """A log of three segments and its copy."""
    one, other = tmp_path / "one", tmp_path / "other"
    for number in range(3):
        write(one, str(number), 10 * number, 10 * number + 1)
    shutil.copytree(one, other)
    return one, other


def delete_first(folder: Path) -> None:
    """The copy begins later: its file has another name."""
    min(folder.glob("*.jsonl")).unlink()


def delete_last(folder: Path) -> None:
    """The copy ends earlier: its file has the same name, but fewer segments."""
    max(folder.glob("*.jsonl")).unlink()


def compact_in_parts(folder: Path) -> None:
    """The copy was compacted while the last segment was half as long."""
    last = max(folder.glob("*.jsonl"))
    whole = last.read_text()
    last.write_text(whole.splitlines(keepends=True)[0])
    compact_log(folder, None, NOW)
    last.write_text(whole)


def keep(folder: Path) -> None:
    """The copy has the same segments."""


@pytest.mark.parametrize("change", [keep, delete_first, delete_last, compact_in_parts])
def test_rows_that_both_have_are_read_once(
    change: Callable[[Path], None], hosts: tuple[Path, Path], tmp_path: Path
) -> None:
    one, other = hosts
    change(other)
    for folder in hosts:
        compact_log(folder, None, NOW)
        assert not list(folder.glob("*.jsonl"))
    for folders in ([tmp_path], [one, other], [other, one]):
        keys = sorted(entry["key"] for entry in read_entries(*folders))
        assert keys == [0, 1, 10, 11, 20, 21]
        found = read_entries(*folders, request_id="same")
        assert sorted(entry["key"] for entry in found) == keys


def test_equal_lines_of_one_file_are_all_kept(hosts: tuple[Path, Path], tmp_path: Path) -> None:
    for folder, more in zip(hosts, ((5, 5), (5, 5, 6)), strict=True):
        write(folder, "9", *more)
        compact_log(folder, None, NOW)
    keys = sorted(entry["key"] for entry in read_entries(tmp_path))
    assert keys == [0, 1, 5, 5, 6, 10, 11, 20, 21]


def test_rows_are_remembered_only_until_the_last_file_is_read(tmp_path: Path) -> None:
    paths = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    table = make_table([("s", LINE.format(key).encode()) for key in range(3)])
    (batch,) = table.to_batches()
    copies = CopyFilter({path: ["s"] for path in paths})
    counts = []
    for path in (*paths, paths[1]):
        counts.append(copies.drop_copies(path, batch).num_rows)
        copies.close(path)
    # A file that is not announced as a copy any more is read as it is.
    assert counts == [3, 0, 3]
