"""Files that are either whole or not there, readable by those who may read them."""

import contextlib
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PARTIAL = ".partial"
_TAIL = len("-01234567") + len(_PARTIAL)
_SCRATCH = re.compile(r"\..+-[0-9a-f]{8}\.partial", re.DOTALL)
_PUBLIC, _PRIVATE = 0o666, 0o640
_PRIVATE_FOLDER = 0o750
_OTHERS = 0o007
"""Permissions of everybody but the owner and the group."""


@contextmanager
def replacing(path: Path, *, private: bool = False) -> Iterator[Path]:
    """Yield a scratch file beside `path`, and rename it to `path` when the block succeeds.

    A reader sees the old content or the new one, never half of it; when the block fails, `path` is
    as it was.

    Args:
        path: The file to replace.
        private: True if it holds rows: then only its owner and group may read it and the folders
            that are created for it. The process' umask is respected either way.
    """
    make_folder(path.parent, private=private)
    scratch = path.with_name(f".{path.name}-{secrets.token_hex(4)}{_PARTIAL}")
    # Created here, so that the kernel takes the umask off the mode; mkstemp always gives 0600.
    mode = _PRIVATE if private else _PUBLIC
    os.close(os.open(scratch, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, mode))
    try:
        yield scratch
        with scratch.open("rb") as file:
            os.fsync(file.fileno())
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


def write_text(path: Path, text: str, *, private: bool = False) -> None:
    """Replace a file by a text in UTF-8, as `replacing` does."""
    write_bytes(path, text.encode(), private=private)


def write_bytes(path: Path, content: bytes, *, private: bool = False) -> None:
    """Replace a file by some bytes, as `replacing` does."""
    with replacing(path, private=private) as scratch:
        scratch.write_bytes(content)


def make_folder(folder: Path, *, private: bool = False) -> None:
    """Make a folder and those above it that are missing; private ones as for rows."""
    if not private:
        folder.mkdir(parents=True, exist_ok=True)
        return
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    for place in reversed(missing):
        place.mkdir(mode=_PRIVATE_FOLDER, exist_ok=True)


def make_private(place: Path) -> None:
    """Take a file or folder with rows away from other users, if it is there and is ours."""
    with contextlib.suppress(OSError):
        mode = place.stat().st_mode & 0o777
        if mode & _OTHERS:
            place.chmod(mode & ~_OTHERS)


def private_umask() -> int:
    """The process' umask, with all that is not for the owner and the group taken away."""
    # It can only be read by setting it; another thread writes too narrowly meanwhile, at worst.
    umask = os.umask(_OTHERS | 0o070)
    os.umask(umask)
    return umask | _OTHERS | 0o020


def clear_scratch(folder: Path, name: str = "*") -> None:
    """Remove the scratch files of killed processes: of one file, or of all."""
    for path in folder.glob("*"):
        if is_scratch(path) and name in ("*", path.name[1:-_TAIL]):
            path.unlink()


def is_scratch(path: Path) -> bool:
    """True if `replacing` made the name, unlike a person's hidden file."""
    return _SCRATCH.fullmatch(path.name) is not None
