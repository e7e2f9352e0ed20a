"""The server of one process: its signals, its end, and where its logs go."""

import gc
import logging
import math
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import parent_process
from types import FrameType

import uvicorn
from structlog.typing import FilteringBoundLogger

from mlchassis.config.settings import ServiceSettings
from mlchassis.features.code import load_feature_code
from mlchassis.serving.app import create_app
from mlchassis.serving.batching.connection import Connection
from mlchassis.serving.loading import Champion, load_served_model
from mlchassis.serving.logs.operational import StructuredHandler, make_logger
from mlchassis.serving.server.worker_status import Roster
from mlchassis.serving.service import Service


def run_server(
    settings: ServiceSettings,
    service: Service,
    listener: socket.socket,
    announce: Callable[[], None],
    roster: Roster | None = None,
) -> None:
    """Serves in this process until it is told to stop, then lets accepted requests finish.

    Args:
        settings: Limits and places.
        service: The project's objects.
        listener: A bound socket; several processes may share it.
        announce: Called once requests are answered.
        roster: Shared status of all worker processes.

    Raises:
        ProjectError: Nothing is deployed, the bundle must not be served, or its log not written.
    """
    logger = make_logger(sys.stdout)
    _forward_logs(logger)
    features = load_feature_code(service.features)
    model = load_served_model(settings.store, features, settings.max_rows, settings.model_threads)
    app = create_app(settings, model, logger=logger, roster=roster, service=service)
    config = uvicorn.Config(
        app,
        http=Connection,
        log_config=None,
        access_log=False,
        lifespan="on",
        ws="none",
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=settings.drain_seconds,
    )
    server = _Server(config, app.state.champion, settings.linger_seconds, announce)
    # What lives as long as the process need not be looked through for garbage ever again.
    gc.collect()
    gc.freeze()
    # Answers hold no cycles: there is no need to search for some every few requests.
    gc.set_threshold(20_000)
    # uvicorn raises the signal again when it is done: an orderly end is no failure.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with suppress(KeyboardInterrupt):
        server.run(sockets=[listener])


class _Server(uvicorn.Server):
    """uvicorn's server, which says when it answers, and when it will stop.

    Args:
        linger_seconds: Shutdown delay: seconds to serve after SIGTERM while `/health/ready` returns
            503. Stock uvicorn closes its listeners at once, before a load balancer can react.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        champion: Champion,
        linger_seconds: float,
        announce: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._champion = champion
        self._linger = linger_seconds
        self._announce = announce
        self._end = math.inf

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Lingers after the first SIGTERM; a second one, or SIGINT, is an order."""
        if sig == signal.SIGTERM and self._linger and not self._champion.stopping:
            self._end = time.monotonic() + self._linger
        else:
            super().handle_exit(sig, frame)
        self._champion.stopping = True
        # A client that keeps its connection would else send the next request into the end of it.
        self.config.encoded_headers.append((b"connection", b"close"))
        self.server_state.default_headers.append((b"connection", b"close"))

    async def on_tick(self, counter: int) -> bool:
        """True after the shutdown delay or when the parent is gone; polled every 100 ms."""
        parent = parent_process()
        orphaned = parent is not None and not parent.is_alive()
        return await super().on_tick(counter) or orphaned or time.monotonic() >= self._end

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._announce()


def _forward_logs(logger: FilteringBoundLogger) -> None:
    """Sends uvicorn's and asyncio's warnings and errors where ours go."""
    handler = StructuredHandler(logger)
    for name in ("uvicorn", "asyncio"):
        logging.getLogger(name).addHandler(handler)
