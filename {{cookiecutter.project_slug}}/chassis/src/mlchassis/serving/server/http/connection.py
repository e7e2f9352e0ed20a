"""One connection: HTTP/1.1 within limits that hold while bytes arrive.

uvicorn's server takes this class as its HTTP protocol, by `Config(http=...)`. It has what uvicorn's
own has no setting for: bounded headers, chunk framing and trailers, a time limit from the first
byte of a request to the last, a time limit for a client to take its response, a limit of
connections with 503, a problem document for what is not HTTP, one write per response, and a
lingering close, so that a client that still sends its body can read why that was refused.
"""

import asyncio
import math
from collections import deque
from contextlib import suppress
from typing import Any

import httptools
from starlette.types import Scope
from uvicorn import Config

from mlchassis.serving.problems import ProblemError
from mlchassis.serving.server.http.exchange import Exchange, Headers
from mlchassis.serving.server.http.framing import (
    decode_path,
    parse_body,
    read_address,
    read_framing,
    split_read,
    split_target,
)
from mlchassis.serving.server.http.limits import (
    BUFFERED_BODY_BYTES,
    LINGER_SECONDS,
    MAX_HEADER_BYTES,
    MIN_SEND_RATE,
    ConnectionLimits,
)
from mlchassis.serving.server.http.refusals import (
    refuse_connection,
    refuse_request,
    write_refusal,
)

_WATCH_SECONDS = 5.0
"""Interval at which a connection looks at its deadline: one timer for all its requests."""


