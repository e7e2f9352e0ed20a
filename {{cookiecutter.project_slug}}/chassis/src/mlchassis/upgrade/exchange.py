"""One folder exchanged for another: at every moment the old one or the new one is there, whole."""

import ctypes
import os
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
"""Of Linux' renameat2; macOS' RENAME_SWAP of renamex_np has the same value."""


def stage_files(source: Path, names: Iterable[str], staged: Path) -> None:
    """Copy files into a new folder and flush them to the disk.

    Raises:
        OSError: The disk is full or a folder may not be written; the new folder is removed.
    """
    shutil.rmtree(staged, ignore_errors=True)
    try:
        for name in names:
            _copy_flushed(source / name, staged / name)
    except OSError:
        shutil.rmtree(staged, ignore_errors=True)
        raise


def _copy_flushed(file: Path, copy: Path) -> None:
    copy.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, copy)
    with copy.open("rb") as content:
        os.fsync(content.fileno())


def replace_folder(folder: Path, staged: Path, retired: Path) -> None:
    """Put `staged` in the place of `folder`, then remove the old folder.

    Where the file system cannot exchange two folders in one step, the old one is first renamed to
    `retired`. If the process is killed in between, `folder` is missing: the Makefile brings the old
    one back when make runs next.
    """
    shutil.rmtree(retired, ignore_errors=True)
    # The folder is replaced even where files of the old one cannot be removed.
    if exchange(folder, staged):
        shutil.rmtree(staged, ignore_errors=True)
        return
    folder.rename(retired)
    staged.rename(folder)
    shutil.rmtree(retired, ignore_errors=True)


def exchange(first: Path, second: Path) -> bool:
    """Exchange two folders in one step; False where the system or the file system cannot."""
    libc = ctypes.CDLL(None, use_errno=True)
    names = os.fsencode(first), os.fsencode(second)
    if sys.platform == "darwin":
        swap = getattr(libc, "renamex_np", None)
        return swap is not None and swap(*names, ctypes.c_uint(_RENAME_EXCHANGE)) == 0
    swap = getattr(libc, "renameat2", None)
    if swap is None:
        return False
    here = ctypes.c_int(_AT_FDCWD)
    done: int = swap(here, names[0], here, names[1], ctypes.c_uint(_RENAME_EXCHANGE))
    return done == 0
