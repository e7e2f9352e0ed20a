"""The project's own gate and the faults, which the background takes from the whole run on."""

from functools import partial
from pathlib import Path

import pytest

from background import Background, Job
from faults import Outcome, list_tests, load_library, run_fault
from project_copy import copy_project
from suites import RUNNING, has_tests_of, run_gate
from summary import Parts
from whole_run import WholeRun


@pytest.fixture(scope="session")
def untouched(whole_run: WholeRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project before any test has written into it, for the faults."""
    return copy_project(whole_run.project, tmp_path_factory.mktemp("untouched") / "ml-service")


@pytest.fixture(scope="session", autouse=True)
def gate(
    request: pytest.FixtureRequest,
    whole_run: WholeRun,
    untouched: Path,
    suites: dict[str, Job[None]],
    background: Background,
    parts: Parts,
) -> None:
    """The gate; its result is among the suites."""
    if has_tests_of("test_suites.py", request.session):
        suites[RUNNING] = background.add(partial(run_gate, whole_run, parts))


@pytest.fixture(scope="session", autouse=True)
def outcomes(
    request: pytest.FixtureRequest, untouched: Path, gate: None, background: Background
) -> dict[str, Job[Outcome]]:
    """Outcomes of the faults by name.

    The background begins with the last fault, the tests with the first.
    """
    if not has_tests_of("test_faults.py", request.session):
        return {}
    faults = load_library()
    # The gate runs these guards' tests on the unbroken project.
    green = list_tests(faults) if has_tests_of("test_suites.py", request.session) else set()
    return {
        fault.name: background.add(partial(run_fault, fault, untouched, green))
        for fault in reversed(faults)
    }
