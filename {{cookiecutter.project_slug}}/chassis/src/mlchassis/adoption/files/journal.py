"""Journal of an adoption: changes are recorded first, and the next run completes them."""

import json
import shutil
from pathlib import Path

from mlchassis.errors import ProjectError
from mlchassis.files import clear_scratch, write_text
from mlchassis.paths import Paths
from mlchassis.workspace.repository import find_repository, run_git

Changes = dict[str, str | None]
"""New text of each file, keyed by path in the project; None deletes a file or a folder."""

_DONE = "adopted.json"
"""Changes of the last adoption, beside the note of one that goes on."""


def apply_changes(paths: Paths, changes: Changes) -> None:
    """Make all changes; where it is killed, `finish_interrupted` makes the rest."""
    write_text(paths.adopting, json.dumps(changes))
    finish_interrupted(paths)


def finish_interrupted(paths: Paths) -> bool:
    """Make the changes that are noted; return True if there were any."""
    if not paths.adopting.exists():
        return False
    changes: Changes = json.loads(paths.adopting.read_text(encoding="utf-8"))
    # What is deleted may be needed by what the texts were before, so the texts come first.
    for name, text in sorted(changes.items(), key=lambda change: change[1] is None):
        path = paths.root / name
        clear_scratch(path.parent, path.name)
        if text is None:
            _delete(paths.root, path)
            continue
        write_text(path, text)
    # What adopt takes out of the requirements needs no new environment: make's marks stay fresh.
    for mark in (".venv/.dependencies", ".venv/.project"):
        if (paths.root / mark).exists():
            (paths.root / mark).touch()
    write_text(paths.var / _DONE, json.dumps(_read_done(paths) | changes))
    paths.adopting.unlink()
    return True


def check_committed(paths: Paths, *, force: bool, source: str = "") -> None:
    """Refuse changes that git does not have; nothing is changed here.

    Where git has no file of the project yet, the adoption commits all of them first.

    Args:
        paths: The project.
        force: True to overwrite uncommitted changes.
        source: The table to adopt, which is read alone: git need not have it.

    Raises:
        ProjectError: There are such changes; what adopt deletes could not be brought back.
    """
    top = find_repository(paths.root)
    if top is None or not run_git(paths.root, "ls-files", "--", ".").stdout:
        return
    table = (paths.root / source).resolve() if source else None
    changed = [
        name
        for name in _list_foreign(paths)
        if table is None or not (paths.root / name).resolve().is_relative_to(table)
    ]
    if changed and not force:
        count = "1 change is" if len(changed) == 1 else f"{len(changed)} changes are"
        raise ProjectError(
            f"{count} not committed (such as {changed[0]}), and adopt rewrites "
            "and deletes files; commit them, or say --force."
        )


def _list_foreign(paths: Paths) -> list[str]:
    """Files that differ from git's and that the last adoption did not leave so."""
    # What the pipeline has written is made again anyway.
    kept = (".", ":!dvc.lock", ":!reports")
    options = ("--porcelain", "-z", "--untracked-files=all", "--no-renames")
    status = run_git(paths.root, "status", *options, "--", *kept).stdout
    # In a larger repository git names files from its top folder.
    prefix = run_git(paths.root, "rev-parse", "--show-prefix").stdout.removesuffix("\n")
    done = _read_done(paths)
    names = [line[3:].removeprefix(prefix) for line in status.split("\0") if line]
    return [name for name in names if name not in done or done[name] != _read(paths.root / name)]


def _read_done(paths: Paths) -> Changes:
    changes: Changes = json.loads(_read(paths.var / _DONE) or "{}")
    return changes


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


def _delete(root: Path, path: Path) -> None:
    """Delete a file, or a folder that was noted as one, and the folders that are empty then."""
    try:
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        for folder in path.parents:
            if folder == root or folder.is_symlink() or not folder.is_dir():
                break
            if any(folder.iterdir()):
                break
            folder.rmdir()
    except OSError as error:
        raise ProjectError(
            f"{path} cannot be deleted ({error}); do it by hand, and run the same again."
        ) from None
