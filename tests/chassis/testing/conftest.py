"""Small projects with contracts and code of their own, and pytest run in them."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import yaml

import ml_service

ROOT = Path(ml_service.__file__).parents[2]
NUMBERS = count()
"""Modules are imported once: each project has a package of its own name."""
COPIED = (
    ".dvc/config",
    ".gitignore",
    "chassis/MANIFEST.json",
    "docs/dependencies.md",
    "pyproject.toml",
    *(f"requirements/{path.name}" for path in ROOT.glob("requirements/*.txt")),
)
METRICS = {"binary": "roc_auc", "multiclass": "log_loss", "regression": "rmse"}
PYTEST = """
[pytest]
addopts = --import-mode=importlib -p no:cacheprovider
filterwarnings =
    error
    ignore:.*Any type hint is inferred as AnyType:UserWarning
"""
FEATURES = """
def compute_features(columns):
    return dict(columns)
"""
SOURCE = """
import pandas as pd

from mlchassis.contract.model import load_contract
from mlchassis.testing.rows import complete_rows, make_table


def read_rows(options, root):
    contract = load_contract(root / "contract.yaml")
    return make_table(contract, complete_rows(contract, 10, seed=1))
"""
PROJECT = """
from mlchassis import Project, Service

from .features import compute_features
from .source import read_rows

project = Project(features=compute_features, source=read_rows)
service = Service(features=compute_features)
"""
SUITES = """
from PACKAGE.project import project as own_project
from PACKAGE.project import service as own_service

import mlchassis.testing as suites


class TestContract(suites.ContractSuite):
    project = own_project


class TestFeatures(suites.FeatureSuite):
    project = own_project


class TestSource(suites.SourceSuite):
    project = own_project


class TestService(suites.ServiceSuite):
    service = own_service


class TestPipeline(suites.PipelineSuite):
    project = own_project


class TestRequirements(suites.RequirementsSuite):
    project = own_project
"""


class Outcomes:
    """Plugin of pytest that keeps what became of each test."""

    def __init__(self) -> None:
        self.passed: set[str] = set()
        self.failed: dict[str, str] = {}
        self.skipped: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        name = report.nodeid.partition("::")[2]
        if report.failed:
            self.failed[name] = report.longreprtext
        elif report.skipped:
            self.skipped[name] = report.longreprtext
        elif report.when == "call":
            self.passed.add(name)


@dataclass(frozen=True)
class SmallProject:
    """A project of a few files, to which the suites are applied."""

    root: Path
    package: str

    def write(self, name: str, text: str) -> None:
        """Replace a module of the package."""
        (self.root / "src" / self.package / name).write_text(text)

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace a text that occurs in a file."""
        path = self.root / name
        text = path.read_text(encoding="utf-8")
        assert old in text, f"{name} does not hold {old!r}"
        path.write_text(text.replace(old, new), encoding="utf-8")

    def change(self, name: str, edit: Callable[[Any], object]) -> None:
        """Change the document in a YAML file."""
        path = self.root / name
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        edit(document)
        path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")

    def run(self, *tests: str) -> Outcomes:
        """Run the suites, or the tests whose names hold one of some words."""
        outcomes = Outcomes()
        arguments = ["-k", " or ".join(tests)] if tests else []
        # That plugin collects all garbage of the process five times at the end of each run.
        options = ["-q", "--durations=6", "-p", "no:unraisableexception"]
        pytest.main([f"--rootdir={self.root}", *options, str(self.root), *arguments], [outcomes])
        assert outcomes.passed or outcomes.failed or outcomes.skipped
        return outcomes

    def fail(self, test: str) -> str:
        """Run one test that must fail, and return its message."""
        outcomes = self.run(test)
        (message,) = outcomes.failed.values()
        return message


@pytest.fixture
def make_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[list[dict[str, Any]]], SmallProject]:
    """Write a project whose contract has some columns."""

    def make(columns: list[dict[str, Any]]) -> SmallProject:
        project = SmallProject(tmp_path / "project", f"team_{next(NUMBERS)}")
        for name in COPIED:
            target = project.root / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((ROOT / name).read_bytes())
        package = project.root / "src" / project.package
        package.mkdir(parents=True)
        for name, text in (
            ("__init__.py", ""),
            ("features.py", FEATURES),
            ("source.py", SOURCE),
            ("project.py", PROJECT),
        ):
            project.write(name, text)
        write_settings(project, columns)
        tests = project.root / "tests"
        tests.mkdir()
        (tests / f"test_{project.package}.py").write_text(
            SUITES.replace("PACKAGE", project.package)
        )
        (project.root / "pytest.ini").write_text(PYTEST)
        monkeypatch.syspath_prepend(package.parent)
        return project

    return make


def write_settings(project: SmallProject, columns: list[dict[str, Any]]) -> None:
    """Write contract, parameters, behavior and pipeline of a project."""
    contract = {
        "apiVersion": "v3.2.0",
        "version": "1.0.0",
        "name": "small",
        "schema": [{"name": "small", "properties": columns}],
    }
    (project.root / "contract.yaml").write_text(yaml.safe_dump(contract, sort_keys=False))
    (project.root / "behavior.yaml").write_text("tests: []\n")
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["source"] = {"kind": "custom"}
    params["judge"]["metric"] = METRICS[name_task(columns)]
    (project.root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    pipeline = (ROOT / "dvc.yaml").read_text(encoding="utf-8")
    (project.root / "dvc.yaml").write_text(pipeline.replace("ml_service", project.package))


def name_task(columns: list[dict[str, Any]]) -> str:
    """Name the task that the target of some columns asks for."""
    (target,) = [column for column in columns if "target" in column["tags"]]
    if target["logicalType"] == "boolean":
        return "binary"
    return "multiclass" if "enum" in target else "regression"
