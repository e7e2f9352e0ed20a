"""The service as a process: its port, and one server or several behind it."""

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from mlchassis.config.settings import ServiceSettings
from mlchassis.errors import ProjectError
from mlchassis.serving.logs.operational import make_logger
from mlchassis.serving.service import load_service
from mlchassis.telemetry import silence_telemetry


def serve(settings: ServiceSettings, reference: str) -> None:
    """Serve until SIGTERM or SIGINT, then finish accepted requests.

    Args:
        settings: Limits and places.
        reference: The project's `Service`, as "package.module:name".

    Raises:
        ProjectError: The port is taken, nothing is deployed, or the bundle must not be served.
    """
    silence_telemetry()
    logger = make_logger(sys.stdout)
    service = load_service(reference)
    with _listener(settings.host, settings.port) as listener:

        def announce() -> None:
            logger.info("serving", url=_url(listener))

        # Who only watches over workers needs nothing of what answers.
        if settings.workers > 1:
            from mlchassis.serving.server.workers import Supervisor

            Supervisor(settings, reference, listener, logger).run(announce)
        else:
            from mlchassis.serving.server.server import run_server

            run_server(settings, service, listener, announce)
        logger.info("stopped")


@contextmanager
def _listener(host: str, port: int) -> Iterator[socket.socket]:
    """A socket bound to the address, before anything slow is done."""
    try:
        listener = _bind(host, port)
    # A name with an empty or a long label cannot even be looked up.
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ProjectError(
            f"The service cannot listen on {host} port {port} ({reason}); stop "
            "what listens there, or name another with HOST= and PORT= (SERVICE_HOST, SERVICE_PORT)."
        ) from None
    with listener:
        yield listener


def _bind(host: str, port: int) -> socket.socket:
    addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, kind, protocol, _, address = addresses[0]
    listener = socket.socket(family, kind, protocol)
    try:
        # Without it, the port of a service that just ended is taken for another minute.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError:
        listener.close()
        raise
    return listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
