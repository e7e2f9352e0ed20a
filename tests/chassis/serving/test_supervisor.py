"""The parent of the workers, when a signal comes at a bad moment."""

import io
import os
import signal
import socket
from collections.abc import Iterator
from multiprocessing import get_context
from typing import Any

import pytest

from mlchassis.config.settings import ServiceSettings
from mlchassis.serving.logs.operational import make_logger
from mlchassis.serving.server import workers
from mlchassis.serving.server.workers import Supervisor


class FakeProcess:
    """A worker during whose start the parent gets SIGTERM; its end of the pipe is closed."""

    pid = 5_000_000  # beyond every process
    exitcode = 0

    def __init__(self) -> None:
        self.terminated = False

    def start(self) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    def terminate(self) -> None:
        self.terminated = True

    def join(self) -> None:
        """It has ended."""


class FakeContext:
    """Multiprocessing without processes."""

    RawArray = staticmethod(get_context("spawn").RawArray)
    Pipe = staticmethod(get_context("spawn").Pipe)

    def __init__(self) -> None:
        self.started: list[FakeProcess] = []

    def Process(self, **_given: Any) -> FakeProcess:  # noqa: N802 - multiprocessing's name
        self.started.append(FakeProcess())
        return self.started[-1]


@pytest.fixture
def handlers() -> Iterator[None]:
    """The handlers of signals as they were, after the test."""
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.mark.usefixtures("handlers")
def test_a_worker_that_is_started_while_sigterm_comes_gets_it_too(
    settings: ServiceSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It was not one of the workers yet; without the signal, the service would never end.
    context = FakeContext()
    monkeypatch.setattr(workers, "_SPAWN", context)
    monkeypatch.setattr(workers, "mark_process_dead", lambda *_given: None)
    monkeypatch.setenv(workers.METRICS_VARIABLE, "")
    several = settings.model_copy(update={"workers": 2})
    with socket.socket() as listener:
        supervisor = Supervisor(
            several, "package.module:name", listener, make_logger(io.StringIO())
        )
        supervisor.run(lambda: None)
    assert [each.terminated for each in context.started] == [True]
