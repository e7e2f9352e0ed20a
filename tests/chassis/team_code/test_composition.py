"""A project's own objects: imported by reference, and rejected where they are something else."""

from pathlib import Path

import pytest

from ml_service.project import project
from mlchassis.errors import ProjectError
from mlchassis.project import Project, Workspace
from mlchassis.team_code.signatures import load_object

MODULE = project.features.__module__.partition(".")[0] + ".project"


def test_a_project_is_imported_by_its_reference() -> None:
    assert load_object(f"{MODULE}:project", Project) is project


@pytest.mark.parametrize("name", ["missing", "Project", "compute_features"])
def test_an_object_of_another_type_is_rejected_with_what_to_write(name: str) -> None:
    with pytest.raises(ProjectError, match=f"py is .* write there `{name} = Pro"):
        load_object(f"{MODULE}:{name}", Project)


def test_a_workspace_knows_the_projects_package_and_features(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path, project)

    assert workspace.package == MODULE.partition(".")[0]
    assert workspace.features_file.name == "features.py"
    assert workspace.features.compute is project.features
