"""A project sets up and passes its tests under each Python that it supports."""

import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from bake import bake_defaults
from pythons import VERSIONS, find_python
from summary import Parts
from whole_run import run_in

# The template's own Python comes first on PATH, so it is the one of the whole run.
RUNNING = f"{sys.version_info.major}.{sys.version_info.minor}"
FOUND = {version: find_python(version) for version in VERSIONS if version != RUNNING}
OTHERS = {version: path for version, path in FOUND.items() if path}


def run_tests(project: Path, version: str, parts: Parts) -> None:
    """Bake a project, set it up with an interpreter and run its tests."""
    bake_defaults(project)
    with parts.measure(f"Python {version}: setup and tests"):
        # What is imported is compiled then; compiling all of it takes longer than the tests.
        python = f"PYTHON={OTHERS[version]}"
        said = run_in(project, "make", "setup", python, UV_COMPILE_BYTECODE="0")
        assert f"setup: Python {version}." in said
        run_in(project, "pytest")


@pytest.fixture(scope="module")
def started(
    tmp_path_factory: pytest.TempPathFactory, parts: Parts
) -> Iterator[dict[str, Future[None]]]:
    """All of them at once: each uses one core."""
    folder = tmp_path_factory.mktemp("pythons")
    with ThreadPoolExecutor(2) as pool:
        yield {
            version: pool.submit(run_tests, folder / version / "ml-service", version, parts)
            for version in OTHERS
        }


def test_every_python_is_tested_or_reported_as_not_there(parts: Parts) -> None:
    assert {RUNNING, *FOUND} == set(VERSIONS)
    parts.note(f"Python {RUNNING}: the whole run")
    for version in sorted(FOUND.keys() - OTHERS.keys()):
        parts.note(f"Python {version}: NOT THERE on this machine, so nothing was tested with it")


@pytest.mark.parametrize("version", OTHERS)
def test_a_project_is_green_under_another_python(
    version: str, started: dict[str, Future[None]]
) -> None:
    started[version].result()
