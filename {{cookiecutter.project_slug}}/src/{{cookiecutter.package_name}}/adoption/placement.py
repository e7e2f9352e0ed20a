"""Where a source may lie: never where a verb writes, deletes or caches."""

from pathlib import Path

from ..errors import ProjectError
from ..paths import Paths
from .opening import Place
from .removal import list_folders


def check_placement(paths: Paths, place: Place) -> None:
    """Refuse a source or a query that lies among the files of the project's own verbs.

    Raises:
        ProjectError: It does, or it is a folder that holds such files.
    """
    for given in filter(None, (_find_file(place.data), place.query)):
        source = (paths.root / Path(given).expanduser()).resolve()
        for folder in _list_reserved(paths):
            reserved = folder.resolve()
            if source.is_relative_to(reserved):
                raise ProjectError(
                    f"{given} lies in {_show(paths, folder)}, which the project's own verbs fill "
                    "and empty; move it elsewhere, such as into the project's folder, and name "
                    "that place."
                )
            if reserved.is_relative_to(source):
                raise ProjectError(
                    f"{given} is a folder around {_show(paths, folder)}, so the project would read "
                    "its own outputs as rows; name a folder that holds the table's files alone."
                )


def _find_file(address: str) -> str | None:
    """The path that an address names; None where the table lies on a server."""
    scheme, found, rest = address.partition("://")
    if not found:
        return address
    # SQLAlchemy writes sqlite:///PATH, and a fourth slash where the path is absolute.
    return rest.removeprefix("/") if scheme.startswith("sqlite") and rest.strip("/") else None


def _list_reserved(paths: Paths) -> list[Path]:
    state = [paths.root / name for name in (".dvc", ".git", ".venv")]
    return [*list_folders(paths), paths.models.parent, paths.reports, paths.var, *state]


def _show(paths: Paths, folder: Path) -> str:
    return folder.relative_to(paths.root).as_posix()
