"""`make upgrade-chassis FROM=...`: verify both folders, exchange them, update the requirements."""

import argparse
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from mlchassis.errors import ProjectError
from mlchassis.files import write_text
from mlchassis.masking import mask_secrets
from mlchassis.printable import printable
from mlchassis.upgrade.changelog import is_older, read_breaking
from mlchassis.upgrade.exchange import replace_folder, stage_files
from mlchassis.upgrade.requirements import read_chassis_lists, update_requirements
from mlchassis.upgrade.sources import open_release
from mlchassis.workspace.integrity import (
    MANIFEST,
    Differences,
    Manifest,
    find_differences,
    read_manifest,
)

STAGED = ".chassis-new"
RETIRED = ".chassis-old"
_EXAMPLE = (
    "Example: make upgrade-chassis FROM=https://git.example.org/ml-template.git@v0.3.0; with "
    "DISCARD=1 for --discard-edits."
)
Say = Callable[[str], None]


def upgrade(root: Path, source: str, say: Say, *, discard_edits: bool = False) -> bool:
    """Replace the chassis of a project by that of a release.

    Args:
        root: The project's folder.
        source: A folder, an archive, or a git address with a tag.
        say: Callback that prints one line.
        discard_edits: Give edited files up; a copy of the folder is kept in `var/kept`.

    Returns:
        Whether `pyproject.toml` changed, so that the requirements must be compiled.

    Raises:
        ProjectError: A file of either chassis is not as released, or there is no release.
    """
    chassis = root / "chassis"
    old = read_manifest(chassis)
    edits = find_differences(chassis, old)
    if edits and not discard_edits:
        raise _refuse_edits(old, edits)
    with open_release(source) as release:
        new = _verify(release, source)
        if new == old and not edits:
            say(f"chassis: FROM is the same version, {new.version}; nothing to replace")
            return False
        stage_files(release, [*new.files, MANIFEST], root / STAGED)
    _verify(root / STAGED, source)
    if edits:
        say(_keep_copy(root, old))
    return _replace(root, old, new, say)


def _replace(root: Path, old: Manifest, new: Manifest, say: Say) -> bool:
    """Exchange the folders and report it; return whether the requirements changed."""
    staged = root / STAGED
    needs_lock = _write_requirements(root, staged)
    changes = list(_describe_versions(root / "chassis", old, staged, new))
    replace_folder(root / "chassis", staged, root / RETIRED)
    for line in changes:
        say(line)
    return needs_lock


def _refuse_edits(old: Manifest, differences: Differences) -> ProjectError:
    return ProjectError(
        f"An upgrade would overwrite files in chassis/ that are not those of version {old.version} "
        f"({differences}); restore them from git, or move the change into src/ or upstream. With "
        "DISCARD=1 the upgrade gives them up and keeps a copy in var/kept."
    )


def _verify(release: Path, source: str) -> Manifest:
    """Return the manifest of a release whose files are all as it lists them."""
    manifest = read_manifest(release)
    differences = find_differences(release, manifest)
    if differences:
        raise ProjectError(
            f"FROM={source} is not as released: its files differ from its manifest "
            f"({differences}); take a released version."
        )
    return manifest


def _keep_copy(root: Path, old: Manifest) -> str:
    """Copy an edited chassis, so that nothing of it is lost."""
    kept = root / "var" / "kept"
    kept.mkdir(parents=True, exist_ok=True)
    number = 1
    while (kept / f"chassis-{old.version}-{number}").exists():
        number += 1
    copy = kept / f"chassis-{old.version}-{number}"
    shutil.copytree(root / "chassis", copy, symlinks=True)
    return f"chassis: the edited folder is kept as {copy.relative_to(root)}"


def _write_requirements(root: Path, staged: Path) -> bool:
    """Enter new requirements into the project's pyproject.toml; return whether there were any."""
    old = read_chassis_lists(root / "chassis" / "pyproject.toml")
    new = read_chassis_lists(staged / "pyproject.toml")
    pyproject = root / "pyproject.toml"
    text = pyproject.read_text(encoding="utf-8")
    updated = update_requirements(text, old, new)
    if updated != text:
        write_text(pyproject, updated)
    return old != new


def _describe_versions(chassis: Path, old: Manifest, staged: Path, new: Manifest) -> Iterator[str]:
    """Describe both versions and the changes between them that concern a project."""
    if is_older(new.version, old.version):
        yield f"chassis: version {old.version} is now {new.version}, an older one"
        # Only the newer folder lists them.
        changes = _read_breaking(chassis, new.version, old.version)
        yield from (f"undo in the project, {change}" for change in changes)
    elif new.version == old.version:
        yield f"chassis: the files are now those of FROM, also version {new.version}"
    else:
        yield f"chassis: version {old.version} is now {new.version}"
        changes = _read_breaking(staged, old.version, new.version)
        yield from (f"breaking, {change}" for change in changes)
    if new.api != old.api:
        yield f"api: was {old.api}, is {new.api}; set it in pyproject.toml when you have adapted"


def _read_breaking(chassis: Path, after: str, until: str) -> Sequence[str]:
    changelog = chassis / "CHANGELOG.md"
    # A folder with edits to give up may be without one.
    text = changelog.read_text(encoding="utf-8", errors="replace") if changelog.exists() else ""
    return read_breaking(text, after, until)


def compile_requirements(say: Say) -> None:
    """Run `make lock`.

    Raises:
        ProjectError: uv is missing, or it fails.
    """
    if shutil.which("uv") is None:
        raise ProjectError(
            "The new chassis needs other packages, now listed in pyproject.toml, and uv, which "
            "compiles them, is not on PATH; install uv, then run `make lock` and `make test`."
        )
    say("requirements: compiling pyproject.toml with `make lock`")
    if subprocess.run(["make", "--no-print-directory", "lock"], check=False).returncode:
        raise ProjectError(
            "The chassis is replaced, but `make lock` failed; see its message above, then run "
            "`make lock` and `make test`."
        )


def main() -> int:
    """Upgrade the chassis of the project in the current folder."""
    parser = argparse.ArgumentParser(
        prog="python -m mlchassis.upgrade.command", description=__doc__, epilog=_EXAMPLE
    )
    parser.add_argument("source", help="folder, archive, or git address with @TAG")
    parser.add_argument("--discard-edits", action="store_true", help="give edited files up")
    options = parser.parse_args()
    try:
        if upgrade(Path.cwd(), options.source, _say, discard_edits=options.discard_edits):
            compile_requirements(_say)
    except ProjectError as error:
        return _fail(str(error))
    except OSError as error:
        return _fail(
            f"the operating system reports: {error}; free space or grant the permission, and run "
            "again. chassis/ is whole: the old one or the new one."
        )
    return 0


def _fail(sentence: str) -> int:
    sys.stderr.write(f"error: {printable(mask_secrets(sentence))}\n")
    return 1


def _say(line: str) -> None:
    sys.stdout.write(f"{printable(mask_secrets(line))}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
