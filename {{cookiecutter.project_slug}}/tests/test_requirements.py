"""The pinned requirements: they agree, they cover what is imported, and each has its reason."""

import ast
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
GROUPS = ("base", "serve", "data", "train", "build")

# Modules whose package bears another name, or belongs to it.
PACKAGES = {
    "google": "protobuf",
    "pydantic_core": "pydantic",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}


def read_pins(group: str) -> list[str]:
    """Pins of a group, each with its version, marker and hashes."""
    text = (ROOT / "requirements" / f"{group}.txt").read_text(encoding="utf-8")
    return re.findall(r"^[^#\s].*(?:\n .*)*", text, flags=re.MULTILINE)


def read_project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def list_direct(project: dict[str, Any]) -> set[str]:
    groups = [project["project"]["dependencies"], *project["dependency-groups"].values()]
    lines = [line for group in groups for line in group if isinstance(line, str)]
    return {re.split(r"[^a-z0-9-]", line)[0] for line in lines}


def list_imports(folder: Path) -> set[str]:
    nodes = [
        node
        for file in folder.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
    ]
    plain = [alias.name for n in nodes if isinstance(n, ast.Import) for alias in n.names]
    named = [n.module for n in nodes if isinstance(n, ast.ImportFrom) and n.module and not n.level]
    roots = {name.partition(".")[0] for name in plain + named} - set(sys.stdlib_module_names)
    return {PACKAGES.get(name, name.replace("_", "-")) for name in roots}


@pytest.mark.parametrize("group", GROUPS)
def test_every_group_pins_the_versions_that_dev_pins(group: str) -> None:
    pinned, pinned_by_dev = ({pin.split()[0] for pin in read_pins(g)} for g in (group, "dev"))

    assert pinned <= pinned_by_dev


@pytest.mark.parametrize("group", [*GROUPS, "dev"])
def test_every_pin_is_a_version_with_hashes_and_no_address(group: str) -> None:
    pin_with_hashes = r"[a-z0-9-]+==[^\s/]+( ; [^\\/]+)?( \\\n    --hash=sha256:[0-9a-f]{64})+"

    assert [pin for pin in read_pins(group) if not re.fullmatch(pin_with_hashes, pin)] == []


def test_what_the_package_imports_is_a_direct_dependency() -> None:
    # The chassis lies in the project; no index has it.
    assert list_imports(ROOT / "src") - list_direct(read_project()) == {"mlchassis"}


def test_every_direct_dependency_has_a_line_that_says_what_it_is_for() -> None:
    table = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    described = re.findall(r"^\| ([a-z][a-z0-9-]*) \|", table, flags=re.MULTILINE)

    assert set(described) - {"package"} == list_direct(read_project())
