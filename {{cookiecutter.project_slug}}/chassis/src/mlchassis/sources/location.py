"""Local paths of a source's files.

A path inside the repository is written into `params.yaml`, from the project's folder. Any other
path holds on one machine alone: `params.yaml` then says `$SOURCE_PATH`, which is an environment
variable or, without it, the content of `var/source-path`.
"""

import hashlib
import os
from pathlib import Path
from typing import Any

from mlchassis.errors import ProjectError

VARIABLE = "SOURCE_PATH"
PLACEHOLDER = f"${VARIABLE}"
SETTING = "var/source-path"
"""The file of this machine that says where the source lies; git does not hold it."""
OFFLINE = "SOURCE_OFFLINE"
"""Environment variable: where rows are stored or can be pulled, do not read the source."""


class SourceMissingError(ProjectError):
    """The source does not lie on this machine."""


def locate(path: str, root: Path) -> Path:
    """Return the place that a path of `params.yaml` means on this machine.

    Args:
        path: Path in `params.yaml`.
        root: The project's folder.

    Raises:
        SourceMissingError: The source does not exist, or its location is not set.
    """
    if path != PLACEHOLDER:
        place = root / path
        if not place.exists():
            raise SourceMissingError(
                f"{path} is not there; name a file or a folder of CSV or Parquet files."
            )
        return place
    setting = root / SETTING
    named = os.environ.get(VARIABLE) or _read_line(setting)
    if not named:
        raise SourceMissingError(
            f"params.yaml leaves open where the table lies; set {VARIABLE} to its file or folder, "
            f"or write that path into {SETTING}."
        )
    place = root / Path(named).expanduser()
    if not place.exists():
        raise SourceMissingError(
            f"{named}, which {VARIABLE} or {SETTING} names, is not there; correct it."
        )
    return place


def describe_files(place: Path, files: list[Path]) -> dict[str, Any]:
    """Return the names, sizes and MD5s of a source's files, by which a change is seen."""
    folder = place if place.is_dir() else place.parent
    return {
        "files": [
            {
                "name": file.relative_to(folder).as_posix(),
                "bytes": file.stat().st_size,
                "md5": _digest(file),
            }
            for file in files
        ]
    }


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _read_line(path: Path) -> str:
    return path.read_text(encoding="utf-8").removesuffix("\n") if path.is_file() else ""
