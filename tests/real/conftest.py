"""Fixtures that several tests of real parts share."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from engine import Engine, run_engine
from summary import Parts


@pytest.fixture(scope="package")
def engine(parts: Parts) -> Iterator[Engine]:
    """A container engine with the stand-in of the official base image."""
    with ExitStack() as stack:
        with parts.measure("the engine with its base image"):
            engine = stack.enter_context(run_engine())
        yield engine
