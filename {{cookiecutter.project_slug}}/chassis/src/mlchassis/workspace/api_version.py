"""The API version that a project was written for, compared with that of the chassis.

Defaults that change in a later release depend on it, so that an upgrade never changes an old
project silently.
"""

import tomllib
from pathlib import Path

from mlchassis import __version__
from mlchassis.errors import ProjectError

API = 1
"""Raised when a project has to change with the chassis."""
OLDEST_API = 1
"""The oldest API version that still works."""


def check_api(root: Path) -> None:
    """Check that the chassis supports the API version of the project at `root`.

    Raises:
        ProjectError: `pyproject.toml` names no API version, or one that is not supported.
    """
    file = root / "pyproject.toml"
    if not file.exists():
        return
    api = _read_api(file)
    mismatch = (
        f"pyproject.toml has `[tool.mlchassis] api = {api}`, and version {__version__} of the "
        f"chassis supports {_spell_range()}"
    )
    if api < OLDEST_API:
        raise ProjectError(
            f"{mismatch}; make the changes under Breaking in chassis/CHANGELOG.md, then write "
            f"`api = {API}`."
        )
    if api > API:
        raise ProjectError(
            f"{mismatch}; run `make upgrade-chassis` with a newer chassis, or write `api = {API}`."
        )


def _read_api(file: Path) -> int:
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeError) as error:
        raise ProjectError(f"pyproject.toml is not valid TOML: {error}; correct it.") from None
    table = document.get("tool", {}).get("mlchassis", {})
    api = table.get("api")
    if type(api) is not int:
        raise ProjectError(
            "pyproject.toml names no API version of the chassis; make the changes under Breaking "
            f"in chassis/CHANGELOG.md, then write `api = {API}` under `[tool.mlchassis]`."
        )
    return api


def _spell_range() -> str:
    return f"{OLDEST_API} to {API}" if OLDEST_API < API else f"{API} alone"
