"""Packages for Node, installed once into build/ with the hashes of their `npm-shrinkwrap.json`."""

import os
import shutil
import subprocess
from pathlib import Path

_LOCK = "npm-shrinkwrap.json"


def install_packages(source: Path, target: Path) -> None:
    """Copy a folder and install its packages there, if they are not there yet.

    Args:
        source: Folder with `package.json` and `npm-shrinkwrap.json`.
        target: Folder in build/; replaced if it was made of another `npm-shrinkwrap.json`.
    """
    wanted = (source / _LOCK).read_bytes()
    if (target / _LOCK).exists() and (target / _LOCK).read_bytes() == wanted:
        return
    shutil.rmtree(target, ignore_errors=True)
    fresh = target.with_name(f"{target.name}-{os.getpid()}")
    shutil.copytree(source, fresh)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    done = subprocess.run(command, cwd=fresh, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    fresh.rename(target)
