"""The chassis folder beside its manifest, and declared forks."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from mlchassis.errors import ProjectError
from mlchassis.workspace.integrity import describe_fork, read_manifest, verify

FILES = {"README.md": "read\n", "src/mlchassis/errors.py": "code\n"}


@pytest.fixture
def chassis(tmp_path: Path) -> Path:
    """A small chassis as it was released."""
    folder = tmp_path / "chassis"
    for name, text in FILES.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    sums = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in FILES.items()}
    manifest = {"version": "0.2.0", "api": 1, "files": sums}
    (folder / "MANIFEST.json").write_text(json.dumps(manifest))
    return folder


def test_a_folder_as_released_is_unchanged(chassis: Path) -> None:
    assert verify(chassis) == "unchanged, version 0.2.0"


def test_what_tools_leave_does_not_count(chassis: Path) -> None:
    for name in ("src/mlchassis/__pycache__/a.pyc", "src/m.egg-info/PKG-INFO", ".mypy_cache/x"):
        (chassis / name).parent.mkdir(parents=True)
        (chassis / name).touch()
    assert verify(chassis) == "unchanged, version 0.2.0"


def test_every_kind_of_difference_is_named_with_the_ways_out(chassis: Path) -> None:
    (chassis / "README.md").write_text("edited\n")
    (chassis / "src/mlchassis/errors.py").unlink()
    (chassis / "src/mlchassis/own.py").touch()
    expected = (
        r"version 0\.2\.0 \(changed: README\.md; missing: src/mlchassis/errors\.py; added: "
        r"src/mlchassis/own\.py\); use an extension point .* propose "
        r"the change to the template, .*chassis/FORKED\.$"
    )
    with pytest.raises(ProjectError, match=expected):
        verify(chassis)


def test_a_link_is_a_difference_even_with_the_same_content(chassis: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (chassis / "README.md").rename(outside)
    (chassis / "README.md").symlink_to(outside)
    with pytest.raises(ProjectError, match=r"changed: README\.md"):
        verify(chassis)


def test_a_declared_fork_passes_with_its_reason_and_its_files(chassis: Path) -> None:
    (chassis / "README.md").write_text("edited\n")
    (chassis / "FORKED").write_text("Until the fix\nis released.\n")
    line = "FORKED from version 0.2.0, changed: README.md. Reason: Until the fix is released."
    assert verify(chassis) == line
    assert describe_fork(chassis).endswith("Reason: Until the fix is released.")


def test_a_fork_that_changes_nothing_is_to_be_removed(chassis: Path) -> None:
    (chassis / "FORKED").write_text("Once\n")
    assert verify(chassis).endswith("chassis/FORKED has no use, remove it")


@pytest.mark.parametrize("text", ["", " \n\t\n"])
def test_a_fork_without_a_reason_is_rejected(chassis: Path, text: str) -> None:
    (chassis / "FORKED").write_text(text)
    for read in (verify, describe_fork):
        with pytest.raises(ProjectError, match=r"chassis/FORKED is empty; write into it why"):
            read(chassis)


def test_without_a_fork_there_is_no_warning(chassis: Path) -> None:
    assert describe_fork(chassis) == ""


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "{}",
        '{"version": 2, "api": 1, "files": {}}',
        '{"version": "2", "api": true, "files": {}}',
        '{"version": "2", "api": 1, "files": {"a": 1}}',
        '{"version": "2", "api": 1, "files": {"../a": "x"}}',
        '{"version": "2", "api": 1, "files": {"/etc/passwd": "x"}}',
        '{"version": "2", "api": 1, "files": []}',
    ],
)
def test_what_is_no_manifest_is_rejected(chassis: Path, text: str) -> None:
    (chassis / "MANIFEST.json").write_text(text)
    with pytest.raises(ProjectError, match=r"MANIFEST\.json is not a manifest of the chassis"):
        read_manifest(chassis)


def test_the_command_prints_one_line_and_needs_no_package(chassis: Path) -> None:
    import mlchassis

    source = Path(str(mlchassis.__file__)).parents[1]
    command = [sys.executable, "-I", "-S", "-c"]
    program = (
        f"import sys; sys.path.insert(0, {str(source)!r}); "
        "from mlchassis.workspace.integrity import main; sys.exit(main())"
    )

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, program], cwd=chassis.parent, capture_output=True, text=True, check=False
        )

    done = run()
    assert (done.returncode, done.stdout) == (0, "unchanged, version 0.2.0\n"), done.stderr
    (chassis / "README.md").write_text("edited\n")
    done = run()
    assert done.returncode == 1
    assert done.stderr.startswith("error: Files in chassis/ are not those of version 0.2.0")
    assert done.stderr.count("\n") == 1
