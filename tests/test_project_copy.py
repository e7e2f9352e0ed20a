"""A copy of a project runs its own code, and leaves the original alone."""

import os
import subprocess
import venv
from pathlib import Path

import pytest

from project_copy import CopyError, copy_project, make_environment


def run(project: Path, tool: str, *arguments: str) -> str:
    done = subprocess.run(
        [str(project / ".venv" / "bin" / tool), *arguments],
        cwd=project,
        env=make_environment(),
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    return done.stdout.strip()


def test_a_copy_runs_its_own_code(stand_in: Path, tmp_path: Path) -> None:
    copy = copy_project(stand_in, tmp_path / "copy")
    (copy / "src" / "ml_service" / "__main__.py").write_text("print('changed')")
    assert run(copy, "python", "-m", "ml_service") == "changed"
    assert run(stand_in, "python", "-m", "ml_service") == "green"


def test_a_copy_keeps_the_bytecode_and_compiles_what_changes(
    stand_in: Path, tmp_path: Path
) -> None:
    module = stand_in / "src" / "ml_service" / "answer.py"
    module.write_text("print('old', __file__)")
    os.utime(module, (0, 0))
    run(stand_in, "python", "-c", "import ml_service.answer")
    copy = copy_project(stand_in, tmp_path / "copy")
    moved = copy / module.relative_to(stand_in)
    assert list(moved.parent.glob("__pycache__/answer.*"))
    assert run(copy, "python", "-c", "import ml_service.answer") == f"old {moved}"
    moved.write_text("print('new', __file__)")
    assert run(copy, "python", "-c", "import ml_service.answer") == f"new {moved}"


def test_a_copys_tools_run_its_own_code(stand_in: Path, tmp_path: Path) -> None:
    tool = stand_in / ".venv" / "bin" / "tool"
    tool.write_text(f"#!{stand_in}/.venv/bin/python\nimport ml_service\nprint(ml_service.__file__)")
    tool.chmod(0o755)
    copy = copy_project(stand_in, tmp_path / "copy")
    assert run(copy, "tool") == str(copy / "src" / "ml_service" / "__init__.py")
    assert run(stand_in, "tool") == str(stand_in / "src" / "ml_service" / "__init__.py")


def test_a_copy_finds_the_packages_of_the_original(stand_in: Path, tmp_path: Path) -> None:
    (packages,) = stand_in.glob(".venv/lib/python*/site-packages")
    (packages / "dependency.py").write_text("print('found')")
    copy = copy_project(stand_in, tmp_path / "copy")
    assert run(copy, "python", "-c", "import dependency") == "found"


def test_a_copy_that_would_run_the_originals_code_is_refused(
    stand_in: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link_to_the_original(original: Path, made: Path) -> None:
        made.symlink_to(original)

    monkeypatch.setattr("project_copy.link_environment", link_to_the_original)
    with pytest.raises(CopyError, match="would not run its own code, but: "):
        copy_project(stand_in, tmp_path / "copy")


def test_a_folder_that_is_not_set_up_is_refused(tmp_path: Path) -> None:
    venv.create(tmp_path / ".venv", with_pip=False)
    with pytest.raises(CopyError, match="is not a generated project that is set up"):
        copy_project(tmp_path, tmp_path / "copy")


def test_a_copy_of_a_copy_finds_the_packages_of_the_original(
    stand_in: Path, tmp_path: Path
) -> None:
    (packages,) = stand_in.glob(".venv/lib/python*/site-packages")
    (packages / "dependency.py").write_text("print('found')")
    copy = copy_project(copy_project(stand_in, tmp_path / "first"), tmp_path / "second")
    assert run(copy, "python", "-c", "import dependency") == "found"
    assert run(copy, "python", "-m", "ml_service") == "green"
