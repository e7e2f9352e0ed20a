"""The long suites run beside the other tests, two at a time."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from suites import FOUND, RUNNING, run_gate, run_tests
from summary import Parts
from whole_run import WholeRun


@pytest.fixture(scope="session", autouse=True)
def suites(
    whole_run: WholeRun, tmp_path_factory: pytest.TempPathFactory, parts: Parts
) -> Iterator[dict[str, Future[None]]]:
    """The suites by the version of their Python; they begin when the whole run is through."""
    folder = tmp_path_factory.mktemp("pythons")
    with ThreadPoolExecutor(2) as lanes:
        started = {RUNNING: lanes.submit(run_gate, whole_run, parts)}
        for version, interpreter in FOUND.items():
            if interpreter:
                project = folder / version / "ml-service"
                started[version] = lanes.submit(run_tests, project, version, interpreter, parts)
        yield started
        lanes.shutdown(cancel_futures=True)
