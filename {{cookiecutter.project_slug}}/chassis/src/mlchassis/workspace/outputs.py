"""Files that the project's verbs wrote, each with its digest: all others are a person's own.

`dvc.lock` names what stages wrote, `var/written.json` what all verbs wrote, stages that failed
included. A file is the project's own when its name and MD5 are in one of them, or when DVC's cache
holds its content. A verb deletes nothing else, and keeps a copy in `var/kept/` of what it has to
overwrite.
"""

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from mlchassis.errors import ProjectError
from mlchassis.files import is_scratch, write_text
from mlchassis.paths import Paths
from mlchassis.reports import format_report
from mlchassis.workspace.dvc_lock import read_dvc_lock
from mlchassis.workspace.dvc_remotes import find_stores
from mlchassis.workspace.dvc_yaml import read_pipeline

_MARKS = re.compile(r".+\.\w{16,}\.tmp|\.git(ignore|keep)|\.DS_Store")
"""Names of files that hold nothing of a person: a killed DVC's scratch files, marks of folders."""

Digests = dict[str, set[str]]
"""MD5s of the content that a verb wrote, keyed by path in the project."""


class OpenStage(BaseModel):
    """A stage that runs, or was killed.

    Attributes:
        places: Its outputs.
        foreign: Files there before it ran that no verb wrote.
    """

    model_config = ConfigDict(frozen=True, strict=True)

    places: list[str] = []
    foreign: list[str] = []


class WrittenFiles(BaseModel):
    """Content of `var/written.json`; all names are relative to the project.

    Attributes:
        files: MD5 of each file that a verb wrote.
        open: The stage that has not recorded its files yet.
    """

    model_config = ConfigDict(frozen=True, strict=True)

    files: dict[str, str] = {}
    open: OpenStage | None = None


class CachedFile(BaseModel):
    """A file in the listing of a folder in DVC's cache."""

    model_config = ConfigDict(frozen=True, strict=True)

    relpath: str
    md5: str


_LISTING = TypeAdapter(list[CachedFile])


def read_outputs(paths: Paths, stage: str | None = None) -> list[Path]:
    """Return the files and folders that `dvc.yaml` lists as outputs, of one stage or of all.

    A stage that it does not list has none.

    Raises:
        ProjectError: `dvc.yaml` cannot be read.
    """
    file = paths.root / "dvc.yaml"
    if not file.exists():
        return []
    stages = read_pipeline(file).stages
    chosen = [stages[name] for name in stages if stage in (None, name)]
    return [paths.root / output.path for each in chosen for output in each.outputs]


def list_files(places: Iterable[Path]) -> list[Path]:
    """Return all files at some places, those in folders included."""
    files = []
    for place in places:
        inside = sorted(place.rglob("*")) if place.is_dir() else [place]
        files += [path for path in inside if path.is_symlink() or path.is_file()]
    return files


def list_own(paths: Paths, places: Iterable[Path]) -> list[Path]:
    """Return the files at some places that are as a verb wrote them."""
    known = read_known(paths)
    return [path for path in list_files(places) if _is_own(paths, path, known)]


def list_foreign(paths: Paths, places: Iterable[Path]) -> list[Path]:
    """Return the files at some places that no verb wrote under their names."""
    files = [path for path in list_files(places) if not _is_transient(path)]
    if not files:
        return []
    known = read_known(paths)
    unknown = [path for path in files if _name(paths, path) not in known]
    return [path for path in unknown if not _is_cached(paths, path)]


def protect(paths: Paths, places: list[Path], say: Callable[[str], None]) -> None:
    """Refuse foreign files where outputs are replaced, and keep a copy of edited outputs.

    Args:
        paths: The project.
        places: Outputs that the verb is about to replace or delete.
        say: Callback that prints one line to the user.

    Raises:
        ProjectError: A folder of outputs holds a file that no verb wrote.
    """
    refuse_foreign(paths, [place for place in places if place.is_dir()])
    keep_edited(paths, places, say)


def refuse_foreign(paths: Paths, folders: Iterable[Path]) -> None:
    """Refuse folders of outputs that hold a file that no verb wrote.

    Raises:
        ProjectError: There is such a file.
    """
    foreign = list_foreign(paths, folders)
    if foreign:
        name = _name(paths, foreign[0])
        raise ProjectError(
            f"{name} was not written by this project, and its folder is emptied and filled by "
            "`make repro`; move the file out of there, such as into the project's folder, and run "
            "again."
        )


def keep_edited(paths: Paths, places: Iterable[Path], say: Callable[[str], None]) -> None:
    """Keep a copy of each output that is not as a verb wrote it."""
    known = read_known(paths)
    for path in list_files(places):
        if not _is_own(paths, path, known) and not _is_transient(path):
            say(keep_copy(paths, path))


