"""The chassis as a library: its dependencies, its version, the parameters that its stages read."""

import ast
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from bake import PAYLOAD, ROOT
from manifest import CHASSIS, list_modules, read_stages

# Modules whose package bears another name, or belongs to it.
PACKAGES = {
    "google": "protobuf",
    "psycopg": "psycopg",
    "pydantic_core": "pydantic",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}
NOT_SHAPING = {"evaluate", "judge", "study", "retrain", "monitor"}


def read_toml(path: Path) -> dict[str, Any]:
    """Read a pyproject.toml; in the payload's own, the answers stand in quoted strings."""
    return tomllib.loads(path.read_text(encoding="utf-8"))


CHASSIS_PROJECT = read_toml(CHASSIS / "pyproject.toml")
PROJECT = read_toml(PAYLOAD / "pyproject.toml")


def test_the_chassis_needs_what_the_project_installs_for_it() -> None:
    assert CHASSIS_PROJECT["project"]["dependencies"] == PROJECT["project"]["dependencies"]
    for extra, packages in CHASSIS_PROJECT["project"]["optional-dependencies"].items():
        assert packages == PROJECT["dependency-groups"][extra], extra


def test_what_the_chassis_needs_is_described() -> None:
    page = (PAYLOAD / "docs" / "dependencies.md").read_text(encoding="utf-8")
    described = set(re.findall(r"^\| ([a-z][a-z0-9-]*) \|", page, flags=re.MULTILINE))
    project = CHASSIS_PROJECT["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    needed = {re.split(r"[^a-z0-9-]", line)[0] for group in groups for line in group}
    assert needed - described == set()


def test_the_versions_of_the_chassis_agree() -> None:
    version = CHASSIS_PROJECT["project"]["version"]
    package = (CHASSIS / "src" / "mlchassis" / "__init__.py").read_text(encoding="utf-8")
    changelog = (CHASSIS / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f'__version__ = "{version}"' in package
    assert re.search(r"^## (\S+)", changelog, re.MULTILINE)[1] == version  # type: ignore[index]


def test_what_the_chassis_imports_is_a_direct_dependency_of_it() -> None:
    project = CHASSIS_PROJECT["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    direct = {re.split(r"[^a-z0-9-]", line)[0] for group in groups for line in group}
    found = set()
    for file in list_modules(CHASSIS).values():
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.partition(".")[0])
    # The suites run where a project's tests run: pytest is in its group `dev`.
    found -= {*sys.stdlib_module_names, "mlchassis", "pytest"}
    assert {PACKAGES.get(name, name.replace("_", "-")) for name in found} - direct == set()


@pytest.mark.parametrize("name", list(read_stages()))
def test_a_stage_lists_every_parameter_that_its_module_reads(name: str) -> None:
    text = (PAYLOAD / "dvc.yaml").read_text(encoding="utf-8").replace("{{", "").replace("}}", "")
    stage = yaml.safe_load(text)["stages"][name]
    module = list_modules(CHASSIS)[read_stages()[name]]
    read = set(re.findall(r"\bparams\.(\w+)", module.read_text(encoding="utf-8")))
    sections = set(yaml.safe_load((PAYLOAD / "params.yaml").read_text(encoding="utf-8")))
    needed = read & sections
    if "digest" in read:
        needed |= sections - NOT_SHAPING
    listed = {entry.partition(".")[0] for entry in stage["params"] if isinstance(entry, str)}
    assert listed >= needed
    assert name in listed


def test_no_package_of_the_chassis_has_more_than_twelve_modules() -> None:
    counts: dict[str, int] = {}
    for name, file in list_modules(CHASSIS).items():
        if file.name != "__init__.py":
            counts[name.rpartition(".")[0]] = counts.get(name.rpartition(".")[0], 0) + 1
    assert {package: count for package, count in counts.items() if count > 12} == {}


def read_exports(module: str) -> list[str]:
    """Return the names in `__all__` of a module of the chassis."""
    tree = ast.parse(list_modules(CHASSIS)[module].read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            names: list[str] = ast.literal_eval(node.value)
            return names
    raise AssertionError(module)


@pytest.mark.parametrize("module", ["mlchassis", "mlchassis.testing"])
def test_every_public_name_is_documented(module: str) -> None:
    readme = (CHASSIS / "README.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"`(\w+)`", readme))
    assert [name for name in read_exports(module) if name not in documented] == []
    assert "`cli.run(" in readme
    assert len(readme.splitlines()) <= 30


def find_folders_without_subpackage(tests: Path) -> set[str]:
    """Folders of tests that have no subpackage of the same name."""
    packages = {path.parent.name for path in (CHASSIS / "src" / "mlchassis").glob("*/__init__.py")}
    return {path.parent.name for path in tests.glob("*/test_*.py")} - packages


def test_tests_lie_in_folders_named_after_subpackages(tmp_path: Path) -> None:
    assert find_folders_without_subpackage(ROOT / "tests" / "chassis") == set()
    for folder in ("sources", "unit"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "test_files.py").touch()
    assert find_folders_without_subpackage(tmp_path) == {"unit"}


def test_texts_are_replaced_by_one_function_alone() -> None:
    by_hand = re.compile(r"\bscratch\.write_(text|bytes)\(")
    sources = (CHASSIS / "src").rglob("*.py")
    found = [path.name for path in sources if by_hand.search(path.read_text(encoding="utf-8"))]
    assert found == ["files.py"]
