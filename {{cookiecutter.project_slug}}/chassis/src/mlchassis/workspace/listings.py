"""Listings of folders in the DVC remote, compared with the hashes in `dvc.lock` before a pull.

With `verify = true` DVC compares each file that it downloads, but not the listing that says which
files a folder has and where they go. A changed listing could have any file written anywhere.
"""

import hashlib
from pathlib import Path
from typing import Any

from mlchassis.errors import ProjectError


def fetch_listings(root: Path) -> None:
    """Bring the listings that are not in the cache, each only if it has the hash in `dvc.lock`.

    DVC then pulls by those in the cache, and asks the remote for none.

    Raises:
        ProjectError: A listing in the remote was changed.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    if not (root / ".dvc").exists():
        return
    with Repo(str(root)) as repo:
        try:
            remote = repo.cloud.get_remote_odb()
        except DvcException:
            return  # There is no remote; `dvc pull` says so.
        for out in repo.index.outs:
            info = out.hash_info
            if out.use_cache and info is not None and info.isdir:
                _fetch_listing(repo.cache.local, remote, str(info.value), str(out))


def _fetch_listing(cache: Any, remote: Any, oid: str, folder: str) -> None:
    if cache.exists(oid) or not remote.exists(oid):
        return
    listing = remote.get(oid)
    with listing.fs.open(listing.path, "rb") as file:
        content = file.read()
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != oid.removesuffix(".dir"):
        raise ProjectError(
            f"The DVC remote's listing of {folder} does not match its hash in dvc.lock, so it was "
            "changed after it was pushed; nothing was pulled: find out who can write there, and "
            "push again from where the data are whole."
        )
    cache.add_bytes(oid, content)
