"""Middleware of each request: its id, metrics, access log, and a response to any error."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.typing import FilteringBoundLogger

from mlchassis.serving.logs.access_log import AccessEntry, AccessLog
from mlchassis.serving.metrics import Metrics
from mlchassis.serving.middleware.request_id import REQUEST_ID_HEADER, choose_request_id
from mlchassis.serving.middleware.trace_id import read_trace_id
from mlchassis.serving.problems import INTERNAL_ERROR, RETRY_SOON, STOPPING, ProblemError
from mlchassis.team_code.errors import list_frames

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_FAILED = ProblemError(
    INTERNAL_ERROR, "The service failed on this request; its log says more under the request id."
)
_STOPPED = ProblemError(STOPPING, "The service stopped before the response was ready.", RETRY_SOON)


class NoResponseError(Exception):
    """The application returned without a response."""


@dataclass(slots=True)
class _Exchange:
    """One request and the status of its response, 0 before it has begun."""

    request_id: str
    send: Send
    status: int = 0
    started: float = field(default_factory=time.perf_counter)
    _start: Message | None = None

    async def forward(self, message: Message) -> None:
        """Send a message on, with the request id among the headers.

        The start of a response waits for the first part of its body: if that fails, the client
        gets a problem instead.
        """
        if message["type"] == "http.response.start" and not self.status:
            header = (REQUEST_ID_HEADER, self.request_id.encode("ascii"))
            message["headers"] = [*message.get("headers", ()), header]
            self._start = message
            return
        if self._start is not None:
            start = self._start
            self._start = None
            await self.send(start)
            self.status = start["status"]
        await self.send(message)


class RequestMiddleware:
    """ASGI middleware around the whole application.

    It adds to the scope `request_id`, `trace_id` (of a valid `traceparent`, else None) and
    `log_fields`, a dict of further fields for the access log's line.

    Args:
        metrics: Metrics that count every request.
        logger: Logger of the service.
        failures: Application that responds with the problem in `scope["problem"]`.
        access_log: True to log requests.
    """

    def __init__(
        self,
        app: ASGIApp,
        metrics: Metrics,
        logger: FilteringBoundLogger,
        failures: ASGIApp,
        *,
        access_log: bool,
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._logger = logger
        self._failures = failures
        self._access_log = AccessLog(logger, enabled=access_log)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application below, and record its answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(choose_request_id(scope["headers"]), send)
        trace_id = read_trace_id(scope["headers"])
        scope["request_id"] = exchange.request_id
        scope["trace_id"] = trace_id
        scope["log_fields"] = {} if trace_id is None else {"trace_id": trace_id}
        try:
            await self._app(scope, receive, exchange.forward)
            if not exchange.status:
                raise NoResponseError
        except ClientDisconnect:
            # Nobody waits for a response.
            return
        # An own route that calls `sys.exit` must not end the service.
        except (Exception, SystemExit, asyncio.CancelledError) as error:  # noqa: BLE001 - answered
            await self._answer_failure(error, scope, receive, exchange)
        finally:
            self._record(exchange, scope)

    async def _answer_failure(
        self, error: BaseException, scope: Scope, receive: Receive, exchange: _Exchange
    ) -> None:
        """Log a failure and answer its request, unless a part of a response was sent."""
        stopped = _is_stopped(error)
        if not stopped:
            self._log_failure(exchange, error, scope["log_fields"])
        if exchange.status:
            # The response is cut short, which its status does not show.
            exchange.status = INTERNAL_ERROR.status
        else:
            problem = _STOPPED if stopped else _FAILED
            await self._failures({**scope, "problem": problem}, receive, exchange.forward)
        if stopped:
            raise error

    def _record(self, exchange: _Exchange, scope: Scope) -> None:
        """Count a request that was answered, and log it."""
        seconds = time.perf_counter() - exchange.started
        method: str = scope["method"] if scope["method"] in _METHODS else "unknown"
        # A path that no route knows is the client's own text.
        route: str = getattr(scope.get("route"), "path", "unknown")
        self._metrics.count_request(route, method, exchange.status, seconds)
        fields = {
            "request_id": exchange.request_id,
            "status": exchange.status,
            "milliseconds": round(1000 * seconds, 3),
            **scope["log_fields"],
        }
        self._access_log.add(AccessEntry(method, route, fields))

    def _log_failure(
        self, exchange: _Exchange, error: BaseException, fields: Mapping[str, Any]
    ) -> None:
        # Not the message of the error: it may repeat a value of the request.
        self._logger.error(
            "failure",
            request_id=exchange.request_id,
            error=type(error).__name__,
            stack=[f"{frame.filename}:{frame.lineno} {frame.name}" for frame in list_frames(error)],
            **fields,
        )


def _is_stopped(error: BaseException) -> bool:
    """True if the server cancelled this request; False if own code let a cancellation escape."""
    task = asyncio.current_task()
    cancelled = isinstance(error, asyncio.CancelledError)
    return cancelled and task is not None and task.cancelling() > 0
