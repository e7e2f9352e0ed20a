"""Around every request: its id, metrics, log line, and an answer even when all else fails."""

import random
import re
import time
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.typing import FilteringBoundLogger

from mlchassis.serving.metrics import Metrics
from mlchassis.serving.problems import INTERNAL_ERROR, ProblemError, render_problem

HEADER = b"x-request-id"
_SAFE_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_QUIET = frozenset({"/health/live", "/health/ready", "/metrics"})


def choose_request_id(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The client's own request id where it is harmless, else a new one."""
    offered = next((value for name, value in headers if name == HEADER), None)
    if offered is not None and _SAFE_ID.fullmatch(offered):
        return offered.decode("ascii")
    return f"{random.getrandbits(128):032x}"


@dataclass(slots=True)
class _Exchange:
    """One request and what has been answered so far."""

    request_id: str
    send: Send
    status: int = 0
    started: float = field(default_factory=time.perf_counter)

    async def forward(self, message: Message) -> None:
        """Sends on, with the request's id among the headers."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            header = (HEADER, self.request_id.encode("ascii"))
            message["headers"] = [*message.get("headers", ()), header]
        await self.send(message)


class Observation:
    """ASGI middleware around the whole application."""

    def __init__(
        self, app: ASGIApp, metrics: Metrics, logger: FilteringBoundLogger, *, access_log: bool
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._logger = logger
        self._access_log = access_log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Runs the application below, and accounts for what it did."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(choose_request_id(scope["headers"]), send)
        scope["request_id"] = exchange.request_id
        try:
            await self._app(scope, receive, exchange.forward)
        except Exception as error:  # noqa: BLE001 - whatever it is, the client gets an answer
            self._log_failure(exchange, error)
            await self._answer_failure(scope, receive, exchange)
        finally:
            method = scope["method"] if scope["method"] in _METHODS else "unknown"
            route: str = getattr(scope.get("route"), "path", "unknown")
            self.account(method, route, exchange.started, [(exchange.request_id, exchange.status)])

    async def _answer_failure(self, scope: Scope, receive: Receive, exchange: _Exchange) -> None:
        if not exchange.status:
            detail = "The service failed on this request; its log says more under the request id."
            response = render_problem(ProblemError(INTERNAL_ERROR, detail), scope)
            await response(scope, receive, exchange.forward)

    def account(
        self, method: str, route: str, since: float, answered: Sequence[tuple[str, int]]
    ) -> None:
        """Counts requests that were answered together, and logs each.

        Args:
            method: As they were asked.
            route: The pattern of their path; a path that no route knows is the client's own text.
            since: Start of the request, by `time.perf_counter`.
            answered: The id of each, and its status: 0 where the client left before.
        """
        seconds = time.perf_counter() - since
        for _, status in answered:
            self._metrics.count_request(route, method, status, seconds)
        if self._access_log and route not in _QUIET:
            taken, lines = (
                round(1000 * seconds, 3),
                [{"request_id": i, "status": s} for i, s in answered],
            )
            self._logger.info(
                "request", method=method, route=route, milliseconds=taken, lines=lines
            )

    def _log_failure(self, exchange: _Exchange, error: Exception) -> None:
        # Not the message of the error: it may repeat a value of the request.
        frames = traceback.extract_tb(error.__traceback__)
        self._logger.error(
            "failure",
            request_id=exchange.request_id,
            error=type(error).__name__,
            stack=[f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
        )
