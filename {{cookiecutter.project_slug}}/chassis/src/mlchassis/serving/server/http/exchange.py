"""One request and its response, as ASGI sees them."""

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from starlette.types import ASGIApp, Message, Scope

from mlchassis.serving.problems import BODILESS
from mlchassis.serving.server.http.limits import KEPT_BODY_BYTES
from mlchassis.serving.server.http.refusals import write_status

LOGGER = logging.getLogger("mlchassis.serving")
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_ERROR = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"

Headers = Iterable[tuple[bytes, bytes]]


class Wire(Protocol):
    """The connection, as an exchange uses it."""

    @property
    def default_headers(self) -> Headers:
        """Headers of each response."""

    @property
    def stopping(self) -> bool:
        """True if each response is the last one of its connection."""

    def write(self, data: bytes) -> None:
        """Send bytes, unless the client is gone."""

    def read_on(self) -> None:
        """Continue to read where a body was too large for the buffer."""

    async def drain(self) -> None:
        """Wait until the client has taken most of what was written."""

    def finish(self, exchange: "Exchange") -> None:
        """Continue with the next request, or close."""


@dataclass(eq=False)
class Exchange:
    """One request and its response.

    Attributes:
        keep_alive: True if another request may follow on the connection.
        expects_continue: True if the client waits for 100 before it sends its body.
        body_length: Length of the body by its header; None if it is chunked.
        body_complete: True once all of the body arrived.
        started: True once the response began.
        finished: True once the response is written.
        client_left: True once nobody waits for the response.
    """

    wire: Wire
    scope: Scope
    keep_alive: bool
    expects_continue: bool
    body_length: int | None
    body: bytearray = field(default_factory=bytearray)
    body_complete: bool = False
    started: bool = False
    finished: bool = False
    client_left: bool = False
    _delivered: bool = False
    _waiter: asyncio.Future[None] | None = None
    _head: bytes = b""
    _chunked: bool = False
    _bodiless: bool = False
    _remaining: int = 0

    async def run(self, app: ASGIApp) -> None:
        """Call the application, and end the exchange whatever it does."""
        try:
            await app(self.scope, self.receive, self.send)
        except Exception as error:
            LOGGER.exception("Exception in ASGI application", exc_info=error)
            if not self.started:
                self.wire.write(_ERROR)
        # Also where the task is cancelled: the client would wait for ever.
        finally:
            if not self.finished:
                # The response is cut short: only the end of the connection can say so.
                self.finished = True
                self.keep_alive = False
                self.wire.finish(self)

    def add_body(self, data: bytes) -> None:
        """Take a part of the body."""
        if not self.finished:
            self.body += data
            self.wake()

    def complete_body(self) -> None:
        """Note that the body is whole."""
        self.body_complete = True
        self.wake()

    def disconnect(self) -> None:
        """Note that nobody waits for the response."""
        self.client_left = True
        self.wake()

    def wake(self) -> None:
        """Let the application look again."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def receive(self) -> Message:
        """Return the next part of the body, or that the client is gone."""
        if self.expects_continue and not self.started:
            self.expects_continue = False
            self.wire.write(_CONTINUE)
        while not self._has_news():
            self.wire.read_on()
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        if self.client_left or self.finished:
            return {"type": "http.disconnect"}
        body = bytes(self.body)
        self.body.clear()
        self._delivered = self.body_complete
        return {"type": "http.request", "body": body, "more_body": not self.body_complete}

    def _has_news(self) -> bool:
        if self.client_left or self.finished:
            return True
        return not self._delivered and (bool(self.body) or self.body_complete)

    async def send(self, message: Message) -> None:
        """Write a part of the response.

        Raises:
            RuntimeError: The message is not one that ASGI allows here.
        """
        if self.client_left:
            return
        if message["type"] == "http.response.start" and not self.started:
            self._start(message["status"], message.get("headers", ()))
        elif message["type"] == "http.response.body" and self.started and not self.finished:
            self._write_body(message.get("body", b""), more=message.get("more_body", False))
            await self.wire.drain()
        else:
            raise RuntimeError(f"Unexpected ASGI message '{message['type']}'.")

    def _start(self, status: int, headers: Headers) -> None:
        """Make the head, which is written with the first part of the body."""
        length: int | None = None
        lines = []
        closes = False
        for name, value in (*self.wire.default_headers, *headers):
            lines.append(b"%b: %b" % (name, value))
            lowered = name.lower()
            if lowered == b"content-length":
                length = int(value)
            elif lowered == b"connection" and b"close" in value.lower():
                closes = True
        self._bodiless = status in BODILESS or self.scope["method"] == "HEAD"
        sized = self._bodiless or length is not None
        self._chunked = not sized and self.scope["http_version"] == "1.1"
        if self._chunked:
            lines.append(b"transfer-encoding: chunked")
        if closes or self.wire.stopping or not (self._can_keep() and (sized or self._chunked)):
            self.keep_alive = False
        if not (self.keep_alive or closes):
            lines.append(b"connection: close")
        self._remaining = 0 if self._bodiless else length or 0
        head = b"\r\n".join(lines)
        if head.count(b"\n") != len(lines) - 1 or head.count(b"\r") != len(lines) - 1:
            raise RuntimeError("A response header holds a line end.")
        self.started = True
        self._head = write_status(status) + head + b"\r\n\r\n"

    def _can_keep(self) -> bool:
        """True if what is left of the body is small enough to be discarded."""
        if self.body_complete:
            return True
        small = self.body_length is not None and self.body_length <= KEPT_BODY_BYTES
        return small and not self.expects_continue

    def _write_body(self, body: bytes, *, more: bool) -> None:
        if self._bodiless:
            body = b""
        elif self._chunked:
            body = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            body += b"" if more else b"0\r\n\r\n"
        else:
            self._remaining -= len(body)
        self.wire.write(self._head + body)
        self._head = b""
        if not more:
            self.finished = True
            # A body of another length than announced leaves the client out of step.
            self.keep_alive = self.keep_alive and self._remaining == 0
            self.wire.finish(self)
