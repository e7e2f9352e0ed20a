"""The project's own gate runs beside the other tests."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from suites import RUNNING, are_wanted, run_gate
from summary import Parts
from whole_run import WholeRun


@pytest.fixture(scope="session", autouse=True)
def gate(
    request: pytest.FixtureRequest,
    whole_run: WholeRun,
    suites: dict[str, Future[None]],
    parts: Parts,
) -> Iterator[None]:
    """The gate, which begins when the whole run is through; its result is among the suites."""
    with ThreadPoolExecutor(1) as lane:
        if are_wanted(request.session):
            suites[RUNNING] = lane.submit(run_gate, whole_run, parts)
        yield
