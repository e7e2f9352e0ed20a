"""Several processes behind one port: started, watched, replaced and stopped together.

All take connections from one socket, so that one which ends loses none that waits. Each has a
model, a prediction log and limits of its own; what `/metrics` counts is of all of them.
"""

import os
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from tempfile import TemporaryDirectory
from types import FrameType

from prometheus_client.multiprocess import mark_process_dead
from structlog.typing import FilteringBoundLogger

from mlchassis.config.settings import ServiceSettings
from mlchassis.errors import ProjectError
from mlchassis.serving.server.worker_status import Slot, WorkerStatus
from mlchassis.serving.service import load_service

METRICS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""Names the folder in which Prometheus' client adds up processes; read when it is imported."""

_PAUSE = 1.0
"""Seconds between looks at whether a worker is missing, and so between tries to start one."""
_SPAWN = get_context("spawn")


class Supervisor:
    """The parent of the workers; it answers no request itself."""

    def __init__(
        self,
        settings: ServiceSettings,
        reference: str,
        listener: socket.socket,
        logger: FilteringBoundLogger,
    ) -> None:
        self._settings = settings
        self._reference = reference
        self._listener = listener
        self._logger = logger
        self._worker_status = WorkerStatus(_SPAWN.RawArray(Slot, settings.workers))
        self._workers: dict[Connection, tuple[int, SpawnProcess]] = {}
        self._starting: set[Connection] = set()
        self._failure = ""
        self._serving = self._stopping = False

    def run(self, announce: Callable[[], None]) -> None:
        """Keep the workers running until SIGTERM or SIGINT, and end with the last of them.

        Args:
            announce: Called once all of them answer.

        Raises:
            ProjectError: One could not start, before the service as a whole was there.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._pass_on)
        with TemporaryDirectory(prefix="metrics-") as folder:
            os.environ[METRICS_VARIABLE] = folder
            self._watch(announce)
        if self._failure:
            raise ProjectError(self._failure)

    def _watch(self, announce: Callable[[], None]) -> None:
        tried = -_PAUSE
        while self._workers or not self._stopping:
            if not self._stopping and time.monotonic() - tried >= _PAUSE:
                tried = time.monotonic()
                self._fill_slots()
            for connection in wait(list(self._workers), _PAUSE):
                self._hear(connection)  # type: ignore[arg-type]
            if not (self._serving or self._stopping or self._starting):
                self._serving = True
                announce()

    def _fill_slots(self) -> None:
        for slot in set(range(self._settings.workers)) - {p for p, _ in self._workers.values()}:
            ours, theirs = _SPAWN.Pipe(duplex=False)
            worker_status = replace(self._worker_status, own=slot)
            given = (self._settings, self._reference, self._listener, worker_status, theirs)
            worker = _SPAWN.Process(target=_work, args=given)
            worker.start()
            theirs.close()
            self._workers[ours] = (slot, worker)
            self._starting.add(ours)
            # A signal that came before this line did not reach this worker.
            if self._stopping:
                worker.terminate()
                return

    def _hear(self, connection: Connection) -> None:
        """Handle a worker's message: empty once it serves, else its error; or its end."""
        try:
            message = connection.recv_bytes().decode()
        except EOFError:
            self._bury(connection)
            return
        if not message:
            self._starting.discard(connection)
        elif self._serving:
            self._logger.error("worker failed", reason=message)
        else:
            self._give_up(message)

    def _bury(self, connection: Connection) -> None:
        slot, worker = self._workers.pop(connection)
        connection.close()
        worker.join()
        replace(self._worker_status, own=slot).enter("")
        # Its gauges leave the metrics; what it counted stays.
        mark_process_dead(worker.pid, os.environ[METRICS_VARIABLE])  # type: ignore[no-untyped-call]
        if not self._stopping:
            self._logger.error("worker ended", process=worker.pid, status=worker.exitcode)
            if not self._serving:
                self._give_up(f"A worker ended with {worker.exitcode} before it could answer.")
        self._starting.discard(connection)

    def _give_up(self, reason: str) -> None:
        self._failure = self._failure or reason
        self._pass_on(signal.SIGTERM)

    def _pass_on(self, number: int, _frame: FrameType | None = None) -> None:
        self._stopping = True
        for connection, (_, worker) in list(self._workers.items()):
            # One that still starts knows SIGTERM alone.
            wanted = signal.SIGTERM if connection in self._starting else number
            with suppress(ProcessLookupError):
                os.kill(worker.pid or 0, wanted)


def _work(
    settings: ServiceSettings,
    reference: str,
    listener: socket.socket,
    worker_status: WorkerStatus,
    messages: Connection,
) -> None:
    # A terminal's Ctrl-C comes through the parent alone: twice would be an order to hurry.
    os.setpgrp()
    from mlchassis.serving.server.server import run_server

    try:
        # Routers cannot be sent to another process, so each worker imports the service itself.
        service = load_service(reference)
        run_server(settings, service, listener, lambda: messages.send_bytes(b""), worker_status)
    except ProjectError as error:
        messages.send_bytes(str(error).encode())
