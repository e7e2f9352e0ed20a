"""Other places that may hold a person's rows and that the project cannot rewrite."""

import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from mlchassis.contract.model import Column
from mlchassis.erasure.selection import Selection
from mlchassis.masking import mask_address
from mlchassis.paths import Paths
from mlchassis.project import read_params
from mlchassis.registry.tracking_uri import resolve_tracking_location
from mlchassis.workspace.dvc_remotes import DvcStores

_SHORTEST = 3
"""Shorter values occur everywhere, so nothing is searched for them."""
_MAX_COMMITS = 10
_MAX_KEYS = 100
"""Keys that are searched for: each file is read once for each."""
_MAX_FILES = 20
_BLOCK = 1 << 20


def list_holders(
    paths: Paths, stores: DvcStores, selection: Selection, foreign: list[Path]
) -> Iterator[str]:
    """Lines about everything that is left: sources, models, registries, remotes, git, backups."""
    holders = [
        *_name_tables(paths),
        *_name_log(selection),
        *(f"{path}: an object that no dvc.lock of this project names" for path in foreign),
        *_name_models(paths),
        *_shorten(list(_name_files(paths, selection))),
        *_name_registry(paths),
        *(
            f"DVC remote '{name}' at {mask_address(address)}: delete old versions there"
            for name, address in stores.servers.items()
        ),
        *_name_commits(paths, selection),
        "backups, other clones, images, and scores that were written outside of this folder",
    ]
    yield "Not touched; delete there what holds the rows:"
    for line in holders:
        yield f"  - {line}"
    yield (
        "Next: commit params.yaml, then `make run`: it trains without the rows, and says so if the "
        "source still offers them. Versions of before can no longer be rebuilt where their data is "
        "deleted."
    )


def _name_tables(paths: Paths) -> Iterator[str]:
    params = read_params(paths)
    for name, table in (("source", params.source), ("table of labels", params.monitor.labels)):
        for field in ("path", "url"):
            address = getattr(table, field, None)
            if address:
                yield f"the {name}, {mask_address(str(address))}"


def _name_log(selection: Selection) -> Iterator[str]:
    """Name the prediction log where the rows cannot be told from others in it."""
    if _is_logged(selection.column):
        return
    by_key = selection.key is not None and _is_logged(selection.key)
    found = "lines are found by the keys in the tables"
    yield (
        f"the prediction log: the contract's '{selection.column.name}' is not logged, so "
        f"{found if by_key else 'no line can be found'}"
    )


def _is_logged(column: Column) -> bool:
    return "pii" not in column.roles and bool(column.roles & {"feature", "key", "event_time"})


def _name_models(paths: Paths) -> Iterator[str]:
    places = [paths.models, paths.bundle, *sorted((paths.store / "bundles").glob("*"))]
    for place in places:
        if place.exists():
            yield f"{place.relative_to(paths.root)}: a model trained on the rows"
    copy = paths.var / "simulation" / "project"
    if copy.exists():
        yield f"{copy.relative_to(paths.root)}: a copy of the project, of an interrupted simulation"


def _name_files(paths: Paths, selection: Selection) -> Iterator[str]:
    """Files in which the value or a key stands: notebooks, reports, categories of a model."""
    needles = _list_needles(selection)
    tools = {".venv", ".git", "build", "data", "mlflow.db"}
    for path in sorted(paths.root.rglob("*")):
        parts = path.relative_to(paths.root).parts
        if tools & set(parts) or parts[:2] == (".dvc", "tmp") or not path.is_file():
            continue
        found = next((what for needle, what in needles.items() if _contains(path, needle)), None)
        if found is not None:
            yield f"{path.relative_to(paths.root)}: {found} stands in it"


def _list_needles(selection: Selection) -> dict[bytes, str]:
    """Return what is searched for: the value, and keys of the rows."""
    keys = sorted(selection.keys - {selection.value})[:_MAX_KEYS]
    named = {selection.value: "the value", **dict.fromkeys(keys, "a key of the rows")}
    return {text.encode(): what for text, what in named.items() if len(text) >= _SHORTEST}


def _shorten(lines: list[str]) -> list[str]:
    more = len(lines) - _MAX_FILES
    return [*lines[:_MAX_FILES], f"and {more} more such files"] if more > 0 else lines


def _contains(path: Path, needle: bytes) -> bool:
    """True if a file contains some bytes, read in overlapping blocks."""
    end = b""
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            if needle in end + block:
                return True
            end = block[-len(needle) :]
    return False


def _name_registry(paths: Paths) -> Iterator[str]:
    location = resolve_tracking_location(paths)
    if location.database is None:
        yield f"versions registered at {location.shown}, and their artifacts"
        return
    if not location.database.exists():
        return
    query = "SELECT name, version, run_id FROM model_versions ORDER BY version"
    uri = f"{location.database.as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True)) as connection:
        for name, number, run in connection.execute(query):
            yield f"version {number} of {name}: var/mlartifacts/{run}"


def _name_commits(paths: Paths, selection: Selection) -> Iterator[str]:
    if len(selection.value) < _SHORTEST:
        return
    command = ["git", "log", "--all", "--format=%h", f"-S{selection.value}"]
    done = subprocess.run(command, cwd=paths.root, capture_output=True, text=True, check=False)
    commits = done.stdout.split()
    if commits:
        more = f" and {len(commits) - _MAX_COMMITS} more" if len(commits) > _MAX_COMMITS else ""
        yield f"git commits {', '.join(commits[:_MAX_COMMITS])}{more}: the value stands in them"
