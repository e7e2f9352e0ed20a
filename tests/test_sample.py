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


@pytest.fixture(scope="module")
def listed(project: Path) -> dict[str, Any]:
    loaded = yaml.safe_load((project / ".sample.yaml").read_text(encoding="utf-8"))
    assert isinstance(loaded, dict)
    return loaded


def test_the_default_description_is_listed_as_the_samples_wording(listed: dict[str, Any]) -> None:
    definition = json.loads((ROOT / "cookiecutter.json").read_text(encoding="utf-8"))
    assert [*listed["wording"]] == [definition["description"]]


def test_wherever_the_sample_is_spoken_of_is_listed(project: Path, listed: dict[str, Any]) -> None:
    known = {".sample.yaml", *REWRITTEN, *listed["files"], *listed["lines"], *listed["copies"]}
    for names in listed["wording"].values():
        known |= set(names)
    requirements = {path.relative_to(project).as_posix() for path in project.glob("requirements/*")}
    spoken = {
        path.relative_to(project).as_posix()
        for path in project.rglob("*")
        if path.is_file() and TRACES.search(path.read_text(encoding="utf-8"))
    }
    assert spoken - known - requirements == set()
    assert [name for name in known if not (project / name).exists()] == []
