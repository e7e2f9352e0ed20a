"""Micro-batching: requests of one turn of the event loop share a model call and a log write.

Between two requests, an interpreter touches so much memory that the model starts with cold caches;
together, requests share that cost. None waits for others: the batch is what arrived when the event
loop comes round. A model whose rows depend on each other (`batch_invariant` is false) scores each
request by itself, and only the log write is shared.
"""

import asyncio
from collections.abc import Sequence

import msgspec

from mlchassis.serving.batching.recording import PredictionRecorder
from mlchassis.serving.loading import BatchItem, LoadedModel

MAX_BATCH_ROWS = 1000
"""Rows that are scored before responses leave: nobody waits long for others."""


class _Pending(msgspec.Struct, frozen=True):
    """A request that waits for its response's body."""

    item: BatchItem
    body: asyncio.Future[bytes]


class Batcher:
    """Collect requests, and answer them at the end of a turn of the event loop.

    Args:
        recorder: Writer of a batch's log lines, called before its responses leave.
        max_requests: Requests that are answered at once, without waiting for the turn's end.
    """

    def __init__(self, recorder: PredictionRecorder, max_requests: int) -> None:
        self._recorder = recorder
        self._max_requests = max_requests
        self._model: LoadedModel | None = None
        self._pending: list[_Pending] = []
        self._rows = 0

    def submit(self, model: LoadedModel, item: BatchItem) -> asyncio.Future[bytes]:
        """Add a request to the batch; return the future of its response's body."""
        if model is not self._model:
            # A hot swap in between: a batch is answered by one model.
            self.flush()
            self._model = model
        loop = asyncio.get_running_loop()
        pending = _Pending(item, loop.create_future())
        if not self._pending:
            loop.call_soon(self.flush)
        self._pending.append(pending)
        self._rows += len(item.request.rows)
        if len(self._pending) >= self._max_requests or self._rows >= MAX_BATCH_ROWS:
            self.flush()
        return pending.body

    def flush(self) -> None:
        """Answer all that is pending."""
        batch = self._pending
        self._pending = []
        self._rows = 0
        if batch and self._model is not None:
            self._answer(self._model, batch)

    def _answer(self, model: LoadedModel, batch: Sequence[_Pending]) -> None:
        try:
            response = model.answer_batch([pending.item for pending in batch])
            self._recorder.record(response)
        except Exception as error:  # noqa: BLE001 - each request reports its own
            if len(batch) > 1:
                # One that fails must not fail the others.
                for pending in batch:
                    self._answer(model, [pending])
            elif not batch[0].body.done():
                batch[0].body.set_exception(error)
            return
        for pending, body in zip(batch, response.bodies, strict=True):
            if not pending.body.done():
                pending.body.set_result(body)
