"""Reject requests whose head is ambiguous, too large, or addressed to another host."""

import re
from collections.abc import Sequence

from starlette.types import ASGIApp, Receive, Scope, Send

from mlchassis.serving.auth import HEALTH_PATHS, local_path
from mlchassis.serving.problems import (
    MISDIRECTED,
    REQUEST_REJECTED,
    ProblemError,
    ProblemKind,
    render_problem,
)

MAX_HEADER_BYTES = 64 * 1024
_HOST = re.compile(rb"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9._-]*)(:[0-9]*)?")
_SEPARATORS = 4
"""Bytes between and behind a header's name and value."""


class RequestGuard:
    """ASGI middleware with the checks of RFC 9112 that a server may leave out, and of the host.

    Args:
        allowed_hosts: Host names of the service: exact, `*.example.org` for subdomains, or `*`.
            Health endpoints answer to every name, without details: probes use addresses.
    """

    def __init__(self, app: ASGIApp, allowed_hosts: Sequence[str]) -> None:
        names = [name.lower() for name in allowed_hosts]
        self._app = app
        self._any_host = "*" in names
        self._exact = frozenset(name for name in names if "*" not in name)
        self._suffixes = tuple(name[1:] for name in names if name.startswith("*."))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it with a problem."""
        if scope["type"] == "http":
            try:
                self.check(scope)
            except ProblemError as problem:
                await render_problem(problem, scope)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def check(self, scope: Scope) -> None:
        """Check the head of a request.

        Raises:
            ProblemError: It is malformed, or the host is not allowed.
        """
        size = 0
        hosts: list[bytes] = []
        for name, value in scope["headers"]:
            size += len(name) + len(value) + _SEPARATORS
            if name == b"host":
                hosts.append(value)
            elif name == b"transfer-encoding":
                _check_transfer_encoding(value, scope["http_version"])
        if size > MAX_HEADER_BYTES:
            raise _refuse(f"The headers are larger than {MAX_HEADER_BYTES} bytes.")
        if len(hosts) > 1 or (not hosts and scope["http_version"] != "1.0"):
            raise _refuse("A request has exactly one Host header.")
        self._check_host(scope, hosts[0] if hosts else b"")

    def _check_host(self, scope: Scope, value: bytes) -> None:
        if self._any_host or self.allows(_host_name(value)):
            return
        if local_path(scope) in HEALTH_PATHS:
            scope["anonymous"] = True
            return
        raise _refuse(
            "The service does not answer to this host name; SERVICE_ALLOWED_HOSTS lists those "
            "that it answers to.",
            MISDIRECTED,
        )

    def allows(self, host: str) -> bool:
        """Return True if a host name, without port and in lower case, is allowed."""
        return self._any_host or host in self._exact or host.endswith(self._suffixes)


def _check_transfer_encoding(value: bytes, http_version: str) -> None:
    if http_version == "1.0":
        raise _refuse("HTTP/1.0 has no Transfer-Encoding; send Content-Length.")
    if value.strip().lower() != b"chunked":
        raise _refuse("The only Transfer-Encoding that is read is chunked.")


def _host_name(value: bytes) -> str:
    """Return a Host header's name or address without its port; empty if it is malformed."""
    match = _HOST.fullmatch(value.lower())
    return "" if match is None else match["name"].decode("latin-1")


def _refuse(detail: str, kind: ProblemKind = REQUEST_REJECTED) -> ProblemError:
    # With the body unread, the connection cannot be used again.
    return ProblemError(kind, detail, {"Connection": "close"})
