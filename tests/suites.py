"""The long suites: a project's own gate, and its tests under the other Pythons."""

import shutil
import sys
from pathlib import Path

import pytest

from bake import ROOT, bake_defaults
from pythons import VERSIONS, find_python
from summary import Parts
from whole_run import WholeRun, run_in

# The template's own Python comes first on PATH, so it is the one of the whole run.
RUNNING = f"{sys.version_info.major}.{sys.version_info.minor}"
FOUND = {version: find_python(version) for version in VERSIONS if version != RUNNING}
INSTALLERS = {"3.11": "pip", "3.12": "uv", "3.13": "pip"}
"""Each way to set a project up is taken; the whole run takes uv."""


def has_tests_of(name: str, session: pytest.Session) -> bool:
    """True if a test of the file with this name is in this session."""
    return any(item.path.name == name for item in session.items)


def run_gate(whole_run: WholeRun, parts: Parts) -> None:
    """Run `make test` in the project that was run whole, and hold it to having checked all."""
    with parts.measure("make test in the project"):
        printed = run_in(whole_run.project, "make", "test")
    *checks, closing = [line for line in printed.splitlines() if line.strip()]
    for check in ("format", "lint", "types", "layers"):
        assert any(line.startswith(f"{check}: ") for line in checks), check
    assert " passed" in closing
    parts.note(f"    its last line: {closing.strip()}")
    with parts.measure("tests of the chassis"):
        run_chassis_tests(whole_run.project)


def run_chassis_tests(project: Path, *options: str) -> None:
    """Run the chassis' tests with a project's interpreter, on the project's copy of the chassis.

    Each run has its own copy of the tests, since several run at the same time.
    """
    tests = project.with_name("chassis-tests")
    shutil.copytree(ROOT / "tests" / "chassis", tests, ignore=shutil.ignore_patterns("__pycache__"))
    run_in(project, "python", "-m", "pytest", "-p", "no:cacheprovider", *options, folder=tests)


def run_tests(project: Path, version: str, interpreter: Path, parts: Parts) -> None:
    """Bake a project, set it up with an interpreter and run its tests."""
    bake_defaults(project)
    installer = INSTALLERS[version]
    with parts.measure(f"Python {version}: setup with {installer}, and tests"):
        # What is imported is compiled then; compiling all of it takes longer than the tests.
        command = ("make", "setup", f"PYTHON={interpreter}", f"INSTALLER={installer}")
        said = run_in(project, *command, UV_COMPILE_BYTECODE="0", PIP_NO_COMPILE="1")
        assert f"setup: Python {version}." in said
        assert "setup: group dev, " in said
        assert "not to be had" not in said
        run_in(project, "pytest")
        run_chassis_tests(project, "-m", "not one_python")
