"""One connection: HTTP that cannot be read is answered like any other problem, and is bounded."""

import os

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from .problems import REQUEST_REFUSED, ProblemError, render_problem

MOST_HEADER_BYTES = 64 * 1024


class Connection(HttpToolsProtocol):
    """uvicorn's connection, with a limit to what comes before a body."""

    _awaits_headers = False
    _header_bytes = 0

    def data_received(self, data: bytes) -> None:
        """Parses what arrived; the parser alone would keep headers without end."""
        waited = self._awaits_headers
        super().data_received(data)
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
        self._awaits_headers = False
        self.scope["ahead"] = len(self.tasks)  # type: ignore[typeddict-unknown-key]
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuses what is no HTTP, and closes: where the next request begins cannot be told."""
        request_id = os.urandom(16).hex()
        headers = {"Connection": "close", "X-Request-ID": request_id}
        problem = ProblemError(REQUEST_REFUSED, msg, headers)
        answer = render_problem(problem, {"request_id": request_id, "path": ""})
        head = [b"HTTP/1.1 400 Bad Request", *(b": ".join(pair) for pair in answer.raw_headers)]
        self.transport.write(b"\r\n".join([*head, b"", bytes(answer.body)]))
        self.transport.close()
