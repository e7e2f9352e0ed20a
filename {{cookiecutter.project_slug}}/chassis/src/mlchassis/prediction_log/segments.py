"""Segments of the prediction log: their names and their locks.

A process appends to a segment of its own, and holds a lock on it while it does. `compact-log` turns
segments without a lock into Parquet files, and holds the folder's lock while it replaces them.
"""

import fcntl
import os
import re
import secrets
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mlchassis.errors import ProjectError
from mlchassis.files import make_folder

JSON_LINES = ".jsonl"
PARQUET = ".parquet"
LONGEST_AGE = timedelta(days=1)
"""A process starts another segment after that time, however few rows it wrote."""
_LOCK = ".lock"
_NAME = re.compile(r"(\d{8}T\d{6}Z)-(?:([A-Za-z0-9-]+)-)?\d+-[0-9a-f]{8}\.(jsonl|parquet)")
_TIME = "%Y%m%dT%H%M%SZ"


def name_segment(now: datetime) -> str:
    """Return a new name: start, host, process, and a random part.

    Process ids repeat from container to container, and a clock may jump; the random part does not
    repeat.
    """
    started = now.astimezone(UTC).strftime(_TIME)
    return f"{started}-{name_host()}-{os.getpid()}-{secrets.token_hex(4)}{JSON_LINES}"


def name_host() -> str:
    """Return this machine's name with the characters of a segment's name."""
    return re.sub(r"[^A-Za-z0-9]+", "-", socket.gethostname())[:63] or "host"


def find_start(path: Path) -> datetime | None:
    """Return the time at which a segment was started; None if a service did not name the file."""
    match = _NAME.fullmatch(path.name)
    return datetime.strptime(match[1], _TIME).replace(tzinfo=UTC) if match else None


def identify(path: Path) -> str:
    """Return the identity of a file: the name of a segment, the path of another file."""
    return path.name if _NAME.fullmatch(path.name) else str(path)


def is_closed(path: Path, now: datetime) -> bool:
    """True if no process of another host appends to a segment; False if a service did not name it.

    A lock shows whether a process of this host does. Other hosts, and versions of the chassis that
    named no host, may hold none: there, the segment and its last line have to be two days old.
    """
    match = _NAME.fullmatch(path.name)
    started = find_start(path)
    if match is None or started is None:
        return False
    if match[2] == name_host():
        return True
    changed = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    return now - max(started, changed) >= 2 * LONGEST_AGE


def list_files(folder: Path, suffix: str) -> list[Path]:
    """Return the segments or Parquet files of a log and of the folders in it, in order."""
    return sorted(folder.glob(f"**/*{suffix}"))


@contextmanager
def shared(folder: Path) -> Iterator[None]:
    """Hold the locks of a log and of the folders in it as a reader: nothing is replaced."""
    with ExitStack() as locks:
        for place in list_folders(folder):
            # A folder that may only be read and was never compacted has no lock.
            with suppress(OSError):
                locks.enter_context(_lock(place, os.O_RDONLY, fcntl.LOCK_SH))
        yield


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Hold the locks of a log to replace segments; wait until no process reads them.

    Raises:
        ProjectError: The folder cannot be written, or its files cannot be locked.
    """
    with ExitStack() as locks:
        try:
            make_folder(folder, private=True)
            for place in list_folders(folder):
                locks.enter_context(_lock(place, os.O_RDWR, fcntl.LOCK_EX))
        except OSError as error:
            raise ProjectError(
                f"The prediction log {folder} cannot be locked ({error.strerror}); run the verb as "
                "a user that may write it, on a file system with locks."
            ) from None
        yield


def list_folders(folder: Path) -> list[Path]:
    """Return the folder of a log and those in it."""
    if not folder.is_dir():
        return []
    return [folder, *sorted(path for path in folder.glob("**/*") if path.is_dir())]


@contextmanager
def _lock(folder: Path, access: int, kind: int) -> Iterator[None]:
    descriptor = os.open(folder / _LOCK, access | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        fcntl.flock(descriptor, kind)
        yield
    finally:
        os.close(descriptor)


def lock_as_writer(descriptor: int) -> bool:
    """Lock a segment to append to it; False if `compact-log` locked or deleted it before.

    The lock ends with the descriptor or the process. Where files have no locks, none is held.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return os.fstat(descriptor).st_nlink > 0


def lock_to_replace(descriptor: int) -> bool:
    """Lock a segment that no process appends to; False if one does, or files have no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
