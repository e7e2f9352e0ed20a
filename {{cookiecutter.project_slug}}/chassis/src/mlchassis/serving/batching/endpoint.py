"""Predictions in any dialect as ASGI endpoints of their own.

FastAPI's way from bytes to a model and back costs more than the prediction. It documents the routes
(see `routes`), from the same models that decode here.
"""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from mlchassis.config.settings import ServiceSettings
from mlchassis.serving.loading import Champion, Reply, ServedModel
from mlchassis.serving.logs.prediction_log import PredictionLog, PredictionLogError
from mlchassis.serving.metrics import Metrics
from mlchassis.serving.problems import (
    DEADLINE_EXCEEDED,
    LOG_UNAVAILABLE,
    OVERLOADED,
    SLOW_BODY,
    ProblemError,
)
from mlchassis.serving.protocols.body import ContentType, check_headers, read_body
from mlchassis.serving.protocols.types import Dialect, Incoming

_RETRY = {"Retry-After": "1"}


class Admission:
    """Counts predictions in progress, and refuses one too many at once."""

    def __init__(self, limit: int, metrics: Metrics) -> None:
        self.limit = limit
        self._metrics = metrics
        self._active = 0

    def is_full(self, ahead: int) -> bool:
        """True if a request with this queue depth has to be rejected."""
        return max(self._active, ahead) >= self.limit

    def refusal(self) -> ProblemError:
        """Error for a request that exceeds the concurrency limit."""
        return ProblemError(OVERLOADED, f"{self.limit} predictions are in progress.", _RETRY)

    @contextmanager
    def slot(self, ahead: int) -> Iterator[None]:
        """Takes a slot while the block runs.

        Args:
            ahead: Queue depth when this request arrived. Requests that a busy event loop has not
                begun hold no slot yet, and yet this one waits for them all.

        Raises:
            ProblemError: There is none left.
        """
        if self.is_full(ahead):
            raise self.refusal()
        self.hold()
        try:
            yield
        finally:
            self.release()

    def hold(self) -> None:
        """Takes a slot, even beyond the limit."""
        self._active += 1
        self._metrics.show_active(self._active)

    def release(self) -> None:
        """Gives a slot back."""
        self._active -= 1
        self._metrics.show_active(self._active)


@dataclass(frozen=True)
class PredictEndpoint:
    """Answers predictions.

    Attributes:
        dialect: Protocol of the request.
        champion: Holder of the loaded model; read once per request.
        log: Gets a line per row before the answer leaves.
        executor: Thread pool for large bodies.
    """

    dialect: Dialect
    champion: Champion
    log: PredictionLog
    metrics: Metrics
    admission: Admission
    executor: ThreadPoolExecutor
    settings: ServiceSettings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request as an ASGI application.

        Raises:
            ProblemError: It cannot be answered; the application's handler says so to the client.
        """
        with self.admission.slot(scope.get("ahead", 0)):
            content_type = check_headers(
                scope,
                self.settings.max_body_bytes,
                self.dialect.media_types,
                required=self.dialect.needs_media_type,
            )
            try:
                reply = await self._answer_in_time(scope, receive, content_type)
            except ClientDisconnect:
                return
            self.record(reply.log_lines, reply.rows)
            (body,) = reply.bodies
            headers = answer_headers(body)
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": body})

    async def _answer_in_time(
        self, scope: Scope, receive: Receive, content_type: ContentType
    ) -> Reply:
        body: bytes | None = None
        try:
            async with asyncio.timeout(self.settings.deadline_seconds):
                body = await read_body(receive, self.settings.max_body_bytes)
                model = self.champion.current
                incoming = Incoming(
                    body,
                    scope["request_id"],
                    content_type.media_type,
                    content_type.parameters,
                    scope.get("path_params", {}),
                )
                if len(body) <= self.settings.inline_bytes:
                    return model.answer(self.dialect, incoming)
                return await self._answer_in_thread(model, incoming)
        except TimeoutError:
            kind = SLOW_BODY if body is None else DEADLINE_EXCEEDED
            detail = f"{kind.title}: {self.settings.deadline_seconds:g} s are the limit."
            raise ProblemError(kind, detail, {"Connection": "close"}) from None

    async def _answer_in_thread(self, model: ServedModel, incoming: Incoming) -> Reply:
        future = self.executor.submit(model.answer, self.dialect, incoming)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            if not future.done():
                # A thread cannot be interrupted. While it works on, a slot stays taken: what comes
                # next is refused rather than queued behind work that nobody waits for.
                self.admission.hold()
                loop = asyncio.get_running_loop()
                future.add_done_callback(lambda _: self._release_late(loop))
            raise

    def _release_late(self, loop: asyncio.AbstractEventLoop) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(self.admission.release)

    def record(self, lines: bytes, rows: int) -> None:
        """Writes the log's lines; the answer may leave then.

        Raises:
            ProblemError: They cannot be written.
        """
        try:
            self.log.append(lines)
        except PredictionLogError as error:
            self.metrics.count_log_failure()
            raise ProblemError(LOG_UNAVAILABLE, str(error), _RETRY) from None
        self.metrics.count_rows(rows)


def answer_headers(body: bytes) -> list[tuple[bytes, bytes]]:
    """Response headers."""
    return [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
