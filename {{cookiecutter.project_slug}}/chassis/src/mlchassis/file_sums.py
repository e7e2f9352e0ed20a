"""One digest for a folder of files: what was written is compared with what a store gives back."""

import hashlib
from collections.abc import Mapping
from pathlib import Path


class FolderError(ValueError):
    """A folder holds something else than files and folders; the text names it."""


def digest_files(files: Mapping[str, Path]) -> str:
    """SHA-256 over the names and the content of files."""
    lines = [f"{hashlib.sha256(files[name].read_bytes()).hexdigest()}  {name!r}" for name in files]
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def digest_folder(folder: Path) -> str:
    """SHA-256 over every file below a folder, with its path there; empty folders do not count.

    Raises:
        FolderError: There is a link, or something else that is not a file.
    """
    files = {}
    for path in folder.rglob("*"):
        inside = path.relative_to(folder).as_posix()
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise FolderError(f"{inside!r} is not a file")
        if path.is_file():
            files[inside] = path
    return digest_files(files)
