"""A service that is ended over and over while requests come: what it took is answered and logged.

`RESTARTS` and `KILLS` say how many times; each takes a second or two.
"""

import http.client
import json
import os
import random
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mlchassis.prediction_log.compaction import compact_log
from mlchassis.prediction_log.reading import read_entries
from mlchassis.prediction_log.table import TORN

RESTARTS = int(os.environ.get("RESTARTS", "1"))
KILLS = int(os.environ.get("KILLS", "1"))
CLIENTS = 4
PATIENCE = 60.0  # seconds


def find_fixed_port() -> int:
    """A free port that the system gives to no outgoing connection.

    A client that calls such a port while nobody listens may be connected to itself.
    """
    for port in random.sample(range(20_000, 30_000), 1000):
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


class Client(threading.Thread):
    """Client that sends request after request, and retries when a connection breaks off."""

    def __init__(self, port: int, name: str, records: Any, *, again: bool) -> None:
        super().__init__(name=name)
        self._port, self._again, self.done = port, again, threading.Event()
        self._body = json.dumps({"records": records})
        self.statuses: dict[str, int] = {}
        self.tries: Counter[str] = Counter()

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE)
        while not self.done.is_set():
            request = f"{self.name}-{len(self.statuses)}"
            headers = {"Content-Type": "application/json", "X-Request-ID": request}
            self.tries[request] += 1
            try:
                connection.request("POST", "/predict", self._body, headers)
                answer = connection.getresponse()
                answer.read()
                self.statuses[request] = answer.status
            except (OSError, http.client.HTTPException):
                connection.close()
                if not self._again:
                    break
                time.sleep(0.005)
        connection.close()


@contextmanager
def load(port: int, records: Any, *, again: bool) -> Iterator[list[Client]]:
    clients = [Client(port, f"client-{i}", records, again=again) for i in range(CLIENTS)]
    for client in clients:
        client.start()
    try:
        yield clients
    finally:
        for client in clients:
            client.done.set()
        for client in clients:
            client.join()


def count_answers(clients: list[Client]) -> int:
    return sum(len(client.statuses) for client in clients)


def await_answers(clients: list[Client], more: int) -> None:
    goal, end = count_answers(clients) + more, time.monotonic() + PATIENCE
    while count_answers(clients) < goal:
        assert time.monotonic() < end, "no more answers come"
        time.sleep(0.01)


@pytest.mark.one_python
@pytest.mark.parametrize("workers", [1, 2])
def test_a_restart_under_load_loses_nothing_that_was_accepted(
    start: Callable[..., Any],
    rows: list[dict[str, Any]],
    read_log: Callable[[], list[dict[str, Any]]],
    workers: int,
) -> None:
    port = find_fixed_port()
    settings = {"PORT": str(port), "WORKERS": str(workers), "SHUTDOWN_DELAY_SECONDS": "0.3"}
    service = start(**settings)
    service.wait_until_serving()
    with load(port, rows[:1], again=True) as clients:
        for _ in range(RESTARTS):
            await_answers(clients, 50)
            code, _, problems = service.stop(signal.SIGTERM)
            assert (code, problems) == (0, "")
            service = start(**settings)
            service.wait_until_serving()
        await_answers(clients, 50)
    assert {status for client in clients for status in client.statuses.values()} == {200}
    # One that was answered into the void was asked a second time, and is in the log twice.
    logged = Counter(line["request_id"] for line in read_log())
    assert logged == Counter(request for client in clients for request in client.statuses)


def kill_all(service: Any, log: Path) -> None:
    """Kill parent and workers, which would otherwise end in good order; each has a log file."""
    service.process.kill()
    for path in log.glob("*.jsonl"):
        with suppress(ProcessLookupError):
            os.kill(int(path.stem.split("-")[-2]), signal.SIGKILL)
    service.wait()


@pytest.mark.one_python
@pytest.mark.parametrize("workers", [1, 2])
def test_every_answer_is_in_the_log_exactly_once_whenever_all_is_killed(
    start: Callable[..., Any], rows: list[dict[str, Any]], tmp_path: Path, workers: int
) -> None:
    moments = random.Random(workers)
    for number in range(KILLS):
        port, log = find_fixed_port(), tmp_path / f"log-{number}"
        service = start(PORT=str(port), WORKERS=str(workers), LOG_DIRECTORY=str(log))
        service.wait_until_serving()
        with load(port, rows, again=False) as clients:
            await_answers(clients, moments.randrange(1, 1000))
            time.sleep(moments.uniform(0, 0.02))
            kill_all(service, log)
        answered = [request for client in clients for request in client.statuses]
        assert answered
        expected = {(request, row) for request in answered for row in range(len(rows))}
        assert count_rows(log, expected) == dict.fromkeys(expected, 1)
        compacted = compact_log(log, None, datetime.now(UTC))
        assert (compacted.segments, compacted.open) == (workers, 0)
        assert count_rows(log, expected) == dict.fromkeys(expected, 1)


def count_rows(log: Path, answered: Iterable[tuple[str, int]]) -> dict[tuple[str, int], int]:
    """Count the lines of answered rows.

    The last line may be cut short, between two pages; its request was not answered then.
    """
    lines = (entry for entry in read_entries(log) if entry is not TORN)
    found = Counter((line["request_id"], line["row"]) for line in lines)
    return {row: found[row] for row in answered}
