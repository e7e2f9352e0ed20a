"""`dvc.yaml` against the code: what a stage depends on is what its module imports and reads."""

import re
from pathlib import Path
from typing import Any

import grimp
import pytest
import yaml

from TODO_ import pipeline
from mlchassis.config.params import Params

ROOT = Path(__file__).parents[2]
STAGES: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
PACKAGE = pipeline.__name__.partition(".")[0]
NOT_SHAPING = {"evaluate", "judge", "study"}


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph(PACKAGE, exclude_type_checking_imports=True, cache_dir=None)


def module_file(module: str) -> str:
    """Where a module lies in the project."""
    path = Path("src", *module.split("."))
    return str(path / "__init__.py" if (ROOT / path).is_dir() else path.with_suffix(".py"))


def names(entries: list[Any]) -> list[str]:
    """Paths of outputs, which come plain or with settings."""
    return [name for entry in entries for name in ([entry] if isinstance(entry, str) else entry)]


def outputs(stage: dict[str, Any]) -> list[str]:
    return [name for kind in ("outs", "metrics", "plots") for name in names(stage.get(kind, []))]


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_lists_every_module_that_its_own_imports_and_no_other(
    name: str, graph: grimp.ImportGraph
) -> None:
    own = f"{pipeline.__name__}.{name}"
    imported = {module_file(module) for module in (own, *graph.find_upstream_modules(own))}
    listed = [dep for dep in STAGES[name]["deps"] if dep.endswith(".py")]

    assert sorted(listed) == sorted(imported)


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

    for dotted in STAGES[name]["params"]:
        place = document
        for part in dotted.split("."):
            place = place[part]


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_lists_every_parameter_that_its_module_reads(name: str) -> None:
    source = (ROOT / module_file(f"{pipeline.__name__}.{name}")).read_text(encoding="utf-8")
    sections = {info.alias or field: field for field, info in Params.model_fields.items()}
    read = set(re.findall(r"\bparams\.(\w+)", source))
    needed = {section for section, field in sections.items() if field in read}
    if "digest" in read:
        needed |= set(sections) - NOT_SHAPING

    assert {dotted.partition(".")[0] for dotted in STAGES[name]["params"]} >= needed
    assert name in STAGES[name]["params"]


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
