"""One connection: HTTP that cannot be read is answered like any other problem, and is bounded."""

import asyncio
import os
from typing import Any

from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from mlchassis.serving.problems import REQUEST_REFUSED, ProblemError, render_problem

MOST_HEADER_BYTES = 64 * 1024
Headers = list[tuple[bytes, bytes]]


class Connection(HttpToolsProtocol):
    """uvicorn's connection, with a limit on the request head and a fast path for predictions.

    A request that may take the fast path waits for its body as long as the bytes last that just
    arrived. Where they do not bring all of it, or it turns out not to be plain, it becomes the task
    that uvicorn makes of every request.
    """

    _awaits_headers = False
    _header_bytes = 0
    _begins = False
    _waiting: tuple[RequestResponseCycle, Any] | None = None
    _taken: Any = None

    def data_received(self, data: bytes) -> None:
        """Parses what arrived; the parser alone would keep headers without end."""
        waited = self._awaits_headers
        super().data_received(data)
        if self._waiting is not None:
            self._enter()
        if self._taken is not None:
            self.app.shortcut.begin()
        if waited and self._awaits_headers:
            self._header_bytes += len(data)
            if self._header_bytes > MOST_HEADER_BYTES and not self.transport.is_closing():
                self.send_400_response("The request's headers are too large.")

    def on_message_begin(self) -> None:
        """A request begins."""
        self._awaits_headers, self._header_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Its headers are whole; how many requests came before it and are not answered is noted."""
        self._awaits_headers, self._begins = False, True
        callers = getattr(getattr(self.app, "shortcut", None), "callers", ())
        self.scope["ahead"] = len(self.tasks) + len(callers)  # type: ignore[typeddict-unknown-key]
        super().on_headers_complete()
        self._begins = False

    def on_message_complete(self) -> None:
        """Its body is whole."""
        super().on_message_complete()
        if self._waiting is not None:
            self._enter()

    def _enter(self) -> None:
        self._taken, self._waiting = self._waiting, None
        self.app.shortcut.enter(self)

    @property
    def request(self) -> Scope:
        """ASGI scope of the request."""
        scope: Scope = self._taken[0].scope
        return scope

    def read(self) -> bytes | None:
        """Its body where that is whole; else it is for who can wait, and for how long."""
        cycle = self._taken[0]
        return None if cycle.more_body or not cycle.keep_alive else bytes(cycle.body)

    def write(self, status: int, headers: Headers, body: bytes) -> None:
        """Answers it, in one write."""
        cycle = self._taken[0]
        lines = [b"%s: %s\r\n" % pair for pair in (*self.server_state.default_headers, *headers)]
        if not cycle.disconnected:
            self.transport.write(b"".join([STATUS_LINE[status], *lines, b"\r\n", body]))
        cycle.response_started = cycle.response_complete = True
        self.on_response_complete()

    def on_response_complete(self) -> None:
        """Its answer is written: nobody waits for it any more, though its task is not gone yet."""
        self.tasks.discard(asyncio.current_task())
        super().on_response_complete()

    def go_the_long_way(self) -> None:
        """Makes it the task that uvicorn makes of every request."""
        super()._start_asgi_task(*self._taken)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        # What was queued behind another request is not begun by its headers, and so does not wait.
        if self._begins and self._may_wait(cycle):
            self._waiting = (cycle, app)
        else:
            super()._start_asgi_task(cycle, app)

    def _may_wait(self, cycle: RequestResponseCycle) -> bool:
        shortcut = getattr(self.app, "shortcut", None)
        return (
            shortcut is not None
            and shortcut.takes(cycle.scope)
            and cycle.keep_alive
            and not cycle.waiting_for_100_continue
            and not self.flow.write_paused
            and not self.parser.should_upgrade()
        )

    def send_400_response(self, msg: str) -> None:
        """Refuses what is no HTTP, and closes: where the next request begins cannot be told."""
        request_id = os.urandom(16).hex()
        headers = {"Connection": "close", "X-Request-ID": request_id}
        problem = ProblemError(REQUEST_REFUSED, msg, headers)
        root = getattr(self.app, "root_path", "")
        answer = render_problem(problem, {"request_id": request_id, "path": "", "root_path": root})
        head = [b"HTTP/1.1 400 Bad Request", *(b": ".join(pair) for pair in answer.raw_headers)]
        self.transport.write(b"\r\n".join([*head, b"", bytes(answer.body)]))
        self.transport.close()
