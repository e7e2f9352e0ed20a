"""Compaction keeps each row exactly once, wherever it is killed and whoever writes meanwhile."""

import builtins
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from mlchassis.errors import ProjectError
from mlchassis.prediction_log.compaction import Compaction, compact_log
from mlchassis.prediction_log.reading import read_entries
from mlchassis.prediction_log.segments import name_host
from mlchassis.serving.logs.prediction_log import PredictionLog

NOW = datetime(2026, 3, 5, 12, tzinfo=UTC)


class KilledError(BaseException):
    """End of a process that was killed: nothing that it would clean up happens."""


def make_line(number: int, day: int = 1, **changes: Any) -> bytes:
    """Return a line as the service writes it."""
    line = {
        "format": 1,
        "time": f"2026-03-{day:02}T10:00:00.5+00:00",
        "request_id": f"request-{number // 2}",
        "row": number % 2,
        "key": number,
        "event_time": None,
        "inputs": {"size": 0.1 * number, "shop": "north"},
        "prediction": True,
        "probabilities": {"false": 0.25, "true": 0.75},
        "digest": "d" * 64,
        "model_version": "3",
        "contract_version": "2.0.0",
    }
    return json.dumps({**line, **changes}).encode() + b"\n"


def write_segment(
    folder: Path, numbers: Sequence[int], day: int = 1, host: str = "", **changes: Any
) -> Path:
    """Write a closed segment of a host, of this one by default."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"202603{day:02}T100000Z-{host or name_host()}-7-{numbers[0]:08x}.jsonl"
    path = folder / name
    path.write_bytes(b"".join(make_line(number, day, **changes) for number in numbers))
    return path


def list_keys(*folders: Path) -> list[int]:
    return sorted(entry["key"] for entry in read_entries(*folders))


def list_names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("**/*") if path.is_file())


def compact(folder: Path, keep_days: int | None = None, now: datetime = NOW) -> Compaction:
    return compact_log(folder, keep_days, now)


def test_closed_segments_of_a_day_become_one_parquet_file(tmp_path: Path) -> None:
    first = write_segment(tmp_path, range(3))
    write_segment(tmp_path, range(3, 6))
    write_segment(tmp_path / "host-2", range(6, 8), day=2)
    before = list(read_entries(tmp_path))
    assert compact(tmp_path) == Compaction(segments=3, files=2, open=0, expired=0)
    assert list(read_entries(tmp_path)) == before
    files = [path for path in tmp_path.glob("**/*.*") if path.suffix in (".jsonl", ".parquet")]
    assert first.with_suffix(".parquet") in files
    assert {path.suffix for path in files} == {".parquet"}
    assert all(path.stat().st_mode & 0o007 == 0 for path in files)


def test_a_second_compaction_changes_nothing(tmp_path: Path) -> None:
    path = write_segment(tmp_path, range(3)).with_suffix(".parquet")
    compact(tmp_path)
    before = path.read_bytes()
    assert compact(tmp_path) == Compaction(segments=0, files=0, open=0, expired=0)
    assert path.read_bytes() == before


OPERATIONS = {"open", "fsync", "replace", "unlink", "write_table", "add_key_value_metadata"}


@contextmanager
def killed_at(number: int, patch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Kill the process at one of its file operations; yield the names of those that it began."""
    begun: list[str] = []

    def count(name: str, operation: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            begun.append(name)
            if len(begun) > number:
                raise KilledError
            return operation(*arguments, **options)

        return call

    with patch.context() as context:
        for name in ("open", "fsync", "replace", "unlink"):
            context.setattr(os, name, count(name, getattr(os, name)))
        context.setattr(builtins, "open", count("open", builtins.open))
        context.setattr(Path, "open", count("open", Path.open))
        for name in ("write_table", "add_key_value_metadata"):
            operation = count(name, getattr(pq.ParquetWriter, name))
            context.setattr(pq.ParquetWriter, name, operation)
        yield begun


def test_a_compaction_killed_at_any_file_operation_loses_and_doubles_no_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kills = set()
    for number in range(100):
        folder = tmp_path / str(number)
        write_segment(folder, range(3))
        write_segment(folder, range(3, 6))
        write_segment(folder / "host-2", range(6, 9), day=2)
        with killed_at(number, monkeypatch) as begun:
            try:
                compact(folder)
            except KilledError:
                kills.add(begun[number])
            else:
                break
        assert list_keys(folder) == list(range(9)), begun
        compact(folder)
        assert list_keys(folder) == list(range(9)), begun
        assert {Path(name).suffix for name in list_names(folder)} == {".parquet", ""}
    assert number > 20
    assert kills == OPERATIONS


def test_a_segment_that_a_service_writes_is_left_alone(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path)
    log.append(make_line(1))
    assert compact(tmp_path, now=datetime.now(UTC)).open == 1
    log.append(make_line(2))
    log.close()
    assert compact(tmp_path, now=datetime.now(UTC)).segments == 1
    log.append(make_line(3))
    log.close()
    assert list_keys(tmp_path) == [1, 2, 3]


def test_a_service_takes_another_segment_if_the_compaction_was_faster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between creating a segment and locking it, the compaction locks it."""
    log = PredictionLog(tmp_path)
    create = os.open
    taken: list[int] = []

    def create_and_lose(path: Any, flags: int, *arguments: Any) -> int:
        descriptor = create(path, flags, *arguments)
        if flags & os.O_EXCL and not taken:
            taken.append(descriptor)
            compact(tmp_path, now=datetime.now(UTC))
        return descriptor

    monkeypatch.setattr(os, "open", create_and_lose)
    log.append(make_line(1))
    log.close()
    assert taken
    assert list_keys(tmp_path) == [1]


def test_a_segment_of_another_host_is_compacted_two_days_after_its_last_line(
    tmp_path: Path,
) -> None:
    path = write_segment(tmp_path, range(3), host="host-2")
    for days, replaced in ((1, 0), (3, 1)):
        changed = (NOW - timedelta(days=days)).timestamp()
        os.utime(path, (changed, changed))
        assert compact(tmp_path).segments == replaced
        assert list_keys(tmp_path) == [0, 1, 2]


def test_a_segment_that_a_service_did_not_name_is_left_alone(tmp_path: Path) -> None:
    path = write_segment(tmp_path, range(3)).rename(tmp_path / "a.jsonl")
    assert compact(tmp_path).open == 1
    assert path.exists()


def test_a_longer_copy_of_a_compacted_segment_adds_only_its_new_lines(tmp_path: Path) -> None:
    """A folder into which the logs of other hosts are copied while these write them."""
    path = write_segment(tmp_path, range(3))
    compact(tmp_path)
    write_segment(tmp_path, range(5))
    assert path.exists()
    assert list_keys(tmp_path) == list(range(5))
    compact(tmp_path)
    assert not path.exists()
    assert len(list(tmp_path.glob("*.parquet"))) == 2
    write_segment(tmp_path, range(5))
    assert list_keys(tmp_path) == list(range(5))
    compact(tmp_path)
    assert not path.exists()
    assert list_keys(tmp_path) == list(range(5))


def test_a_segment_without_a_line_is_deleted(tmp_path: Path) -> None:
    path = write_segment(tmp_path, range(1))
    path.write_bytes(b"    \n")
    assert compact(tmp_path) == Compaction(segments=1, files=0, open=0, expired=0)
    assert [name for name in list_names(tmp_path) if name != ".lock"] == []


def test_rows_older_than_the_retention_are_deleted_and_no_others(tmp_path: Path) -> None:
    for day in (1, 2, 3):
        write_segment(tmp_path, [day], day)
    assert compact(tmp_path).expired == 0
    assert list_keys(tmp_path) == [1, 2, 3]
    # On the fifth at noon: a row of the second at ten is older than three days.
    assert compact(tmp_path, keep_days=3).expired == 2
    assert list_keys(tmp_path) == [3]


def test_rows_of_another_version_of_the_log_are_deleted_too(tmp_path: Path) -> None:
    """Their time is in no column, so the end of their segment counts: the second at ten."""
    for day in (1, 2):
        write_segment(tmp_path, [day], day, another_field=0)
    assert compact(tmp_path, keep_days=4).expired == 0
    assert compact(tmp_path, keep_days=3).expired == 1
    assert list_keys(tmp_path) == [2]


def test_many_segments_are_compacted_in_several_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlchassis.prediction_log.compaction._MAX_SEGMENTS", 2)
    monkeypatch.setattr("mlchassis.prediction_log.compaction._GROUP_ROWS", 3)
    for start in range(0, 25, 5):
        write_segment(tmp_path, range(start, start + 5))
    assert compact(tmp_path).files == 3
    assert list_keys(tmp_path) == list(range(25))


def test_a_foreign_parquet_file_is_one_sentence(tmp_path: Path) -> None:
    write_segment(tmp_path, range(3))
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(ProjectError, match=r"a\.parquet is not a whole Parquet file"):
        compact(tmp_path)
    assert len(list(tmp_path.glob("*.jsonl"))) == 1


def test_a_folder_without_locks_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: Any) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    with pytest.raises(ProjectError, match=r"cannot be locked \(No locks available\)"):
        compact(tmp_path)
