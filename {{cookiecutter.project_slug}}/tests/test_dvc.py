"""`dvc.yaml`: what a stage depends on is there, and its outputs are kept in one place."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
STAGES: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
MANIFEST = "chassis/MANIFEST.json"


def names(entries: list[Any]) -> list[str]:
    """Paths of outputs, which come plain or with settings."""
    return [name for entry in entries for name in ([entry] if isinstance(entry, str) else entry)]


def outputs(stage: dict[str, Any]) -> list[str]:
    return [name for kind in ("outs", "metrics", "plots") for name in names(stage.get(kind, []))]


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_reruns_when_its_part_of_the_chassis_changes(name: str) -> None:
    fingerprints = json.loads((ROOT / MANIFEST).read_text(encoding="utf-8"))["fingerprints"]
    watched = [entry for entry in STAGES[name]["params"] if isinstance(entry, dict)]

    assert name in fingerprints, f"chassis/MANIFEST.json has no fingerprint of stage '{name}'"
    assert watched == [{MANIFEST: [f"fingerprints.{name}"]}]


@pytest.mark.parametrize("name", STAGES)
def test_what_a_stage_depends_on_is_there_or_made_by_an_earlier_one(name: str) -> None:
    earlier = list(STAGES)[: list(STAGES).index(name)]
    made = [out for stage in earlier for out in outputs(STAGES[stage])]
    unknown = [
        dep
        for dep in STAGES[name]["deps"]
        # `make repro` describes a source's files there, before DVC looks.
        if dep != "reports/source.json"
        and not (ROOT / dep).is_file()
        and not any(dep == o or dep.startswith(f"{o}/") for o in made)
    ]

    assert unknown == []


def test_no_output_is_made_twice_or_lies_in_another() -> None:
    made = [out for stage in STAGES.values() for out in outputs(stage)]

    assert len(made) == len(set(made))
    assert [(a, b) for a in made for b in made if b.startswith(f"{a}/")] == []


@pytest.mark.parametrize("name", STAGES)
def test_the_parameters_that_a_stage_lists_exist(name: str) -> None:
    document = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))

    for dotted in filter(lambda entry: isinstance(entry, str), STAGES[name]["params"]):
        place = document
        for part in dotted.split("."):
            place = place[part]


def test_raw_months_outlive_a_run_of_the_pipeline() -> None:
    assert {"data/raw": {"persist": True}} in STAGES["ingest"]["outs"]


def test_git_ignores_what_dvc_keeps_and_only_that() -> None:
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    settings = [
        (name, (entry[name] if isinstance(entry, dict) else {}).get("cache", True))
        for stage in STAGES.values()
        for kind in ("outs", "metrics", "plots")
        for entry in stage.get(kind, [])
        for name in ([entry] if isinstance(entry, str) else entry)
    ]
    folders = ("data/", "models/")

    for name, kept_by_dvc in settings:
        by_git = not (name.startswith(folders) or name.endswith(".html"))
        assert by_git is not kept_by_dvc, name
    assert {"/data/*", "/models/*", "/reports/*.html"} <= set(ignored)
