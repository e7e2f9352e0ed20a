"""The server of one process: its signals, its end, and where its logs go."""

import asyncio
import gc
import logging
import math
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from multiprocessing import parent_process
from types import FrameType
from typing import cast

import uvicorn
from fastapi import FastAPI
from structlog.typing import FilteringBoundLogger

from mlchassis.config.settings import ServiceSettings
from mlchassis.features.code import load_feature_code
from mlchassis.serving.app import create_app
from mlchassis.serving.loading import ModelHolder, load_model
from mlchassis.serving.logs.operational import StructuredHandler, make_logger
from mlchassis.serving.server.http.connection import Connection
from mlchassis.serving.server.http.limits import ConnectionLimits, make_limits
from mlchassis.serving.server.worker_status import WorkerStatus
from mlchassis.serving.service import Service

_BACKLOG = 128
"""Connections that wait in the kernel to be accepted."""


def run_server(
    settings: ServiceSettings,
    service: Service,
    listener: socket.socket,
    announce: Callable[[], None],
    worker_status: WorkerStatus | None = None,
) -> None:
    """Serve in this process until it is told to stop, then finish accepted requests.

    Args:
        settings: Limits and places.
        service: The project's objects.
        listener: A bound socket; several processes may share it.
        announce: Called once requests are answered.
        worker_status: Shared status of all worker processes.

    Raises:
        ProjectError: Nothing is deployed, the bundle must not be served, or its log not written.
    """
    logger = make_logger(sys.stdout)
    _forward_logs(logger)
    features = load_feature_code(service.features)
    model = load_model(settings.store, features, settings.max_rows, settings.model_threads)
    app = create_app(settings, model, logger=logger, worker_status=worker_status, service=service)
    limits = make_limits(settings)
    limits.count_rejection = app.state.metrics.count_rejection
    config = _configure(app, limits, settings)
    server = _Server(config, app.state.holder, settings.shutdown_delay_seconds, limits, announce)
    # What lives as long as the process need not be looked through for garbage ever again.
    gc.collect()
    gc.freeze()
    # Answers hold no cycles: there is no need to search for some every few requests.
    gc.set_threshold(20_000)
    # uvicorn raises the signal again when it is done: an orderly end is not a failure. A signal
    # that comes before uvicorn listens for it must not be lost either.
    signal.signal(signal.SIGTERM, server.handle_exit)
    with suppress(KeyboardInterrupt):
        server.run(sockets=[listener])


def _configure(app: FastAPI, limits: ConnectionLimits, settings: ServiceSettings) -> uvicorn.Config:
    """Return uvicorn's configuration: our HTTP protocol class, asyncio, and no log of its own."""
    connection = partial(Connection, limits=limits, root_path=settings.root_path)
    return uvicorn.Config(
        app,
        # By default, uvicorn takes uvloop where another package has installed it.
        loop="asyncio",
        http=cast("type[asyncio.Protocol]", connection),
        backlog=limits.max_accepts,
        log_config=None,
        access_log=False,
        lifespan="on",
        ws="none",
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=settings.drain_seconds,
    )


class _Server(uvicorn.Server):
    """uvicorn's server, which says when it answers, and when it will stop.

    Args:
        shutdown_delay: Seconds to serve after SIGTERM while `/health/ready` returns
            503. Stock uvicorn closes its listeners at once, before a load balancer can react.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        holder: ModelHolder,
        shutdown_delay: float,
        limits: ConnectionLimits,
        announce: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._holder = holder
        self._shutdown_delay = shutdown_delay
        self._limits = limits
        self._announce = announce
        self._end = math.inf

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Delay the shutdown after the first SIGTERM; a second one, or SIGINT, stops at once."""
        if sig == signal.SIGTERM and self._shutdown_delay and not self._holder.stopping:
            self._end = time.monotonic() + self._shutdown_delay
        else:
            super().handle_exit(sig, frame)
        self._holder.stopping = True
        # A client that keeps its connection would else send the next request into the end of it.
        self._limits.stopping = True

    async def on_tick(self, counter: int) -> bool:
        """True after the shutdown delay or when the parent is gone; polled every 100 ms."""
        parent = parent_process()
        orphaned = parent is not None and not parent.is_alive()
        return await super().on_tick(counter) or orphaned or time.monotonic() >= self._end

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in sockets or []:
            # asyncio has one number for its turns of `accept` and for the kernel's queue.
            listener.listen(_BACKLOG)
        self._announce()


def _forward_logs(logger: FilteringBoundLogger) -> None:
    """Forward uvicorn's and asyncio's warnings and errors to the service's log."""
    handler = StructuredHandler(logger)
    for name in ("uvicorn", "asyncio", "mlchassis.serving"):
        logging.getLogger(name).addHandler(handler)
