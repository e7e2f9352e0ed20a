"""Copies of rows in DVC's cache and in remotes that are folders of this machine."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from mlchassis.erasure.selection import Selection, holds_rows
from mlchassis.paths import Paths
from mlchassis.workspace.dvc_remotes import DvcStores

_HASH = re.compile(r"md5: ([0-9a-f]{32}(?:\.dir)?)")


def find_objects(
    paths: Paths, stores: DvcStores, selection: Selection
) -> tuple[list[Path], list[Path]]:
    """Objects with the selected rows: those to delete, and those that others may have written.

    Everything in a cache inside the project is the project's own. In a shared cache or a remote,
    other projects may keep objects too: of those, the ones count that some `dvc.lock` in git, or
    this machine's cache, names.
    """
    places = [*stores.folders.values(), stores.cache]
    own: list[Path] = []
    foreign: list[Path] = []
    known: set[str] | None = None
    for place in places:
        inside = paths.root in place.resolve().parents
        for path in _walk(place):
            if not holds_rows(path, selection):
                continue
            if not inside and known is None:
                known = find_known(paths, places)
            (own if inside or _name(path) in (known or ()) else foreign).append(path)
    return own, foreign


def find_known(paths: Paths, places: list[Path]) -> set[str]:
    """Hashes of all objects that belong to this project, now and in any commit."""
    named = set(_HASH.findall(_read_locks(paths)))
    for run in (paths.root / ".dvc/cache/runs").rglob("*"):
        if run.is_file():
            named |= set(_HASH.findall(run.read_text(encoding="utf-8", errors="replace")))
    known = {name for name in named if not name.endswith(".dir")}
    own = paths.root / ".dvc/cache/files/md5"
    folders = {name for name in named if name.endswith(".dir")} | {
        _name(path) for path in own.glob("??/*.dir")
    }
    for folder in folders:
        for place in places:
            known |= _read_members(place / "files/md5" / folder[:2] / folder[2:])
    return known


def _walk(place: Path) -> Iterator[Path]:
    """Files of a store; those that a killed process left unfinished are among them."""
    for path in sorted((place / "files/md5").rglob("*")):
        if path.is_file() and not path.is_symlink() and path.suffix != ".dir":
            yield path


def _name(path: Path) -> str:
    return path.parent.name + path.name


def _read_members(listing: Path) -> set[str]:
    try:
        entries = json.loads(listing.read_bytes())
        return {str(entry["md5"]) for entry in entries}
    except (OSError, ValueError, LookupError, TypeError):
        return set()


def _read_locks(paths: Paths) -> str:
    """Every `dvc.lock` that git has, and the one that lies here."""
    texts = [paths.dvc_lock.read_text(encoding="utf-8")] if paths.dvc_lock.exists() else []
    commits = _git(paths, "log", "--all", "--format=%H", "--", paths.dvc_lock.name).split()
    texts += [_git(paths, "show", f"{commit}:./{paths.dvc_lock.name}") for commit in commits]
    return "\n".join(texts)


def _git(paths: Paths, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=paths.root, capture_output=True, text=True, check=False
    )
    return done.stdout if done.returncode == 0 else ""
