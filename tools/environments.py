"""Environments of pinned packages in build/, each made once."""

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from bake import ROOT
from project_copy import make_environment


class CommandError(Exception):
    """A command failed; the message is the end of its output."""


def call(*command: str | Path, folder: Path, **variables: str) -> None:
    """Run a command, showing what it prints only where it fails.

    Args:
        command: Program and arguments.
        folder: Working directory.
        variables: Environment variables.

    Raises:
        CommandError: It failed.
    """
    done = subprocess.run(
        list(map(str, command)),
        cwd=folder,
        env=make_environment(**variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )
    if done.returncode:
        words = " ".join(map(str, command))[:200]
        raise CommandError(f"'{words}' failed:\n{done.stdout[-3000:]}")


def hash_files(paths: Iterable[Path]) -> str:
    """Return one digest of the contents of all these files."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def is_made_of(place: Path, origin: str) -> bool:
    """True if a folder is complete and was made of these files."""
    note = place / "made-of"
    return note.is_file() and note.read_text(encoding="utf-8") == origin


def install(requirements: Path, place: Path) -> None:
    """Make an environment of pinned packages, unless it is there already.

    Args:
        requirements: File of pins with hashes.
        place: Folder of the environment.

    Raises:
        CommandError: The packages cannot be installed.
    """
    origin = hash_files([requirements])
    if is_made_of(place, origin):
        return
    print(f"--- installing {requirements.stem}", flush=True)
    shutil.rmtree(place, ignore_errors=True)
    place.parent.mkdir(parents=True, exist_ok=True)
    call(sys.executable, "-m", "venv", "--without-pip", place, folder=ROOT)
    uv, python = Path(sys.executable).with_name("uv"), place / "bin" / "python"
    pinned = ("--require-hashes", "-r", requirements)
    call(uv, "pip", "install", "--python", python, *pinned, folder=ROOT, UV_COMPILE_BYTECODE="1")
    (place / "made-of").write_text(origin, encoding="utf-8")