class Connection(asyncio.Protocol):
    """A client's connection.

    Args:
        config: uvicorn's configuration, with the application.
        server_state: uvicorn's sets of connections and tasks, which its shutdown waits for.
        app_state: State of the application's lifespan.
        limits: Limits of all connections.
        root_path: Prefix of a proxy, for problem documents.
    """

    _in_headers = False
    _progress = False
    _paused = False
    _last = False
    _lingering = False
    _refused = False
    _running = False
    _skips_body = False
    _target = b""
    _framing_bytes = 0
    _discarded_bytes = 0

    def __init__(
        self,
        config: Config,
        server_state: Any,
        app_state: dict[str, Any],
        limits: ConnectionLimits,
        root_path: str = "",
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        if not config.loaded:
            config.load()
        self._config = config
        self._state = server_state
        self._app_state = app_state
        self._limits = limits
        self._root_path = root_path
        self._loop = _loop or asyncio.get_running_loop()
        self._parser: Any = httptools.HttpRequestParser(self)
        # What follows a request with `Connection: close` is ignored, not an error.
        self._parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._exchanges: deque[Exchange] = deque()
        self._current: Exchange | None = None
        self._unread: deque[bytes] = deque()
        self._headers: list[tuple[bytes, bytes]] = []
        self._problem: ProblemError | None = None
        self._deadline = math.inf
        self._send_deadline = math.inf
        self._watch: asyncio.TimerHandle | None = None
        self._writable: asyncio.Future[None] | None = None

    # The interface of asyncio.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, or refuse one connection too many."""
        self._transport: Any = transport
        self._server = read_address(transport, "sockname")
        self._client = read_address(transport, "peername")
        self._set_deadline(self._limits.read_seconds)
        self._check_deadline()
        if len(self._state.connections) >= self._limits.max_connections:
            self._refuse_connection()
        else:
            self._state.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - of the interface
        """End all that waits for the client."""
        self._state.connections.discard(self)
        if self._refused:
            self._limits.lingering_refusals -= 1
        for exchange in self._exchanges:
            exchange.disconnect()
        self._unread.clear()
        self._release_writers()
        self._parser = None
        if self._watch is not None:
            self._watch.cancel()

    def data_received(self, data: bytes) -> None:
        """Parse what arrived."""
        if self._lingering:
            self._discard(len(data))
        elif not self._last:
            self._unread.extend(split_read(data))
            self._parse()

    def eof_received(self) -> bool:
        """Answer what was sent whole: a client may close its half before it reads."""
        current = self._current
        if self._lingering or not self._exchanges or current is not None:
            return False
        self._last = True
        self._exchanges[-1].keep_alive = False
        return True

    def pause_writing(self) -> None:
        """Let responses and further requests wait for a slow client."""
        self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        """Let responses and requests continue."""
        self._release_writers()
        if not (self._running or self._lingering or self._transport.is_closing()):
            self._proceed()

    # The interface of uvicorn's server.

    def shutdown(self) -> None:
        """Close now if no request is in progress, and else after its response."""
        if not self._exchanges:
            self._transport.close()
        for exchange in self._exchanges:
            exchange.keep_alive = False

    # The interface of httptools' parser.

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._target = b""
        self._headers = []
        self._in_headers = True
        self._framing_bytes = 0
        self._set_deadline(self._limits.read_seconds)

    def on_url(self, url: bytes) -> None:
        """Take a part of its target."""
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; trailers are dropped."""
        if self._in_headers:
            self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Start the application, or queue the request behind the one before it."""
        self._in_headers = False
        self._progress = True
        self._set_deadline(self._limits.message_seconds)
        if self._last:
            return
        version = self._parser.get_http_version()
        framing = read_framing(self._headers, version)
        reusable = version == "1.1" and self._parser.should_keep_alive()
        # The parser leaves the rest to another protocol, which nobody here speaks.
        upgrades = self._parser.should_upgrade()
        self._skips_body = upgrades and framing.length != 0
        self._current = Exchange(
            self,
            self._make_scope(version),
            keep_alive=reusable and not upgrades,
            expects_continue=framing.expects_continue,
            body_length=framing.length,
        )
        self._exchanges.append(self._current)
        if len(self._exchanges) == 1:
            self._start(self._current)

    def on_body(self, body: bytes) -> None:
        """Take a part of its body."""
        self._progress = True
        if self._current is not None:
            self._current.add_body(body)
            if len(self._current.body) > BUFFERED_BODY_BYTES:
                self._pause()

    def on_message_complete(self) -> None:
        """End the request."""
        if self._skips_body:
            return
        self._progress = True
        self._deadline = math.inf
        current = self._current
        self._current = None
        if current is None:
            return
        current.complete_body()
        if not current.keep_alive:
            self._last = True
        if current.finished:
            self._set_deadline(self._config.timeout_keep_alive)

    # The interface of exchanges.

    @property
    def default_headers(self) -> Headers:
        """Headers of each response."""
        headers: Headers = self._state.default_headers
        return headers

    @property
    def stopping(self) -> bool:
        """True if each response is the last one of its connection."""
        return self._limits.stopping

    def write(self, data: bytes) -> None:
        """Send bytes, unless the client is gone."""
        if self._transport.is_closing():
            return
        self._transport.write(data)
        unsent = self._transport.get_write_buffer_size()
        if unsent:
            self._limit_sending(unsent, len(data))

    def read_on(self) -> None:
        """Continue to read where a body was too large for the buffer."""
        if len(self._exchanges) <= 1:
            self._resume()

    async def drain(self) -> None:
        """Wait until the client has taken most of what was written."""
        if self._writable is not None:
            await self._writable

    def finish(self, exchange: Exchange) -> None:
        """Continue with the next request, or close."""
        if not self._exchanges or self._exchanges[0] is not exchange:
            return
        self._exchanges.popleft()
        self._running = False
        self._state.total_requests += 1
        if self._transport.is_closing():
            return
        if not exchange.keep_alive:
            self._close(exchange)
            return
        if exchange.body_complete and not self._exchanges:
            self._set_deadline(self._config.timeout_keep_alive)
        if self._writable is None:
            self._proceed()

    # Parts of the above.

    def _proceed(self) -> None:
        """Start the next request; where none waits, refuse what followed, or read on."""
        if self._exchanges:
            self._start(self._exchanges[0])
        elif self._problem is not None:
            self._write_problem()
        else:
            self._resume()
            self._parse()

    def _parse(self) -> None:
        """Parse what was read, until a request has to wait for the response before it."""
        while self._unread and self._can_parse():
            self._feed(self._unread.popleft())
        if self._unread:
            self._pause()

    def _can_parse(self) -> bool:
        """True if a request is in progress alone, or the client takes its responses."""
        if self._last or self._problem or len(self._exchanges) > 1:
            return False
        return self._current is not None or self._writable is None

    def _release_writers(self) -> None:
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    def _feed(self, piece: bytes) -> None:
        self._progress = False
        try:
            self._parser.feed_data(piece)
        except httptools.HttpParserUpgrade as upgrade:
            self._ignore_upgrade(piece[upgrade.args[0] :])
            return
        except httptools.HttpParserError:
            self._refuse("The request is not valid HTTP/1.1.")
            return
        if self._progress and not self._in_headers:
            self._framing_bytes = 0
            return
        # Headers, or what frames a body: the parser alone would keep it without end.
        self._framing_bytes += len(piece)
        if self._framing_bytes >= MAX_HEADER_BYTES:
            self._refuse("The request's headers are too large.")

    def _ignore_upgrade(self, rest: bytes) -> None:
        """Answer by HTTP/1.1, as a server without the other protocol may; read the body for that.

        Args:
            rest: Bytes behind the headers.
        """
        if not self._skips_body or self._current is None:
            self._last = True
            return
        self._skips_body = False
        self._parser = parse_body(self, self._current.body_length)
        if rest:
            self._unread.appendleft(rest)

    def _make_scope(self, version: str) -> Scope:
        raw_path, query = split_target(self._target)
        root = self._config.root_path
        return {
            "type": "http",
            "asgi": {"version": self._config.asgi_version, "spec_version": "2.3"},
            "http_version": version,
            "server": self._server,
            "client": self._client,
            "scheme": "http",
            "method": self._parser.get_method().decode("ascii"),
            "root_path": root,
            "path": root + decode_path(raw_path),
            "raw_path": root.encode("ascii") + raw_path,
            "query_string": query,
            "headers": self._headers,
            "state": self._app_state.copy(),
        }

    def _start(self, exchange: Exchange) -> None:
        self._running = True
        task = self._loop.create_task(self._run(exchange))
        self._state.tasks.add(task)

    async def _run(self, exchange: Exchange) -> None:
        try:
            await exchange.run(self._config.loaded_app)
        finally:
            self._state.tasks.discard(asyncio.current_task())

    def _refuse(self, detail: str) -> None:
        """Refuse what cannot be parsed, after the responses to what came before."""
        self._problem = refuse_request(detail)
        current = self._current
        if current is not None:
            current.disconnect()
            with suppress(ValueError):
                self._exchanges.remove(current)
        if current is not None and current.started:
            # The client has a response to this request, or a part of one.
            self._linger()
        elif not self._exchanges:
            self._write_problem()

    def _write_problem(self) -> None:
        if self._problem is not None:
            self._send_refusal(self._problem)
        self._linger()

    def _refuse_connection(self) -> None:
        if self._limits.lingering_refusals >= self._limits.max_lingering_refusals:
            self._transport.abort()
            return
        self._limits.lingering_refusals += 1
        self._refused = True
        self._send_refusal(refuse_connection())
        self._linger()

    def _send_refusal(self, problem: ProblemError) -> None:
        self.write(write_refusal(problem, self._root_path))
        self._limits.count_rejection(problem.kind.status)

    def _close(self, exchange: Exchange) -> None:
        """Close after a response; where the client still sends, let it read that first."""
        if exchange.body_complete and not self._unread:
            self._last = True
            self._transport.close()
        else:
            self._linger()

    def _linger(self) -> None:
        """End the responses, and discard what still arrives within limits of time and size."""
        self._last = True
        self._lingering = True
        self._unread.clear()
        self._set_deadline(LINGER_SECONDS)
        with suppress(OSError, NotImplementedError):
            self._transport.write_eof()
        self._resume()

    def _discard(self, count: int) -> None:
        self._discarded_bytes += count
        if self._discarded_bytes > self._limits.linger_bytes:
            self._transport.abort()

    def _set_deadline(self, seconds: float) -> None:
        self._deadline = self._loop.time() + seconds

    def _limit_sending(self, unsent: int, added: int) -> None:
        """Extend the time within which the client must have taken all that was written."""
        if unsent <= added:
            # Nothing was waiting before.
            self._send_deadline = self._loop.time() + self._limits.send_seconds
        self._send_deadline += min(unsent, added) / MIN_SEND_RATE

    def _check_deadline(self) -> None:
        now = self._loop.time()
        left = self._deadline - now
        if self._transport.get_write_buffer_size():
            left = self._check_sending(now)
        if left <= 0:
            self._expire()
        pause = min(_WATCH_SECONDS, max(left, 0.1))
        self._watch = self._loop.call_later(pause, self._check_deadline)

    def _check_sending(self, now: float) -> float:
        """Return the time left for a connection whose client has not taken all of a response."""
        if not (self._exchanges or self._lingering):
            # What the client sends next is not read before it has the response.
            idle = self._config.timeout_keep_alive
            self._set_deadline(self._limits.read_seconds if self._in_headers else idle)
        return min(self._send_deadline, self._deadline) - now

    def _expire(self) -> None:
        """Close; abort where that was tried, or where the client does not take part."""
        if self._transport.is_closing() or self._lingering or self._current is not None:
            self._transport.abort()
        else:
            self._transport.close()

    def _pause(self) -> None:
        if not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def _resume(self) -> None:
        if self._paused and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()
