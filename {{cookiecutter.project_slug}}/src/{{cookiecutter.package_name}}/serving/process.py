"""The service as a process: its port, its signals, its server."""

import logging
import math
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

import uvicorn
from structlog.typing import FilteringBoundLogger

from ..errors import ProjectError
from ..settings import ServiceSettings
from ..telemetry import silence_telemetry
from .app import create_app
from .connection import Connection
from .logs import StructuredHandler, make_logger
from .served import Champion


def serve(settings: ServiceSettings) -> None:
    """Serves until SIGTERM or SIGINT, then lets accepted requests finish.

    Raises:
        ProjectError: The port is taken, nothing is deployed, or the bundle must not be served.
    """
    silence_telemetry()
    logger = make_logger(sys.stdout)
    with _listener(settings.host, settings.port) as listener, _forwarded_logs(logger):
        app = create_app(settings, logger=logger)
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
        server = _Server(config, logger, app.state.champion, settings.linger_seconds)
        # uvicorn raises the signal again when it is done: an orderly end is no failure.
        with _ignored(signal.SIGTERM), suppress(KeyboardInterrupt):
            server.run(sockets=[listener])
        logger.info("stopped")


class _Server(uvicorn.Server):
    """uvicorn's server, which says where it listens once it does, and when it will stop.

    Args:
        linger_seconds: How long to answer on after SIGTERM, while `/health/ready` says no: stock
            uvicorn closes its listeners at once, before whoever sends requests can know.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        logger: FilteringBoundLogger,
        champion: Champion,
        linger_seconds: float,
    ) -> None:
        super().__init__(config)
        self._logger = logger
        self._champion = champion
        self._linger = linger_seconds
        self._end = math.inf

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Lingers after the first SIGTERM; a second one, or SIGINT, is an order."""
        if sig == signal.SIGTERM and self._linger and not self._champion.stopping:
            self._end = time.monotonic() + self._linger
        else:
            super().handle_exit(sig, frame)
        self._champion.stopping = True

    async def on_tick(self, counter: int) -> bool:
        """Whether the time has come; uvicorn asks ten times a second."""
        return await super().on_tick(counter) or time.monotonic() >= self._end

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in sockets or []:
            self._logger.info("serving", url=_url(listener))


@contextmanager
def _listener(host: str, port: int) -> Iterator[socket.socket]:
    """A socket bound to the address, before anything slow is done."""
    try:
        listener = _bind(host, port)
    except OSError as error:
        raise ProjectError(
            f"The service cannot listen on {host} port {port} ({error.strerror or error}); stop "
            "what listens there, or name another with HOST= and PORT= (SERVICE_HOST, SERVICE_PORT)."
        ) from None
    with listener:
        yield listener


def _bind(host: str, port: int) -> socket.socket:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, kind, protocol, _, address = found[0]
    listener = socket.socket(family, kind, protocol)
    try:
        # Without it, the port of a service that just ended is taken for another minute.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError:
        listener.close()
        raise
    return listener


@contextmanager
def _forwarded_logs(logger: FilteringBoundLogger) -> Iterator[None]:
    """Sends uvicorn's and asyncio's warnings and errors where ours go."""
    handler = StructuredHandler(logger)
    sources = [logging.getLogger(name) for name in ("uvicorn", "asyncio")]
    for source in sources:
        source.addHandler(handler)
    try:
        yield
    finally:
        for source in sources:
            source.removeHandler(handler)


@contextmanager
def _ignored(number: signal.Signals) -> Iterator[None]:
    before = signal.signal(number, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(number, before)


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
