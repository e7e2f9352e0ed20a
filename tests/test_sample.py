"""`.sample.yaml` lists all that belongs to the sample: `make adopt` leaves no trace of it."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from bake import ROOT

TRACES = re.compile(r"(?<!pre)flight|nycflights|departure_minute", re.IGNORECASE)
REWRITTEN = {"contract.yaml", "params.yaml", "src/ml_service/features.py"}
"""Files that adopt rewrites, whole or in the places that mention the sample."""
EDITED = {"behavior.yaml", "docs/dependencies.md", "dvc.yaml", "src/ml_service/project.py"}
"""Files from which adopt takes tests, packages and the source of the sample by their names."""


@pytest.fixture(scope="module")
def listed(project: Path) -> dict[str, Any]:
    loaded = yaml.safe_load((project / ".sample.yaml").read_text(encoding="utf-8"))
    assert isinstance(loaded, dict)
    return loaded


def test_the_default_description_is_listed_as_the_samples(listed: dict[str, Any]) -> None:
    definition = json.loads((ROOT / "cookiecutter.json").read_text(encoding="utf-8"))
    assert [*listed["descriptions"]] == [definition["description"]]


def test_wherever_the_sample_is_spoken_of_is_listed(project: Path, listed: dict[str, Any]) -> None:
    known = {".sample.yaml", *REWRITTEN, *EDITED, *listed["files"], *listed["paragraphs"]}
    for names in listed["descriptions"].values():
        known |= set(names)
    requirements = {path.relative_to(project).as_posix() for path in project.glob("requirements/*")}
    spoken = {
        path.relative_to(project).as_posix()
        for path in project.rglob("*")
        if path.is_file() and TRACES.search(path.read_text(encoding="utf-8"))
    }
    assert spoken - known - requirements == set()
    assert [name for name in known if not (project / name).exists()] == []


def test_what_is_listed_is_in_the_files_that_stay(project: Path, listed: dict[str, Any]) -> None:
    for name, paragraph in listed["paragraphs"].items():
        assert f"\n\n{paragraph}\n" in (project / name).read_text(encoding="utf-8")
    tests = yaml.safe_load((project / "behavior.yaml").read_text(encoding="utf-8"))["tests"]
    assert [test["name"] for test in tests] == listed["behavior"]
    described = (project / "docs" / "dependencies.md").read_text(encoding="utf-8")
    groups = (project / "pyproject.toml").read_text(encoding="utf-8")
    for package in listed["packages"]:
        assert f"| {package} |" in described
        assert f'    "{package}",' in groups


def test_no_file_marks_lines_of_the_sample(project: Path) -> None:
    marked = [
        path.relative_to(project).as_posix()
        for path in project.rglob("*")
        if path.is_file() and "sample-only" in path.read_text(encoding="utf-8")
    ]
    assert marked == []
