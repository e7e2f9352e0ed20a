"""Predictions in any protocol as ASGI endpoints of their own.

FastAPI's way from bytes to a model and back costs more than the prediction. It documents the routes
(see `routes`), from the same models that decode here.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from starlette.types import Receive, Scope, Send

from mlchassis.config.settings import ServiceSettings
from mlchassis.serving.batching.batcher import Batcher
from mlchassis.serving.batching.deadline import BodyReader
from mlchassis.serving.batching.load_shedding import LoadShedder
from mlchassis.serving.batching.recording import PredictionRecorder
from mlchassis.serving.loading import BatchItem, BatchResponse, ModelHolder
from mlchassis.serving.problems import DEADLINE_EXCEEDED, SLOW_BODY, ProblemError, ProblemKind
from mlchassis.serving.protocols.body import check_headers
from mlchassis.serving.protocols.types import InferenceProtocol, RawRequest


@dataclass(frozen=True)
class PredictEndpoint:
    """Endpoint for predictions.

    Attributes:
        protocol: Protocol of the request.
        holder: Holder of the loaded model; read once per request.
        recorder: Writer of a log line per row, called before the response leaves.
        executor: Thread pool for large bodies and for explanations.
    """

    protocol: InferenceProtocol
    holder: ModelHolder
    recorder: PredictionRecorder
    reader: BodyReader
    batcher: Batcher
    shedder: LoadShedder
    executor: ThreadPoolExecutor
    settings: ServiceSettings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request as an ASGI application.

        Raises:
            ProblemError: It cannot be answered; the caller renders it.
            ClientDisconnect: The client went away before its body was complete.
        """
        if self.shedder.is_full():
            await self.shedder.reject(scope, send)
            return
        expires = asyncio.get_running_loop().time() + self.settings.deadline_seconds
        raw = await self._read(scope, receive)
        if self.shedder.is_full():
            await self.shedder.reject(scope, send)
            return
        self.shedder.take_slot()
        try:
            body = await self._answer(raw, expires)
        finally:
            self.shedder.release_slot()
        headers = response_headers(body)
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _read(self, scope: Scope, receive: Receive) -> RawRequest:
        content_type = check_headers(
            scope,
            self.settings.max_body_bytes,
            self.protocol.media_types,
        )
        try:
            body = await self.reader.read(receive)
        except TimeoutError:
            raise self._exceed_deadline(SLOW_BODY) from None
        return RawRequest(
            body,
            scope["request_id"],
            content_type.media_type,
            content_type.parameters,
            scope.get("path_params", {}),
            scope.get("trace_id"),
        )

    async def _answer(self, raw: RawRequest, expires: float) -> bytes:
        model = self.holder.current
        if len(raw.body) > self.settings.inline_bytes:
            work = partial(model.answer, self.protocol, raw)
            return self._record(await self._answer_in_thread(work, expires))
        request = self.protocol.decode(model, raw)
        item = BatchItem(self.protocol, request)
        if request.explain:
            # A small body, but the model scores hundreds of rows for each of its own.
            work = partial(model.answer_request, item)
            return self._record(await self._answer_in_thread(work, expires))
        response = self.batcher.submit(model, item)
        if response.done():
            # The batch was full. Its slots stay taken until the responses leave, in this order.
            await asyncio.sleep(0)
        return await response

    def _record(self, response: BatchResponse) -> bytes:
        self.recorder.record(response)
        (body,) = response.bodies
        return body

    async def _answer_in_thread(
        self, work: Callable[[], BatchResponse], expires: float
    ) -> BatchResponse:
        future = self.executor.submit(work)
        try:
            async with asyncio.timeout_at(expires):
                return await asyncio.wrap_future(future)
        except TimeoutError:
            raise self._exceed_deadline(DEADLINE_EXCEEDED) from None
        finally:
            self._hold_slot_until(future)

    def _hold_slot_until(self, future: Future[BatchResponse]) -> None:
        """Keep a slot taken while a thread works on: it cannot be interrupted."""
        if future.done():
            return
        self.shedder.take_slot()
        loop = asyncio.get_running_loop()
        future.add_done_callback(lambda _: self._release_late(loop))

    def _release_late(self, loop: asyncio.AbstractEventLoop) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(self.shedder.release_slot)

    def _exceed_deadline(self, kind: ProblemKind) -> ProblemError:
        detail = f"{kind.title}: {self.settings.deadline_seconds:g} s are the limit."
        return ProblemError(kind, detail, {"Connection": "close"})


def response_headers(body: bytes) -> list[tuple[bytes, bytes]]:
    """Headers of a response to a prediction."""
    return [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
