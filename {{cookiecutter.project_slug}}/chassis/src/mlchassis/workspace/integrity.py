"""The chassis folder compared with its manifest, and the declaration of a fork.

`make lint` runs this module. It imports the standard library alone, so that it needs no package
and takes no time. It finds edits made by accident; it is not protection from malice, since whoever
edits a file can edit the manifest too.
"""

import hashlib
import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from mlchassis.errors import ProjectError
from mlchassis.printable import printable

MANIFEST = "MANIFEST.json"
FORKED = "FORKED"
_CACHES = re.compile(r"__pycache__|.+\.egg-info|\.\w+_cache|\.DS_Store")
"""Names of files and folders that tools leave in a folder of code."""
_MAX_NAMES = 20
_WAYS_OUT = (
    "use an extension point in src/ (chassis/README.md lists them) and restore the files, propose "
    "the change to the template, or declare a fork: write the reason into chassis/FORKED."
)


@dataclass(frozen=True, slots=True)
class Manifest:
    """A release of the chassis.

    Attributes:
        version: SemVer of the release.
        api: The API version that the release offers to a project.
        files: The SHA-256 of each file, by its path in the folder.
    """

    version: str
    api: int
    files: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Differences:
    """Files of a folder that are not as in its manifest, by their paths."""

    changed: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    added: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Return True if any file differs."""
        return bool(self.changed or self.missing or self.added)

    def __str__(self) -> str:
        """List the files by the kind of difference."""
        kinds = {"changed": self.changed, "missing": self.missing, "added": self.added}
        return "; ".join(f"{kind}: {_join(names)}" for kind, names in kinds.items() if names)


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a chassis folder.

    Raises:
        ProjectError: There is none, or it is not a manifest.
    """
    file = folder / MANIFEST
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        return _parse_manifest(document)
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise ProjectError(
            f"{file} is not a manifest of the chassis ({' '.join(str(error).split())}); restore it "
            "from git, or take the folder of a release."
        ) from None


def _parse_manifest(document: Any) -> Manifest:
    """Check the types and the paths of a manifest."""
    version, api, files = (document[key] for key in ("version", "api", "files"))
    if not isinstance(version, str) or type(api) is not int or not isinstance(files, dict):
        raise TypeError("version is text, api a number, files a mapping")
    for name, digest in files.items():
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or not isinstance(digest, str):
            raise ValueError(f"{name!a:.200} is not a file in the folder with its SHA-256")
    return Manifest(version, api, files)


def find_differences(folder: Path, manifest: Manifest) -> Differences:
    """Compare the files of a folder with a manifest; caches and egg-info do not count."""
    present = set(_list_files(folder))
    listed = set(manifest.files)
    changed = [name for name in present & listed if _hash(folder / name) != manifest.files[name]]
    return Differences(
        tuple(sorted(changed)), tuple(sorted(listed - present)), tuple(sorted(present - listed))
    )


def _list_files(folder: Path) -> Iterator[str]:
    for path in folder.rglob("*"):
        inside = path.relative_to(folder)
        is_cache = any(_CACHES.fullmatch(part) for part in inside.parts)
        is_entry = path.is_symlink() or not path.is_dir()
        if is_entry and not is_cache and inside.as_posix() not in (MANIFEST, FORKED):
            yield inside.as_posix()


def _hash(file: Path) -> str:
    """Return the SHA-256 of a regular file; empty for a link, which is not what was released."""
    if file.is_symlink() or not file.is_file():
        return ""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def read_fork(folder: Path) -> str:
    """Return the reason of a declared fork on one line; empty if there is no fork.

    Raises:
        ProjectError: `FORKED` gives no reason.
    """
    file = folder / FORKED
    if not file.exists():
        return ""
    reason = " ".join(file.read_text(encoding="utf-8", errors="replace").split())
    if not reason:
        raise ProjectError(
            "chassis/FORKED is empty; write into it why this project changes the chassis, or "
            "remove it."
        )
    return printable(reason)


def describe_fork(folder: Path) -> str:
    """Return the warning that reports show for a forked chassis; empty if there is no fork."""
    reason = read_fork(folder)
    if not reason:
        return ""
    return f"Forked chassis: this project runs a changed copy of the machinery. Reason: {reason}"


def verify(folder: Path) -> str:
    """Check a project's chassis folder; return its state on one line.

    Raises:
        ProjectError: Files differ from the manifest, and no fork is declared.
    """
    manifest = read_manifest(folder)
    differences = find_differences(folder, manifest)
    reason = read_fork(folder)
    if reason and differences:
        return f"FORKED from version {manifest.version}, {differences}. Reason: {reason}"
    if differences:
        raise ProjectError(
            f"Files in chassis/ are not those of version {manifest.version} ({differences}); "
            f"{_WAYS_OUT}"
        )
    if reason:
        return f"unchanged, version {manifest.version}; chassis/FORKED has no use, remove it"
    return f"unchanged, version {manifest.version}"


def _join(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:_MAX_NAMES])
    rest = len(names) - _MAX_NAMES
    return f"{shown} and {rest} more" if rest > 0 else shown


def main() -> int:
    """Check the chassis of the project in the current folder."""
    try:
        line = verify(Path.cwd() / "chassis")
    except ProjectError as error:
        sys.stderr.write(f"error: {printable(str(error))}\n")
        return 1
    sys.stdout.write(f"{line}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
