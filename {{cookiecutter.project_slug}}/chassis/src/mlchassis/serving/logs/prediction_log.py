"""The prediction log: what was asked and answered, one JSON line per row.

A line is in the kernel's hands before its answer leaves, so killing the process loses nothing that
was answered (a machine that loses power may lose the last seconds). Every process has a file of its
own and appends each request's lines in one write, so lines never mix.
"""

import contextlib
import os
import secrets
from datetime import UTC, datetime
from pathlib import Path

from mlchassis.errors import ProjectError
from mlchassis.files import make_folder


class PredictionLogError(ProjectError):
    """The log cannot be written, so nothing may be answered."""


class PredictionLog:
    """One process' file of the log.

    Args:
        directory: Folder of all processes' files; created if it is missing.
    """

    def __init__(self, directory: Path) -> None:
        started = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        # Process ids repeat from container to container; the random part does not.
        self.path = directory / f"{started}-{os.getpid()}-{secrets.token_hex(4)}.jsonl"
        self._descriptor: int | None = None
        self._torn = False

    def open(self) -> None:
        """Opens the file unless it is open and still in its place.

        Raises:
            PredictionLogError: It cannot be opened.
        """
        try:
            self._open()
        except OSError as error:
            raise self._failure(error) from None

    def check(self) -> None:
        """Opens the file as `open` does, and looks whether there is room for a line.

        Raises:
            PredictionLogError: There is none, or the file cannot be opened.
        """
        self.open()
        if not os.statvfs(self.path.parent).f_bavail:
            raise self._failure(OSError("the device is full"))

    def append(self, lines: bytes) -> None:
        """Appends whole lines, all of them or none.

        Raises:
            PredictionLogError: They could not be written; the next call tries afresh.
        """
        try:
            self._write(*self._open(), lines)
        except OSError as error:
            self.close()
            raise self._failure(error) from None

    def close(self) -> None:
        """Closes the file; the next `append` opens it again."""
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> tuple[int, int]:
        """The open file and its size."""
        if self._descriptor is not None:
            # A file that was deleted takes writes as if nothing had happened.
            found = os.fstat(self._descriptor)
            if found.st_nlink:
                return self._descriptor, found.st_size
            self.close()
        make_folder(self.path.parent, private=True)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self._descriptor = os.open(self.path, flags, 0o640)
        return self._descriptor, os.fstat(self._descriptor).st_size

    def _write(self, descriptor: int, before: int, lines: bytes) -> None:
        if self._torn:
            lines = b"\n" + lines
        written = os.write(descriptor, lines)
        if written == len(lines):
            self._torn = False
            return
        # The disk filled up midway: take back the part, or at least keep it apart from what comes.
        self._torn = True
        os.ftruncate(descriptor, before)
        self._torn = False
        raise OSError("the device took only a part of it")

    def _failure(self, error: OSError) -> PredictionLogError:
        return PredictionLogError(
            f"The prediction log {self.path.parent} cannot be written ({error.strerror or error}); "
            "free or mount that folder, or name another with SERVICE_LOG_DIRECTORY."
        )
