"""chassis/MANIFEST.json: current, complete, and a stage's fingerprint changes with its own code."""

import json
import shutil
import tomllib
from pathlib import Path

import pytest

from bake import PAYLOAD
from manifest import (
    CHASSIS,
    MANIFEST,
    fingerprint,
    list_modules,
    make_manifest,
    read_api,
    read_stages,
)

STAGES = read_stages()
TEXT = (CHASSIS / MANIFEST).read_text(encoding="utf-8")


@pytest.fixture
def modules(tmp_path: Path) -> dict[str, Path]:
    """The files of a copy of the chassis, by module."""
    copy = tmp_path / "chassis"
    shutil.copytree(CHASSIS, copy, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    return list_modules(copy)


def test_the_manifest_is_that_of_the_files() -> None:
    assert (CHASSIS / MANIFEST).read_text(encoding="utf-8") == make_manifest(), (
        "run `make manifest`"
    )


def test_every_stage_of_the_pipeline_has_a_fingerprint() -> None:
    assert list(json.loads(TEXT)["fingerprints"]) == list(STAGES)


def test_the_manifest_has_the_api_that_a_new_project_is_written_for() -> None:
    project = tomllib.loads((PAYLOAD / "pyproject.toml").read_text(encoding="utf-8"))
    assert json.loads(TEXT)["api"] == project["tool"]["mlchassis"]["api"] == read_api()


@pytest.mark.parametrize(
    ("module", "stages"),
    [
        ("mlchassis.serving.app", []),
        ("mlchassis.cli.app", []),
        ("mlchassis.adoption.adopt", []),
        ("mlchassis.training.estimators", ["train", "export", "evaluate"]),
        ("mlchassis.evaluation.fairness", ["evaluate"]),
        ("mlchassis.sources.sql", ["ingest"]),
        ("mlchassis.contract.model", list(STAGES)),
        ("mlchassis.errors", list(STAGES)),
    ],
)
def test_a_changed_module_changes_the_fingerprints_of_its_stages_alone(
    module: str, stages: list[str], modules: dict[str, Path]
) -> None:
    before = {stage: fingerprint(name, modules) for stage, name in STAGES.items()}
    with modules[module].open("a", encoding="utf-8") as file:
        file.write("# Changed.\n")
    after = {stage: fingerprint(name, modules) for stage, name in STAGES.items()}
    assert [stage for stage in STAGES if after[stage] != before[stage]] == stages


def test_types_alone_change_no_fingerprint(modules: dict[str, Path]) -> None:
    before = fingerprint("mlchassis.data.ingest", modules)
    modules["mlchassis.serving.service"].write_text("# Named by mlchassis/__init__.py for types.\n")
    assert fingerprint("mlchassis.data.ingest", modules) == before
