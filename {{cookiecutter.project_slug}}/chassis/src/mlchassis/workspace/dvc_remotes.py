"""DVC's cache and remotes: folders or servers that hold copies of the data."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlchassis.errors import ProjectError
from mlchassis.files import make_folder, make_private
from mlchassis.paths import Paths


@dataclass(frozen=True, slots=True)
class DvcStores:
    """The places of one project's objects.

    Attributes:
        cache: The folder of the cache.
        folders: Remotes that are folders of this machine, by name.
        servers: Addresses of all other remotes, by name.
        default: Name of the default remote.
    """

    cache: Path
    folders: Mapping[str, Path]
    servers: Mapping[str, str]
    default: str | None = None


def find_stores(root: Path) -> DvcStores:
    """Read from DVC's configuration where objects are kept.

    Raises:
        ProjectError: The configuration cannot be read.
    """
    from dvc.config import Config, ConfigError

    folder = root / ".dvc"
    try:
        config: dict[str, Any] = Config(dvc_dir=str(folder))
    except ConfigError as error:
        raise ProjectError(f".dvc/config cannot be read ({error}); restore it from git.") from None
    folders, servers = {}, {}
    for name, remote in config.get("remote", {}).items():
        url = str(remote["url"])
        if "://" in url:
            servers[name] = url
        else:
            folders[name] = folder / Path(url).expanduser()
    named = config.get("cache", {}).get("dir")
    cache = folder / named if named else folder / "cache"
    return DvcStores(cache, folders, servers, config.get("core", {}).get("remote"))


def protect_rows(paths: Paths) -> None:
    """Take the folders with rows away from other users; make those that DVC would leave open.

    DVC writes objects that everybody may read, so the folder above them must be closed. A cache or
    remote that somebody shares with a team keeps its mode: only what is in the project is closed,
    as is the remote that it is generated with.
    """
    for place in (paths.root / "data", paths.var, paths.predictions):
        make_private(place)
    if not (paths.root / ".dvc").exists():
        return
    stores = find_stores(paths.root)
    for place in (stores.cache, *stores.folders.values()):
        if paths.root in place.resolve().parents:
            make_folder(place, private=True)
            make_private(place)
