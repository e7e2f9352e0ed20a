"""The chassis folder replaced by another release: sources, refusals, requirements, kills."""

import errno
import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from mlchassis.errors import ProjectError
from mlchassis.upgrade import command, exchange, sources
from mlchassis.upgrade.changelog import read_breaking
from mlchassis.upgrade.command import upgrade
from mlchassis.upgrade.requirements import update_requirements
from mlchassis.upgrade.sources import open_release
from mlchassis.workspace.integrity import find_differences, read_manifest, verify

PYPROJECT = """\
[project]
dependencies = [
    "numpy",
    "ours",  # a package of the team
]

[dependency-groups]
train = [
    "dvc>=3,<4",
    # Time zones "for all".
    "pandera[pandas]"
]
s3 = ["boto3"]
data = []
"""
CHANGELOG = """\
# Changelog

## 0.4.0

### Breaking

- Not yet.

## 0.3.0

### Breaking

- `source` takes two arguments.

### Added

- A metric.

## 0.2.0

### Breaking

- Known.
"""


def write_chassis(folder: Path, version: str, needs: str = '["dvc>=3,<4"]') -> Path:
    """Write a small release of a chassis."""
    pyproject = f'[project]\ndependencies = ["numpy"]\noptional-dependencies.train = {needs}\n'
    files = {
        "pyproject.toml": pyproject,
        "CHANGELOG.md": CHANGELOG,
        "src/mlchassis/__init__.py": f'__version__ = "{version}"\n',
        f"src/mlchassis/only_{version.replace('.', '_')}.py": "",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    sums = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in files.items()}
    manifest = {"version": version, "api": 1, "files": sums}
    (folder / "MANIFEST.json").write_text(json.dumps(manifest))
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with chassis 0.2.0."""
    root = tmp_path / "project"
    write_chassis(root / "chassis", "0.2.0")
    (root / "pyproject.toml").write_text(PYPROJECT)
    return root


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """The chassis folder of release 0.3.0, in a project of its own."""
    return write_chassis(tmp_path / "newer" / "chassis", "0.3.0")


def pack_tar(folder: Path, archive: Path) -> Path:
    with tarfile.open(archive, "w:gz") as members:
        members.add(folder, arcname="./mlchassis-0.3.0")
    return archive


def pack_zip(folder: Path, archive: Path) -> Path:
    with zipfile.ZipFile(archive, "w") as members:
        for file in folder.rglob("*"):
            members.write(file, Path("ml-template", "x", "chassis", file.relative_to(folder)))
    return archive


def publish(folder: Path, repository: Path) -> str:
    """Commit a chassis to a new repository, tag it and return its address with the tag."""
    write_chassis(repository / "{{cookiecutter.project_slug}}" / "chassis", "0.3.0")

    def git(*words: str) -> None:
        who = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
        subprocess.run(["git", *who, *words], cwd=repository, check=True, capture_output=True)

    git("init", "--quiet")
    git("add", "--all")
    git("commit", "--quiet", "--message", "Release")
    git("tag", "v0.3.0")
    return f"file://{repository}@v0.3.0"


SOURCES: dict[str, Callable[[Path, Path], object]] = {
    "chassis": lambda release, work: release,
    "project": lambda release, work: release.parent,
    "tar": lambda release, work: pack_tar(release, work / "a.tar.gz"),
    "tgz": lambda release, work: pack_tar(release, work / "a.tgz"),
    "zip": lambda release, work: pack_zip(release, work / "a.zip"),
    "git": lambda release, work: publish(release, work / "repository"),
}


@pytest.mark.parametrize("kind", SOURCES)
def test_the_folder_is_replaced_whole(
    project: Path, release: Path, tmp_path: Path, kind: str
) -> None:
    lines: list[str] = []
    source = str(SOURCES[kind](release, tmp_path))
    assert not upgrade(project, source, lines.append)
    assert verify(project / "chassis") == "unchanged, version 0.3.0"
    assert not (project / "chassis/src/mlchassis/only_0_2_0.py").exists()
    assert lines == [
        "chassis: version 0.2.0 is now 0.3.0",
        "breaking, 0.3.0: `source` takes two arguments.",
    ]
    assert sorted(path.name for path in project.iterdir()) == ["chassis", "pyproject.toml"]


def test_the_same_version_replaces_nothing(project: Path) -> None:
    lines: list[str] = []
    assert not upgrade(project, str(project / "chassis"), lines.append)
    assert lines == ["chassis: FROM is the same version, 0.2.0; nothing to replace"]


def test_edited_files_are_listed_and_nothing_changes(project: Path, release: Path) -> None:
    edited = project / "chassis/src/mlchassis/__init__.py"
    edited.write_text("edited\n")
    (project / "chassis/FORKED").write_text("A reason\n")
    with pytest.raises(ProjectError, match=r"changed: src/mlchassis/__init__\.py\); restore"):
        upgrade(project, str(release), print)
    assert edited.read_text() == "edited\n"
    assert read_manifest(project / "chassis").version == "0.2.0"


def test_edits_that_are_given_up_are_kept_in_var(project: Path, release: Path) -> None:
    (project / "chassis/src/mlchassis/__init__.py").write_text("edited\n")
    (project / "chassis/FORKED").write_text("A reason\n")
    upgrade(project, str(release), print, discard_edits=True)
    kept = project / "var/kept/chassis-0.2.0-1"
    assert (kept / "src/mlchassis/__init__.py").read_text() == "edited\n"
    assert (kept / "FORKED").exists()
    assert verify(project / "chassis") == "unchanged, version 0.3.0"
    assert not (project / "chassis/FORKED").exists()


def test_a_release_that_is_not_as_its_manifest_is_rejected(project: Path, release: Path) -> None:
    (release / "CHANGELOG.md").write_text("edited\n")
    with pytest.raises(ProjectError, match=r"is not as released: .*changed: CHANGELOG\.md"):
        upgrade(project, str(release), print)
    assert verify(project / "chassis") == "unchanged, version 0.2.0"


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("nothing", "is neither a folder nor an archive nor a git address with a tag"),
        ("git@example.org:ml/template", "is neither a folder"),
        ("https://user@example.org/template", "is neither a folder"),
        ("https://example.org/template@--upload-pack=x", "is neither a folder"),
        ("file:///nowhere/template@v1", r"@v1 cannot be cloned \(.+check the address, .* v1"),
    ],
)
def test_a_source_that_is_none_is_rejected(source: str, sentence: str) -> None:
    with pytest.raises(ProjectError, match=sentence), open_release(source):
        pass


def test_a_relative_path_of_a_repository_leads_from_the_current_folder(
    tmp_path: Path, release: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(release, tmp_path / "a repository")
    monkeypatch.chdir(release)
    with open_release("../../a repository@v0.3.0") as chassis:
        assert read_manifest(chassis).version == "0.3.0"
    with (
        pytest.raises(ProjectError, match=r"a repository@v9 cannot .*Remote branch v9"),
        open_release("../../a repository@v9"),
    ):
        pass


def test_a_folder_or_file_without_a_chassis_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="holds no chassis"), open_release(str(tmp_path)):
        pass
    other = tmp_path / "a.txt"
    other.touch()
    with pytest.raises(ProjectError, match="a file of another kind"), open_release(str(other)):
        pass
    for name in ("a.zip", "a.tar.gz"):
        broken = tmp_path / name
        broken.write_bytes(b"broken")
        with pytest.raises(ProjectError, match="cannot be unpacked"), open_release(str(broken)):
            pass


@pytest.mark.parametrize("name", ["../escaped", "/escaped", "a/../../escaped", "a\\b"])
def test_a_member_that_could_leave_the_folder_is_rejected(tmp_path: Path, name: str) -> None:
    archives = [tmp_path / "a.tar.gz", tmp_path / "a.zip"]
    with tarfile.open(archives[0], "w:gz") as tar:
        tar.addfile(tarfile.TarInfo(name), io.BytesIO())
    with zipfile.ZipFile(archives[1], "w") as packed:
        packed.writestr(name, "")
    for archive in archives:
        with pytest.raises(ProjectError, match="could leave"), open_release(str(archive)):
            pass
    assert list(tmp_path.rglob("escaped")) == []


@pytest.mark.parametrize("pack", [pack_tar, pack_zip])
def test_an_archive_that_unpacks_to_too_much_is_rejected(
    release: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    pack: Callable[[Path, Path], Path],
) -> None:
    archive = pack(release, tmp_path / ("a.zip" if pack is pack_zip else "a.tar.gz"))
    size = sum(file.stat().st_size for file in release.rglob("*") if file.is_file())
    monkeypatch.setattr(sources, "_MAX_BYTES", size)
    with open_release(str(archive)):
        pass
    monkeypatch.setattr(sources, "_MAX_BYTES", size - 1)
    with (
        pytest.raises(ProjectError, match=f"unpacks to more than {size - 1:,} bytes"),
        open_release(str(archive)),
    ):
        pass


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE]
)
def test_a_link_or_device_in_an_archive_is_rejected(tmp_path: Path, kind: bytes) -> None:
    archive = tmp_path / "a.tar.gz"
    member = tarfile.TarInfo("chassis/link")
    member.type = kind
    member.linkname = "/etc/passwd"
    with tarfile.open(archive, "w:gz") as tar:
        tar.addfile(member)
    with pytest.raises(ProjectError, match="is a link or a device"), open_release(str(archive)):
        pass


def test_a_link_in_a_zip_is_rejected(tmp_path: Path) -> None:
    archive = tmp_path / "a.zip"
    member = zipfile.ZipInfo("chassis/link")
    member.external_attr = 0o120777 << 16
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr(member, "/etc/passwd")
    with pytest.raises(ProjectError, match="is a link or a device"), open_release(str(archive)):
        pass


def test_an_older_release_lists_the_changes_to_undo(project: Path, release: Path) -> None:
    upgrade(project, str(release), print)
    lines: list[str] = []
    upgrade(project, str(write_chassis(release.parent / "older", "0.2.0")), lines.append)
    assert lines == [
        "chassis: version 0.3.0 is now 0.2.0, an older one",
        "undo in the project, 0.3.0: `source` takes two arguments.",
    ]


def test_a_full_disk_leaves_the_old_folder_and_nothing_staged(
    project: Path,
    release: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def refuse(file: Path, copy: Path) -> None:
        copy.write_text("half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(copy))

    monkeypatch.setattr(shutil, "copyfile", refuse)
    monkeypatch.chdir(project)
    monkeypatch.setattr(sys, "argv", ["upgrade", str(release)])
    assert command.main() == 1
    assert "No space left on device" in (error := capsys.readouterr().err)
    assert "free space or grant the permission, and run again" in error
    assert verify(project / "chassis") == "unchanged, version 0.2.0"
    assert sorted(path.name for path in project.iterdir()) == ["chassis", "pyproject.toml"]


@pytest.mark.parametrize("atomic", [True, False])
def test_an_old_folder_that_cannot_be_removed_does_not_stop_the_upgrade(
    project: Path, release: Path, monkeypatch: pytest.MonkeyPatch, atomic: bool
) -> None:
    remove = shutil.rmtree

    def refuse(folder: Path, ignore_errors: bool = False) -> None:
        if folder.exists() and not ignore_errors:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
        remove(folder, ignore_errors)

    monkeypatch.setattr(shutil, "rmtree", refuse)
    if not atomic:
        monkeypatch.setattr(exchange, "exchange", lambda first, second: False)
    lines: list[str] = []
    upgrade(project, str(release), lines.append)
    assert lines[0] == "chassis: version 0.2.0 is now 0.3.0"
    assert verify(project / "chassis") == "unchanged, version 0.3.0"


def test_the_help_has_an_example(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["upgrade", "--help"])
    with pytest.raises(SystemExit):
        command.main()
    assert "Example: make upgrade-chassis FROM=" in capsys.readouterr().out


def test_new_requirements_are_entered_into_the_projects_lists(
    project: Path, tmp_path: Path
) -> None:
    newer = write_chassis(tmp_path / "newer", "0.3.0", '["dvc>=4,<5", "polars"]')
    assert upgrade(project, str(newer), print)
    text = (project / "pyproject.toml").read_text()
    expected = PYPROJECT.replace("dvc>=3,<4", "dvc>=4,<5").replace(
        '    "pandera[pandas]"\n', '    "pandera[pandas]",\n    "polars",\n'
    )
    assert text == expected


def test_requirements_enter_lists_of_every_form() -> None:
    new = {"dependencies": ["numpy>=2", "pyyaml"], "s3": ["boto3", "dvc-s3"], "data": ["duckdb"]}
    old = {"dependencies": ["numpy"], "s3": ["boto3"], "data": ["gone"]}
    text = update_requirements(PYPROJECT, old, new)
    assert '"numpy>=2",\n    "ours",\n    "pyyaml",  # a package of the team\n]' in text
    assert 's3 = ["boto3", "dvc-s3"]' in text
    assert 'data = ["duckdb"]' in text
    assert update_requirements(text, old, new) == text


def test_a_group_that_the_project_lacks_is_named() -> None:
    with pytest.raises(ProjectError, match=r'needs "polars", .* no plain list `frames`'):
        update_requirements(PYPROJECT, {}, {"frames": ["polars"]})


def test_breaking_lines_are_those_between_two_versions() -> None:
    assert read_breaking(CHANGELOG, "0.1.0", "0.3.0") == [
        "0.3.0: `source` takes two arguments.",
        "0.2.0: Known.",
    ]
    assert read_breaking(CHANGELOG, "0.3.0", "0.2.0") == []
    wrapped = "## 0.2.0\n### Breaking\n- One change\n  of two lines.\n- Two.\n"
    assert read_breaking(wrapped, "0.1.0", "0.2.0") == [
        "0.2.0: One change of two lines.",
        "0.2.0: Two.",
    ]
    assert read_breaking("## 0.10.0\n### Breaking\n- Ten.\n", "0.9.1", "0.10.0") == ["0.10.0: Ten."]


PROGRAM = """
import os, signal, sys
from pathlib import Path
from mlchassis.upgrade import command, exchange

