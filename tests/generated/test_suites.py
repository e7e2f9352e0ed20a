"""A project's own gate is green, and so are its tests under each Python that it supports."""

import pytest

from background import Job
from pythons import VERSIONS
from suites import FOUND, RUNNING
from summary import Parts


@pytest.mark.parametrize("version", VERSIONS)
def test_a_project_is_green_under_every_python_that_is_there(
    version: str, suites: dict[str, Job[None]], parts: Parts
) -> None:
    if version in suites:
        suites[version].result()
    else:
        parts.note(f"Python {version}: NOT THERE on this machine, so nothing was tested with it")


def test_every_python_is_tested_or_reported_as_not_there() -> None:
    assert {RUNNING, *FOUND} == set(VERSIONS)
