"""Availability of a table's rows: at their source, stored, or in the DVC remote."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from mlchassis.config.source_params import OwnParams
from mlchassis.errors import ProjectError
from mlchassis.paths import Paths
from mlchassis.project import read_params
from mlchassis.sources.location import OFFLINE, SourceMissingError, describe_files, locate
from mlchassis.workspace.listings import fetch_listings
from mlchassis.workspace.outputs import write_facts


@dataclass(frozen=True, slots=True)
class Rows:
    """Starting point of a run.

    Attributes:
        place: `source`, `stored` (in data/raw), `pulled` (to there just now) or `none`.
        reason: Why not at the source.
    """

    place: Literal["source", "stored", "pulled", "none"]
    reason: str = ""


def check_rows(paths: Paths, say: Callable[[str], None]) -> None:
    """Describe the source's files for DVC, or see that there are rows without it.

    Args:
        paths: The project.
        say: Callback that prints one line to the user.

    Raises:
        ProjectError: There are no rows.
    """
    rows = find_rows(paths)
    if rows.place == "none":
        raise ProjectError(
            f"The source is not on this machine: {rows.reason} Without it the rows must be in "
            "data/raw, and they are neither there nor in the DVC remote; somebody who has them "
            "runs `make push` with a remote that you reach."
        )
    if rows.place != "source":
        say(f"repro: going on from data/raw, without the source: {rows.reason}")


def find_rows(paths: Paths, *, ask: bool = False) -> Rows:
    """Find the rows, and pull them where they are in the DVC remote alone.

    Args:
        paths: The project.
        ask: True to check if a server answers; a file is looked for in any case.
    """
    source = read_params(paths).source
    if source.kind == "custom":
        return Rows("source")
    if os.environ.get(OFFLINE):
        stored = _find_stored(paths, f"{OFFLINE} is set.")
        if stored.place != "none":
            return stored
    try:
        _check_source(paths, source, ask=ask)
    except SourceMissingError as missing:
        return _find_stored(paths, str(missing))
    return Rows("source")


def _find_stored(paths: Paths, reason: str) -> Rows:
    if any(paths.raw.glob("*.parquet")):
        return Rows("stored", reason)
    fetch_listings(paths.root)
    command = [sys.executable, "-m", "dvc", "pull", "--quiet", "data/raw"]
    subprocess.run(command, cwd=paths.root, capture_output=True, check=False)
    return Rows("pulled" if any(paths.raw.glob("*.parquet")) else "none", reason)


def _check_source(paths: Paths, source: OwnParams, *, ask: bool) -> None:
    """Describe files in a report, by which DVC sees a change.

    Raises:
        SourceMissingError: The files are not here, or a server does not answer.
    """
    if source.kind == "files":
        from mlchassis.sources.files import list_files

        place = locate(source.path, paths.root)
        facts = describe_files(place, list_files(place))
        write_facts(paths, paths.reports / "source.json", facts)
    elif source.kind == "sql":
        from mlchassis.sources.sql import check_database

        check_database(source, paths.root, connect=ask)
    elif ask:
        from mlchassis.sources.s3 import check_object

        check_object(source)
