"""The prediction log: what was asked and answered, one JSON line per row.

A line is in the kernel's hands before its answer leaves, so killing the process loses nothing that
was answered (a machine that loses power may lose the last seconds). Every process has a segment of
its own and appends each request's lines in one write, so lines never mix. It starts another segment
when one is large or a day old; `compact-log` turns those before into Parquet files.
"""

import contextlib
import errno
import math
import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from mlchassis.errors import ProjectError
from mlchassis.files import make_folder
from mlchassis.prediction_log.segments import JSON_LINES, LONGEST_AGE, lock_as_writer, name_segment

_FULL = (errno.ENOSPC, errno.EDQUOT)
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


class PredictionLogError(ProjectError):
    """The log cannot be written, so nothing may be answered."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """Segments of the log that `compact-log` has not turned into Parquet files."""

    segments: int
    bytes: int


class PredictionLog:
    """One process' part of the log: a segment that it appends to, and others before it.

    Args:
        directory: Folder of all processes' segments; created if it is missing.
        segment_bytes: Size from which on the next lines go to another segment.
    """

    def __init__(self, directory: Path, segment_bytes: int = 64 * 1024 * 1024) -> None:
        self._directory = directory
        self._segment_bytes = segment_bytes
        self._descriptor: int | None = None
        self._expires = math.inf
        self.path = self._name_next()

    def open(self) -> None:
        """Open a segment unless one is open and still in its place.

        Raises:
            PredictionLogError: It cannot be opened.
        """
        try:
            self._open()
        except OSError as error:
            raise self._failure(error) from None

    def check(self) -> None:
        """Open a segment as `open` does, and check for free space on its device.

        Raises:
            PredictionLogError: There is none, or the file cannot be opened.
        """
        self.open()
        if not os.statvfs(self._directory).f_bavail:
            raise self._failure(OSError("the device is full"))

    def measure_backlog(self) -> Backlog:
        """Return the segments that are not compacted; of this folder, whoever writes them."""
        sizes = []
        # Segments may be deleted meanwhile, and the folder as well.
        with contextlib.suppress(OSError), os.scandir(self._directory) as entries:
            for entry in entries:
                if entry.name.endswith(JSON_LINES):
                    with contextlib.suppress(OSError):
                        sizes.append(entry.stat().st_size)
        return Backlog(len(sizes), sum(sizes))

    def append(self, lines: bytes) -> None:
        """Append whole lines, all of them or none.

        Raises:
            PredictionLogError: They could not be written; the next call tries again.
        """
        try:
            descriptor, size = self._open()
            _write(descriptor, size, lines)
        except OSError as error:
            # Lines that a full disk refuses leave the segment whole.
            if error.errno not in _FULL:
                self.close()
            raise self._failure(error) from None

    def close(self) -> None:
        """Close the segment; the next `append` opens another one.

        A closed segment may be compacted at any time, so it is never opened again.
        """
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> tuple[int, int]:
        """Return the open segment and its size."""
        if self._descriptor is not None:
            status = os.fstat(self._descriptor)
            is_old = status.st_size >= self._segment_bytes or time.monotonic() > self._expires
            # A file that was deleted takes writes as if nothing had happened.
            if status.st_nlink and not is_old:
                return self._descriptor, status.st_size
            self.close()
        make_folder(self._directory, private=True)
        self._descriptor = self._create()
        self._expires = time.monotonic() + LONGEST_AGE.total_seconds()
        return self._descriptor, 0

    def _create(self) -> int:
        """Create a segment and lock it, so that `compact-log` leaves it alone."""
        while True:
            self.path = self._name_next()
            descriptor = os.open(self.path, _FLAGS, 0o640)
            if lock_as_writer(descriptor):
                return descriptor
            os.close(descriptor)

    def _name_next(self) -> Path:
        return self._directory / name_segment(datetime.now(UTC))

    def _failure(self, error: OSError) -> PredictionLogError:
        return PredictionLogError(
            f"The prediction log {self._directory} cannot be written ({error.strerror or error}); "
            "free or mount that folder, or name another with SERVICE_LOG_DIRECTORY."
        )


def _write(descriptor: int, before: int, lines: bytes) -> None:
    """Write lines, or take back what was written of them.

    Raises:
        OSError: They could not be written.
    """
    if os.write(descriptor, lines) == len(lines):
        return
    try:
        os.ftruncate(descriptor, before)
    except OSError:
        raise OSError(errno.EIO, "the device took a part of it and keeps that") from None
    raise OSError(errno.ENOSPC, "the device took only a part of it")
