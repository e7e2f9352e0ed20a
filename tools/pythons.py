"""Find the interpreters of this machine that a generated project can run on."""

import os
import subprocess
import sys
from pathlib import Path

VERSIONS = ("3.11", "3.12", "3.13")


def list_pyenv() -> list[Path]:
    """List the folders of pyenv's interpreters: on PATH it has only those that were switched on."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    return sorted((root / "versions").glob("*/bin"))


def find_python(version: str) -> Path | None:
    """Find an interpreter of a version (like 3.12): uv's own, on PATH, or pyenv's; none is fetched.

    Returns:
        Its path, or None where there is none.
    """
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), *map(str, list_pyenv())))
    uv = Path(sys.executable).with_name("uv")
    completed = subprocess.run(
        [str(uv), "python", "find", "--system", "--no-python-downloads", "--no-project", version],
        env={**os.environ, "PATH": path},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    return Path(completed.stdout.strip()) if completed.returncode == 0 else None
