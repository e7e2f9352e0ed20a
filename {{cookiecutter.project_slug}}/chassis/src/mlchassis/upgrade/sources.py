"""Sources of a release of the chassis: a folder, an archive, or a git address with a tag."""

import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlchassis.confinement import NameLeavesFolderError, place_inside
from mlchassis.errors import ProjectError
from mlchassis.workspace.integrity import MANIFEST
from mlchassis.workspace.repository import NO_HOOKS, run_git

_PLACES = ("", "chassis/", "*/", "*/chassis/", "*/*/chassis/")
"""Places of the folder in what FROM names: a chassis, a project, a template, an archive of one."""
_TAR = (".tar.gz", ".tgz")
_MAX_BYTES = 500_000_000
"""Limit on the size of an unpacked archive: that of a template is a few megabytes."""


@contextmanager
def open_release(source: str) -> Iterator[Path]:
    """Give the chassis folder of a release; what had to be fetched is removed at the end.

    Args:
        source: A folder or an archive (.tar.gz, .tgz, .zip) of a chassis, a project or a template,
            or the address of a git repository with a tag, as ADDRESS@TAG.

    Raises:
        ProjectError: There is nothing of that name, or no chassis in it.
    """
    place = Path(source).expanduser()
    if place.is_dir():
        yield find_chassis(place, source)
        return
    with tempfile.TemporaryDirectory(prefix="chassis-") as scratch:
        folder = Path(scratch) / "release"
        folder.mkdir()
        if place.is_file():
            unpack(place, folder)
        else:
            clone(source, folder)
        yield find_chassis(folder, source)


def find_chassis(folder: Path, source: str) -> Path:
    """Return the chassis folder in a folder.

    Raises:
        ProjectError: There is none, or more than one.
    """
    for place in _PLACES:
        folders = sorted(file.parent for file in folder.glob(place + MANIFEST))
        if len(folders) > 1:
            names = ", ".join(str(each.relative_to(folder)) for each in folders)
            raise ProjectError(f"FROM={source} holds several chassis: {names}; name one of them.")
        if folders:
            return folders[0]
    raise ProjectError(
        f"FROM={source} holds no chassis with a {MANIFEST}; name a chassis folder, a project, the "
        "template, or an archive of one."
    )


def clone(source: str, folder: Path) -> None:
    """Clone a tag of a git repository into an empty folder.

    Raises:
        ProjectError: FROM is not a git address with a tag, or git fails.
    """
    address, _, tag = source.rpartition("@")
    path = address.partition("://")[2] or address
    if not tag or tag.startswith("-") or ":" in tag or not {"/", ":"} & set(path):
        raise ProjectError(
            f"FROM={source} is neither a folder nor an archive nor a git address with a tag; write "
            "a path, or ADDRESS@TAG as in https://git.example.org/ml-template.git@v0.3.0."
        )
    # git runs in another folder, where a relative path would lead elsewhere.
    local = Path(address).expanduser()
    origin = str(local.resolve()) if local.exists() else address
    options = ("--quiet", "--depth=1", f"--branch={tag}")
    command = ("clone", *options, "--", origin, ".")
    done = run_git(folder, *command, settings=[NO_HOOKS], check=False)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if not line.startswith("warning:")]
        raise ProjectError(
            f"FROM={source} cannot be cloned ({' '.join(' '.join(lines).split())}); check the "
            f"address, that it has the tag {tag}, and the network, then run again."
        )


def unpack(archive: Path, folder: Path) -> None:
    """Unpack the files of an archive below a folder.

    Raises:
        ProjectError: It is not such an archive, or has a member that could leave the folder.
    """
    is_tar = archive.name.lower().endswith(_TAR)
    if not is_tar and archive.suffix.lower() != ".zip":
        raise ProjectError(f"FROM={archive} is a file of another kind; name a .tar.gz or a .zip.")
    try:
        if is_tar:
            _unpack_tar(archive, folder)
        else:
            _unpack_zip(archive, folder)
    except NameLeavesFolderError as error:
        raise ProjectError(f"FROM={archive} is rejected: {error}.") from None
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise ProjectError(
            f"FROM={archive} cannot be unpacked: {error}; download it again."
        ) from None


def _unpack_tar(archive: Path, folder: Path) -> None:
    with tarfile.open(archive, "r:gz") as members:
        room = _MAX_BYTES
        for member in members:
            if member.isdir():
                continue
            content = members.extractfile(member) if member.isreg() else None
            if content is None:
                raise _refuse_kind(archive, member.name)
            room = _check_room(archive, room - member.size)
            with content:
                _write(folder, member.name, content.read())


def _unpack_zip(archive: Path, folder: Path) -> None:
    with zipfile.ZipFile(archive) as members:
        room = _MAX_BYTES
        for member in members.infolist():
            if member.is_dir():
                continue
            kind = stat.S_IFMT(member.external_attr >> 16)
            if kind not in (0, stat.S_IFREG):
                raise _refuse_kind(archive, member.filename)
            room = _check_room(archive, room - member.file_size)
            _write(folder, member.filename, members.read(member))


def _write(folder: Path, name: str, content: bytes) -> None:
    file = place_inside(folder, name.removeprefix("./"))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)


def _refuse_kind(archive: Path, name: str) -> ProjectError:
    return ProjectError(
        f"FROM={archive} is rejected: its member {name!a:.200} is a link or a device; make the "
        "archive of files alone."
    )


def _check_room(archive: Path, room: int) -> int:
    if room < 0:
        raise ProjectError(
            f"FROM={archive} is rejected: it unpacks to more than {_MAX_BYTES:,} bytes; make an "
            "archive of the chassis folder alone."
        )
    return room