def keep_copy(paths: Paths, path: Path) -> str:
    """Copy a file that was edited into `var/kept`, and return a line about it."""
    name = _name(paths, path)
    copy = paths.var / "kept" / f"{name}.{_digest(path)[:8]}"
    copy.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(path, copy)
    return f"{name} was changed by hand: its copy is {_name(paths, copy)}"


def write_output(paths: Paths, path: Path, text: str) -> None:
    """Replace a file outside the pipeline atomically: copy an edited one, record the new."""
    if path.exists() and not _is_own(paths, path, read_known(paths)):
        keep_copy(paths, path)
    write_text(path, text)
    _record(paths, [path])


def write_facts(paths: Paths, path: Path, facts: Any) -> None:
    """Write a report like `reports.write_report`, for a verb outside the pipeline."""
    write_output(paths, path, format_report(facts))


@contextmanager
def recording(paths: Paths, places: list[Path]) -> Iterator[None]:
    """Record the files that a stage writes, whether it ends well, fails or is killed.

    Files that were there before and that no verb wrote stay foreign.
    """
    foreign = {_name(paths, path) for path in list_foreign(paths, places)}
    begun = OpenStage(places=[_name(paths, place) for place in places], foreign=sorted(foreign))
    _write_notes(paths, WrittenFiles(files=_read_notes(paths).files, open=begun))
    try:
        yield
    finally:
        _write_notes(paths, _read_notes(paths))


def read_known(paths: Paths) -> Digests:
    """Return every file that a verb or a stage is known to have written, with its MD5s."""
    known: Digests = {name: {digest} for name, digest in _read_notes(paths).files.items()}
    for name, digest in _read_lock(paths):
        known.setdefault(name, set()).add(digest)
    return known


def _is_own(paths: Paths, path: Path, known: Digests) -> bool:
    if not path.is_file():
        return False
    return _digest(path) in known.get(_name(paths, path), ()) or _is_cached(paths, path)


def _is_transient(path: Path) -> bool:
    """True if a killed process of the pipeline or of DVC left the file behind."""
    return is_scratch(path) or _MARKS.fullmatch(path.name) is not None


def _is_cached(paths: Paths, path: Path) -> bool:
    """True if DVC's cache holds the content, as after a change of branches."""
    if not path.is_file():
        return False
    digest = _digest(path)
    place = Path("files", "md5", digest[:2], digest[2:])
    return any((cache / place).exists() for cache in _list_caches(paths))


def _record(paths: Paths, files: list[Path]) -> None:
    written = {_name(paths, path): _digest(path) for path in files}
    _write_notes(paths, WrittenFiles(files={**_read_notes(paths).files, **written}))


def _read_notes(paths: Paths) -> WrittenFiles:
    """The record; what a killed stage wrote is taken into it."""
    try:
        # Names that are not UTF-8 are read by `json`, but not by Pydantic's own parser.
        notes = WrittenFiles.model_validate(json.loads(_notes_file(paths).read_bytes()))
    except (FileNotFoundError, ValueError):
        return WrittenFiles()
    if notes.open is None:
        return notes
    left = [p for p in list_files([paths.root / name for name in notes.open.places]) if p.is_file()]
    written = {_name(paths, path): _digest(path) for path in left}
    own = {name: digest for name, digest in written.items() if name not in notes.open.foreign}
    return WrittenFiles(files={**notes.files, **own})


def _write_notes(paths: Paths, notes: WrittenFiles) -> None:
    document = notes.model_dump(exclude_none=True)
    write_text(_notes_file(paths), json.dumps(document, indent=1))


def _notes_file(paths: Paths) -> Path:
    return paths.var / "written.json"


def _read_lock(paths: Paths) -> Iterator[tuple[str, str]]:
    """The files that `dvc.lock` names, those in folders included, with their MD5s."""
    try:
        stages = read_dvc_lock(paths.dvc_lock).stages.values()
    except (OSError, ProjectError):
        return  # `make repro` fixes a broken one.
    digests = [(out.path, out.md5) for stage in stages for out in stage.outs if out.md5]
    for name, digest in digests:
        if not digest.endswith(".dir"):
            yield name, digest
            continue
        for entry in _read_folder(paths, digest):
            yield f"{name}/{entry.relpath}", entry.md5


def _read_folder(paths: Paths, digest: str) -> list[CachedFile]:
    """Return a folder's entries from DVC's cache; empty if they are not cached, or cut short."""
    for cache in _list_caches(paths):
        listing = cache / "files" / "md5" / digest[:2] / digest[2:]
        if listing.exists():
            with suppress(ValidationError):
                return _LISTING.validate_json(listing.read_bytes())
    return []


def _list_caches(paths: Paths) -> Iterator[Path]:
    """DVC's cache in the project, then the one that a team's settings of DVC name."""
    yield paths.root / ".dvc" / "cache"
    yield find_stores(paths.root).cache


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _name(paths: Paths, path: Path) -> str:
    return path.relative_to(paths.root).as_posix()
