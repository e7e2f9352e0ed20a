import json
import os
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

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
    with monkeypatch.context() as patch:
        patch.setattr(os, "ftruncate", refuse)
        with largest_file(10), pytest.raises(PredictionLogError):
            log.append(b"second is too long\n")
    log.append(b"third\n")
    assert log.path.read_bytes().splitlines() == [b"first", b"seco", b"third"]


def test_a_full_device_is_an_error(log: PredictionLog) -> None:
    log.path.parent.mkdir()
    log.path.symlink_to("/dev/full")
    with pytest.raises(PredictionLogError, match="No space left"):
        log.append(b"{}\n")


def test_a_check_sees_a_full_device_before_a_line_is_lost(
    log: PredictionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.check()
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_bavail=0))
    with pytest.raises(PredictionLogError, match="the device is full"):
        log.check()


def test_a_deleted_file_is_made_anew(log: PredictionLog) -> None:
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