root, source, moment, atomic = sys.argv[1:]
if atomic == "no":
    exchange.exchange = lambda first, second: False
count = 0

def kill(event, arguments):
    global count
    if event.partition(".")[0] in {"open", "os", "shutil", "ctypes"}:
        count += 1
        if count == int(moment):
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(kill)
command.upgrade(Path(root), source, lambda line: None)
"""


def run_killed(project: Path, release: Path, moment: int, atomic: str) -> int:
    """Upgrade in a process that kills itself at its n-th operation on files."""
    words = [str(project), str(release), str(moment), atomic]
    done = subprocess.run([sys.executable, "-c", PROGRAM, *words], check=False)
    assert done.returncode in (0, -signal.SIGKILL)
    return done.returncode


@pytest.mark.one_python
@pytest.mark.parametrize("atomic", ["yes", "no"])
def test_killed_at_any_moment_the_folder_is_old_or_new(tmp_path: Path, atomic: str) -> None:
    release = write_chassis(tmp_path / "newer", "0.3.0")
    versions = set()
    moment = 1
    while True:
        root = tmp_path / str(moment)
        chassis = write_chassis(root / "chassis", "0.2.0")
        (root / "pyproject.toml").write_text(PYPROJECT)
        code = run_killed(root, release, moment, atomic)
        if atomic == "no" and not chassis.exists():
            # What the Makefile begins with.
            (root / ".chassis-old").rename(chassis)
        manifest = read_manifest(chassis)
        assert not find_differences(chassis, manifest), moment
        versions.add(manifest.version)
        upgrade(root, str(release), lambda line: None)
        assert verify(chassis) == "unchanged, version 0.3.0"
        if code == 0:
            break
        moment += int(os.environ.get("KILL_STEP", "3"))
    assert versions == {"0.2.0", "0.3.0"}


def test_two_folders_are_exchanged_in_one_step(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
        (folder / folder.name).touch()
    assert exchange.exchange(first, second)
    assert [path.name for path in first.iterdir()] == ["second"]
    assert not exchange.exchange(first, tmp_path / "missing")
