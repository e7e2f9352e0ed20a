import json
import os
import re
import resource
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mlchassis.serving.logs.prediction_log import PredictionLog, PredictionLogError


@pytest.fixture
def log(tmp_path: Path) -> Iterator[PredictionLog]:
    log = PredictionLog(tmp_path / "log")
    yield log
    log.close()


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """The kernel takes files up to this size: a disk that fills up."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_lines_are_in_the_file_when_append_returns(log: PredictionLog) -> None:
    log.append(b'{"row":0}\n{"row":1}\n')
    log.append(b'{"row":2}\n')
    lines = log.path.read_bytes().splitlines()
    assert [json.loads(line)["row"] for line in lines] == [0, 1, 2]


def test_two_logs_never_share_a_file(tmp_path: Path) -> None:
    assert PredictionLog(tmp_path).path != PredictionLog(tmp_path).path


def test_nobody_else_may_read_the_file(log: PredictionLog) -> None:
    log.append(b"{}\n")
    assert log.path.stat().st_mode & 0o007 == 0


def test_a_part_of_a_line_is_taken_back_and_the_log_recovers(log: PredictionLog) -> None:
    log.append(b"first\n")
    with largest_file(10), pytest.raises(PredictionLogError, match="part"):
        log.append(b"second is too long\n")
    assert log.path.read_bytes() == b"first\n"
    log.append(b"third\n")
    assert log.path.read_bytes() == b"first\nthird\n"


def test_a_part_that_cannot_be_taken_back_does_not_spoil_the_next_line(
    log: PredictionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int, size: int) -> None:
        raise OSError("no")

    log.append(b"first\n")
    torn = log.path
    with monkeypatch.context() as patch:
        patch.setattr(os, "ftruncate", refuse)
        with largest_file(10), pytest.raises(PredictionLogError):
            log.append(b"second is too long\n")
    log.append(b"third\n")
    assert torn.read_bytes() == b"first\nseco"
    assert log.path.read_bytes() == b"third\n"


def test_a_full_device_is_an_error_and_costs_no_segment(
    log: PredictionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.append(b"first\n")
    write = os.write
    with monkeypatch.context() as patch, Path("/dev/full").open("wb") as full:
        patch.setattr(os, "write", lambda _, lines: write(full.fileno(), lines))
        for _ in range(3):
            with pytest.raises(PredictionLogError, match="No space left"):
                log.append(b"{}\n")
    log.append(b"second\n")
    assert log.path.read_bytes() == b"first\nsecond\n"
    assert len(list(log.path.parent.iterdir())) == 1


def test_a_large_or_old_segment_is_followed_by_another_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = PredictionLog(tmp_path, segment_bytes=10)
    for line in (b"first\n", b"second\n", b"third\n"):
        log.append(line)
    assert log.path.read_bytes() == b"third\n"
    started = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: started + 86_500)
    log.append(b"fourth\n")
    log.close()
    contents = [path.read_bytes() for path in tmp_path.iterdir()]
    assert sorted(contents) == [b"first\nsecond\n", b"fourth\n", b"third\n"]


def test_a_segment_is_named_after_time_host_and_process(log: PredictionLog) -> None:
    host = re.sub("[^A-Za-z0-9]+", "-", socket.gethostname())[:63]
    name = rf"\d{{8}}T\d{{6}}Z-{host}-{os.getpid()}-[0-9a-f]{{8}}\.jsonl"
    assert re.fullmatch(name, log.path.name)


def test_a_clock_that_jumps_backwards_loses_no_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Segments of the same second and process have different names, and each line a place."""

    class JumpingClock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> "JumpingClock":
            return cls(2020, 1, 1, tzinfo=tz)

    log = PredictionLog(tmp_path, segment_bytes=1)
    log.append(b"first\n")
    monkeypatch.setattr("mlchassis.serving.logs.prediction_log.datetime", JumpingClock)
    for line in (b"second\n", b"third\n"):
        log.append(line)
    log.close()
    assert log.path.name.startswith("20200101T000000Z-")
    contents = [path.read_bytes() for path in tmp_path.iterdir()]
    assert sorted(contents) == [b"first\n", b"second\n", b"third\n"]


def test_a_check_sees_a_full_device_before_a_line_is_lost(
    log: PredictionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.check()
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_bavail=0))
    with pytest.raises(PredictionLogError, match="the device is full"):
        log.check()


def test_a_deleted_segment_is_followed_by_another_one(log: PredictionLog) -> None:
    log.append(b"first\n")
    shutil.rmtree(log.path.parent)
    log.append(b"second\n")
    assert log.path.read_bytes() == b"second\n"


def test_a_folder_that_cannot_be_made_is_named_with_its_setting(log: PredictionLog) -> None:
    log.path.parent.write_bytes(b"")
    with pytest.raises(PredictionLogError, match="SERVICE_LOG_DIRECTORY"):
        log.open()
    log.path.parent.unlink()
    log.open()
