"""Location of a source: outside every folder that verbs write, delete or cache."""

import os
from pathlib import Path

from sqlalchemy.engine import make_url

from mlchassis.adoption.files.remove_sample import list_folders
from mlchassis.adoption.formats.detect_source import QUERY, DataLocation, draft_query
from mlchassis.config.source_params import FilesParams, OwnParams, S3Params, SqlParams
from mlchassis.errors import ProjectError
from mlchassis.paths import Paths
from mlchassis.sources.location import PLACEHOLDER, SETTING, VARIABLE
from mlchassis.workspace.repository import find_repository


def check_placement(paths: Paths, location: DataLocation) -> None:
    """Refuse a source or a query that lies among the files of the project's own verbs.

    Raises:
        ProjectError: It does, or it is a folder that holds such files.
    """
    for path in filter(None, (_find_file(location.data), location.query)):
        source = (paths.root / Path(path).expanduser()).resolve()
        for folder in _list_reserved(paths):
            reserved = folder.resolve()
            if source.is_relative_to(reserved):
                raise ProjectError(
                    f"{path} lies in {_show(paths, folder)}, which the project's own verbs fill "
                    "and empty; move it elsewhere, such as into the project's folder, and name "
                    "that place."
                )
            if reserved.is_relative_to(source):
                raise ProjectError(
                    f"{path} is a folder around {_show(paths, folder)}, so the project would read "
                    "its own outputs as rows; name a folder that holds the table's files alone."
                )


def _find_file(address: str) -> str | None:
    """The path that an address names; None where the table lies on a server."""
    scheme, separator, rest = address.partition("://")
    if not separator:
        return address
    # SQLAlchemy writes sqlite:///PATH, and a fourth slash where the path is absolute.
    return rest.removeprefix("/") if scheme.startswith("sqlite") and rest.strip("/") else None


def _list_reserved(paths: Paths) -> list[Path]:
    state = [paths.root / name for name in (".dvc", ".git", ".venv")]
    return [*list_folders(paths), paths.models.parent, paths.reports, paths.var, *state]


def _show(paths: Paths, folder: Path) -> str:
    return folder.relative_to(paths.root).as_posix()


def make_portable(source: OwnParams, root: Path) -> tuple[OwnParams, str | None]:
    """Take a path that holds on this machine alone out of a source.

    Returns:
        The source as `params.yaml` may say it, and the path that was taken out; None without one.
    """
    if isinstance(source, S3Params):
        return source, None
    path = source.path if isinstance(source, FilesParams) else make_url(source.url).database
    if not isinstance(source, FilesParams) and not source.url.startswith("sqlite"):
        return _settle_query(source, root), None
    inside = _relate(str(path), root)
    shown = PLACEHOLDER if inside is None else inside
    if isinstance(source, FilesParams):
        changed: OwnParams = source.model_copy(update={"path": shown})
    else:
        url = source.url.replace(str(path), shown, 1)
        changed = _settle_query(source.model_copy(update={"url": url}), root)
    return changed, str((root / str(path)).absolute()) if inside is None else None


def collect_query(location: DataLocation, root: Path) -> str | None:
    """Return the query that the project must hold itself: for a whole table, or from elsewhere.

    Raises:
        ProjectError: The file of the query cannot be read.
    """
    drafted = draft_query(location, root)
    if drafted is not None or location.query is None or _relate(location.query, root) is not None:
        return drafted
    try:
        return (root / Path(location.query).expanduser()).read_text(encoding="utf-8")
    except (OSError, UnicodeError):
        raise ProjectError(
            f"{location.query} is not a text file that can be read; write the query into it."
        ) from None


def _settle_query(source: SqlParams, root: Path) -> SqlParams:
    """Name the copy of a query whose file lies outside the repository."""
    inside = _relate(source.query, root)
    return source.model_copy(update={"query": QUERY if inside is None else inside})


def note_location(outside: str | None) -> list[str]:
    """Note for colleagues who work in a clone."""
    remote = (
        "the rows are stored only in data/raw and var/dvc-remote of this folder: configure a DVC "
        "remote that colleagues and CI can reach (README.md: Another DVC remote), then run "
        "`make push`; they run `make pull`"
    )
    table = (
        f"the table is outside the repository, so params.yaml contains {PLACEHOLDER} in place of "
        f"its path, which {SETTING} sets on this machine; colleagues set {VARIABLE} or that file, "
        "or continue from data/raw"
    )
    return [remote] if outside is None else [table, remote]


def _relate(path: str, root: Path) -> str | None:
    """A path from the project's folder, where it is inside the repository."""
    top = find_repository(root) or root
    # Without following links: who keeps a link in the repository means the link.
    normal = Path(os.path.normpath(root.absolute() / path))
    pairs = ((top, root.absolute()), (top.resolve(), root.resolve()))
    for folder, base in pairs:
        if normal.is_relative_to(folder):
            return os.path.relpath(normal, base)
    return None
