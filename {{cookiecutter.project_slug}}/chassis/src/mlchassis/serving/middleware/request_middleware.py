"""Middleware of each request: its id, metrics, access log, and a response to any error."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.typing import FilteringBoundLogger

from mlchassis.serving.logs.access_log import AccessEntry, AccessLog
from mlchassis.serving.metrics import Metrics
from mlchassis.serving.middleware.request_id import REQUEST_ID_HEADER, choose_request_id
from mlchassis.serving.middleware.trace_id import read_trace_id
from mlchassis.serving.problems import INTERNAL_ERROR, ProblemError, render_problem
from mlchassis.team_code.errors import list_frames

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


@dataclass(slots=True)
class _Exchange:
    """One request and the status of its response so far."""

    request_id: str
    send: Send
    status: int = 0
    started: float = field(default_factory=time.perf_counter)

    async def forward(self, message: Message) -> None:
        """Send a message on, with the request id among the headers."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            header = (REQUEST_ID_HEADER, self.request_id.encode("ascii"))
            message["headers"] = [*message.get("headers", ()), header]
        await self.send(message)


class RequestMiddleware:
    """ASGI middleware around the whole application.

    It adds to the scope `request_id`, `trace_id` (of a valid `traceparent`, else None) and
    `log_fields`, a dict of further fields for the access log's line.
    """

    def __init__(
        self, app: ASGIApp, metrics: Metrics, logger: FilteringBoundLogger, *, access_log: bool
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._logger = logger
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
        # An own route that calls `sys.exit` must not end the service.
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the client gets an answer
            self._log_failure(exchange, error, scope["log_fields"])
            await self._answer_failure(scope, receive, exchange)
        finally:
            self._record(exchange, scope)

    async def _answer_failure(self, scope: Scope, receive: Receive, exchange: _Exchange) -> None:
        if not exchange.status:
            detail = "The service failed on this request; its log says more under the request id."
            response = render_problem(ProblemError(INTERNAL_ERROR, detail), scope)
            await response(scope, receive, exchange.forward)

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
