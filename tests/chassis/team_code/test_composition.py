"""A project's own objects: imported by reference, and rejected where they are something else."""

from pathlib import Path

import pytest

from ml_service.project import project
from mlchassis.errors import ProjectError
from mlchassis.project import Project, Workspace
from mlchassis.team_code.importing import load_object

MODULE = project.features.__module__.partition(".")[0] + ".project"


def test_a_project_is_imported_by_its_reference() -> None:
    assert load_object(f"{MODULE}:project", Project) is project


@pytest.mark.parametrize("name", ["missing", "Project", "compute_features"])
def test_an_object_of_another_type_is_rejected_with_what_to_write(name: str) -> None:
    with pytest.raises(ProjectError, match=f"py is .* write there `{name} = Pro"):
        load_object(f"{MODULE}:{name}", Project)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("def (\n", r"broken\w+.py, line 1, is not valid Python: .+; correct it there\."),
        ("import part_of_broken\n", r"part_of_broken.py, line 2, is not valid Python: .+there\."),
        ("import sys\nsys.exit(0)\n", r"py, line 2, in <module>: `sys.exit\(0\)` ends the process"),
        ("raise SystemExit\n", r"py, line 1, .* with SystemExit while .*; remove it there"),
        (None, r"There is no module broken\w+: .*project = Project\(…\)`"),
    ],
)
def test_a_module_that_cannot_be_read_is_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None, sentence: str
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    name = f"broken_{sum((content or '').encode())}"
    if content is not None:
        (tmp_path / f"{name}.py").write_text(content)
    (tmp_path / "part_of_broken.py").write_text("x = (\n)]\n")
    with pytest.raises(ProjectError, match=sentence):
        load_object(f"{name}:project", Project)


def test_a_module_without_a_package_of_its_own_keeps_its_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "imports_nothing.py").write_text("import not_installed\n")
    with pytest.raises(ModuleNotFoundError, match="not_installed"):
        load_object("imports_nothing:project", Project)


def test_a_workspace_knows_the_projects_package_and_features(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path, project)

    assert workspace.package == MODULE.partition(".")[0]
    assert workspace.features_file.name == "features.py"
    assert workspace.features.compute is project.features
