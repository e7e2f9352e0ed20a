"""Fast path for plain prediction requests, which are nearly all.

A plain `POST /predict` arrives whole, is small, and satisfies the contract. The requests of one
turn of the event loop form a batch. It is flushed at the end of the turn, or as soon as it holds as
many requests as may be in progress: one call of the model, one write of the log lines, then the
responses. Excess requests are rejected after that, so that under overload no accepted request waits
for them. No task, router or middleware is in between, since each costs as much as the model. Every
other request takes the fallback from its beginning, and so does one that fails here; only the
fallback formats other errors. Both paths send the same bytes.
"""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING

from starlette.responses import Response
from starlette.types import Scope

from mlchassis.serving.batching.endpoint import PredictEndpoint, answer_headers
from mlchassis.serving.loading import Reply, ServedModel
from mlchassis.serving.middleware import HEADER, Observation, choose_request_id
from mlchassis.serving.problems import ProblemError, render_problem
from mlchassis.serving.protocols.body import check_headers
from mlchassis.serving.protocols.types import Question

if TYPE_CHECKING:
    from mlchassis.serving.batching.connection import Connection

PATH = "/predict"
_SOME_ID = "{request_id}"
_MOST_ROWS = 1000
"""Rows that are answered together, at most, before answers leave: nobody waits long for others."""


Group = list[tuple["Connection", Question]]
Said = tuple["Connection", str, int, Sequence[tuple[bytes, bytes]], bytes]
"""To whom, request id, status, headers, body."""


class Shortcut:
    """Answers plain requests to `POST /predict`, which carry no key, on the event loop.

    Args:
        endpoint: Endpoint of the fallback.
        observation: Middleware of the fallback.

    Attributes:
        callers: Requests that are answered at the end of this turn of the event loop.
    """

    def __init__(self, endpoint: PredictEndpoint, observation: Observation) -> None:
        self._endpoint = endpoint
        self._observation = observation
        self._cross_origin = bool(endpoint.settings.cors_origins)
        self.callers: list[Connection] = []
        self._begun = 0

    def takes(self, scope: Scope) -> bool:
        """True if a request may take the fast path; it needs no CORS headers."""
        return (scope["method"], scope["path"]) == ("POST", PATH) and not (
            self._cross_origin and any(name == b"origin" for name, _ in scope["headers"])
        )

    def enter(self, caller: "Connection") -> None:
        """Takes a request that is answered before this turn of the event loop ends."""
        if not self.callers:
            asyncio.get_running_loop().call_soon(self._end)
        self.callers.append(caller)

    def begin(self) -> None:
        """Answers where as many have come as may: who comes later in this turn is refused."""
        if self._begun < self._endpoint.admission.limit <= len(self.callers):
            self._answer_all()

    def _end(self) -> None:
        self._answer_all()
        self.callers, self._begun = [], 0

    def _answer_all(self) -> None:
        started, callers = time.perf_counter(), self.callers[self._begun :]
        self._begun = len(self.callers)
        model, stopping = self._endpoint.champion.current, self._endpoint.champion.stopping
        group, count, refused = [], 0, []
        for caller in callers:
            if not stopping and self._endpoint.admission.is_full(caller.request["ahead"]):
                refused.append(caller)
                continue
            question = None if stopping else self._read(caller, model)
            if not question:
                caller.go_the_long_way()
                continue
            group.append((caller, question))
            count += len(question.rows)
            if count >= _MOST_ROWS:
                self._answer(model, group, started)
                group, count = [], 0
        if group:
            self._answer(model, group, started)
        # Who is answered does not wait for who is not.
        if refused:
            self._send(list(map(self._refuse, refused)), started)

    def _read(self, caller: "Connection", model: ServedModel) -> Question | None:
        endpoint, settings = self._endpoint, self._endpoint.settings
        body, scope = caller.read(), caller.request
        if body is None or len(body) > settings.inline_bytes:
            return None
        decoded = model.decode(body)
        with suppress(ProblemError):  # The fallback rejects it.
            if decoded is not None and not decoded[1]:
                check_headers(scope, settings.max_body_bytes, endpoint.dialect.media_types)
                return Question(decoded[0], choose_request_id(scope["headers"]))
        return None

    @cached_property
    def _refusal(self) -> Response:
        """Rendered once: under overload it is most of what is said."""
        root = self._endpoint.settings.root_path
        scope = {"request_id": _SOME_ID, "path": PATH, "root_path": root}
        return render_problem(self._endpoint.admission.refusal(), scope)

    def _refuse(self, caller: "Connection") -> Said:
        request_id = choose_request_id(caller.request["headers"])
        body = bytes(self._refusal.body).replace(_SOME_ID.encode(), request_id.encode())
        headers = [pair for pair in self._refusal.raw_headers if pair[0] != b"content-length"]
        headers.append((b"content-length", b"%d" % len(body)))
        return caller, request_id, self._refusal.status_code, headers, body

    def _answer(self, model: ServedModel, group: Group, started: float) -> None:
        try:
            reply = self._reply(model, [question for _, question in group])
            self._endpoint.record(reply.log_lines, reply.rows)
        except Exception:  # noqa: BLE001 - the fallback meets it again and reports it
            for caller, _ in group:
                caller.go_the_long_way()
            return
        answers = zip(group, reply.bodies, strict=True)
        self._send([(c, q.request_id, 200, answer_headers(b), b) for (c, q), b in answers], started)

    def _send(self, answers: Sequence[Said], started: float) -> None:
        for caller, request_id, status, headers, body in answers:
            caller.write(status, [*headers, (HEADER, request_id.encode("ascii"))], body)
        self._observation.account("POST", PATH, started, [said[1:3] for said in answers])

    def _reply(self, model: ServedModel, questions: list[Question]) -> Reply:
        asked = [question.rows for question in questions]
        if model.rows_apart:
            asked = [list(chain.from_iterable(asked))]
        predictions = [p for rows in asked for p in model.predict(rows, model.score(rows))]
        return model.reply(self._endpoint.dialect, questions, predictions)
