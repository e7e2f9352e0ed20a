"""Checks of the pinned requirements: complete, with hashes, described."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mlchassis.paths import Paths
from mlchassis.testing.checks import ProjectSuite, require

PACKAGES = {
    "google": "protobuf",
    "pydantic_core": "pydantic",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}
"""Modules whose package bears another name, or belongs to it."""
PIN = r"[a-z0-9-]+==[^\s/]+( ; [^\\/]+)?( \\\n    --hash=sha256:[0-9a-f]{64})+"
"""A version with its hashes, and no address."""
CHASSIS = "mlchassis"
"""The chassis lies in the project; no index has it."""


class RequirementsSuite(ProjectSuite):
    """Tests of a project's dependencies."""

    def test_every_pin_is_a_version_with_hashes(self, paths: Paths) -> None:
        """The tested versions are installed everywhere."""
        require(find_loose_pins(paths.root / "requirements"))

    def test_groups_pin_the_versions_that_dev_pins(self, paths: Paths) -> None:
        """An image must not have versions that no test has seen."""
        require(find_other_versions(paths.root / "requirements"))

    def test_imported_packages_are_direct_dependencies(self, paths: Paths) -> None:
        """A package that comes with another one may go with it."""
        require(find_undeclared(paths.root))

    def test_direct_dependencies_are_described(self, paths: Paths) -> None:
        """An upgrade needs to know what a package is for."""
        require(find_undescribed(paths.root))


def read_pins(file: Path) -> list[str]:
    """Return the pins of a file, each with its version, marker and hashes."""
    return re.findall(r"^[^#\s].*(?:\n .*)*", file.read_text("utf-8"), flags=re.MULTILINE)


def find_loose_pins(folder: Path) -> Iterator[str]:
    """Yield a sentence for each pin that is not a version with hashes."""
    for file in sorted(folder.glob("*.txt")):
        for pin in read_pins(file):
            if not re.fullmatch(PIN, pin):
                yield f"requirements/{file.name}: {pin.splitlines()[0]!r}; run `make lock`."


def find_other_versions(folder: Path) -> Iterator[str]:
    """Yield a sentence for each version that the group `dev` does not pin."""
    tested = {pin.split()[0] for pin in read_pins(folder / "dev.txt")}
    for group in ("base", "build", "data", "serve", "train"):
        pinned = {pin.split()[0] for pin in read_pins(folder / f"{group}.txt")}
        for version in sorted(pinned - tested):
            yield f"requirements/{group}.txt pins {version} and dev.txt does not; run `make lock`."


def list_direct(root: Path) -> set[str]:
    """Return the names of all direct dependencies of a project."""
    document = _read_pyproject(root)
    return _name_packages(document["project"]["dependencies"], document["dependency-groups"])


def list_chassis_needs(root: Path) -> set[str]:
    """Return the names of the packages that the chassis needs; none if it is not a folder here."""
    if not (root / "chassis" / "pyproject.toml").exists():
        return set()
    project = _read_pyproject(root / "chassis")["project"]
    return _name_packages(project["dependencies"], project["optional-dependencies"])


def _read_pyproject(folder: Path) -> dict[str, Any]:
    return tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))


def _name_packages(base: list[Any], groups: Mapping[str, list[Any]]) -> set[str]:
    lines = [line for group in (base, *groups.values()) for line in group if isinstance(line, str)]
    return {re.split(r"[^a-z0-9-]", line)[0] for line in lines}


def find_undeclared(root: Path) -> Iterator[str]:
    """Yield a sentence for each imported package that pyproject.toml does not name."""
    own = {path.name for path in (root / "src").iterdir()}
    known = {*own, *sys.stdlib_module_names, CHASSIS}
    direct = list_direct(root)
    for file in sorted((root / "src").rglob("*.py")):
        for name in sorted(_list_imports(file) - known):
            package = PACKAGES.get(name, name.replace("_", "-"))
            if package not in direct:
                yield f"{file.name} imports '{name}'; add {package} to a group of pyproject.toml."


def _list_imports(file: Path) -> set[str]:
    names: list[str] = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.append(node.module)
    return {name.partition(".")[0] for name in names}


def find_undescribed(root: Path) -> Iterator[str]:
    """Yield a sentence for each dependency without a line in docs/dependencies.md.

    Packages that an upgrade of the chassis added need none.
    """
    table = (root / "docs" / "dependencies.md").read_text(encoding="utf-8")
    described = set(re.findall(r"^\| ([a-z][a-z0-9-]*) \|", table, flags=re.MULTILINE))
    direct = list_direct(root)
    for name in sorted(direct - described - list_chassis_needs(root)):
        yield f"docs/dependencies.md: add a line that says what {name} is for."
    for name in sorted(described - direct - {"package"}):
        yield f"docs/dependencies.md describes {name}, which is not a dependency; remove the line."
