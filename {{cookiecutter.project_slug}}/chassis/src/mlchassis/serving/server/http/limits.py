"""Limits of connections: bytes of headers, seconds of silence, number of connections."""

import resource
from collections.abc import Callable
from dataclasses import dataclass, field

from mlchassis.config.settings import ServiceSettings

MAX_HEADER_BYTES = 64 * 1024
"""Of a request's headers; also of what frames a chunk, and of trailers."""
BUFFERED_BODY_BYTES = 64 * 1024
"""Of a body that the application has not taken; then reading pauses."""
KEPT_BODY_BYTES = 64 * 1024
"""Of a body that is discarded so that its connection can be kept."""
LINGER_SECONDS = 5.0
"""Time to discard what a client still sends after its response, so that it can read that."""
MIN_LINGER_BYTES = 16 * 1024 * 1024
MIN_SEND_RATE = 64 * 1024
"""Bytes a second at which a client has to take a response, on top of `send_seconds`."""
_MAX_CONNECTIONS = 10_000
_MAX_ACCEPTS = 128


def _count_nothing(status: int) -> None:
    del status


@dataclass
class ConnectionLimits:
    """Limits of all connections of a process.

    Attributes:
        max_connections: Open connections; a further one gets 503.
        max_accepts: Connections that are accepted before the first of them is counted.
        read_seconds: Time to receive a request's headers.
        message_seconds: Time to receive all of a request.
        send_seconds: Time for a client to take what its connection has sent, besides the time that
            its size allows.
        linger_bytes: Bytes that are discarded after the last response of a connection.
        lingering_refusals: Connections beyond the limit whose 503 is on its way.
        stopping: True if each response is the last one of its connection.
        count_rejection: Called with the status of each response that no application gave.
    """

    max_connections: int
    max_accepts: int
    read_seconds: float
    message_seconds: float
    send_seconds: float
    linger_bytes: int
    lingering_refusals: int = 0
    stopping: bool = False
    count_rejection: Callable[[int], None] = field(default=_count_nothing)

    @property
    def max_lingering_refusals(self) -> int:
        """Connections beyond the limit that may wait for their client at once."""
        return max(1, self.max_connections // 10)


def make_limits(settings: ServiceSettings) -> ConnectionLimits:
    """Return the limits that follow from the settings and from the number of descriptors."""
    descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return ConnectionLimits(
        max_connections=count_connections(descriptors),
        max_accepts=count_accepts(descriptors),
        read_seconds=settings.deadline_seconds,
        # The application's own deadline comes first, and has a response.
        message_seconds=2 * settings.deadline_seconds,
        send_seconds=2 * settings.deadline_seconds,
        linger_bytes=max(MIN_LINGER_BYTES, 8 * settings.max_body_bytes),
    )


def count_connections(descriptors: int) -> int:
    """Return how many connections leave room for files, and for clients that get 503."""
    if descriptors == resource.RLIM_INFINITY:
        return _MAX_CONNECTIONS
    return max(1, min(_MAX_CONNECTIONS, descriptors * 2 // 3))


def count_accepts(descriptors: int) -> int:
    """Return how many connections to accept at once without running out of descriptors.

    asyncio accepts that many before a protocol can refuse one, and closes those on its next turn:
    twice the number is open for a moment. Where `accept` fails, it logs a line for each.
    """
    if descriptors == resource.RLIM_INFINITY:
        return _MAX_ACCEPTS
    return max(1, min(_MAX_ACCEPTS, descriptors // 16))
