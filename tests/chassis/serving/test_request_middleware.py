import asyncio
import io
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from fastapi.testclient import TestClient
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from mlchassis.bundle.scorer import Answers, Scorer
from mlchassis.config.settings import ServiceSettings
from mlchassis.contract.model import Contract
from mlchassis.features.encoding import Columns
from mlchassis.serving.app import create_app
from mlchassis.serving.auth import HEALTH_PATHS
from mlchassis.serving.loading import LoadedModel
from mlchassis.serving.logs.operational import make_logger
from mlchassis.serving.metrics import Metrics
from mlchassis.serving.middleware import RequestMiddleware
from mlchassis.serving.problems import send_problem


def test_a_log_line_says_what_happened_and_no_feature(
    client: TestClient, contract: Contract, rows: list[dict[str, Any]], operational_log: io.StringIO
) -> None:
    free = [c.name for c in contract.features if c.kind == "string" and c.values is None]
    # Where no column takes any word, the record is refused, and its value is as secret.
    name = [*free, contract.features[0].name][0]
    client.post("/predict", json={"records": [{**rows[0], name: "SECRET"}]})
    client.post("/predict", json={"records": [{**rows[0], "SECRET": "SECRET"}]})
    client.get("/SECRET?key=SECRET")
    lines = [json.loads(line) for line in operational_log.getvalue().splitlines()]
    found = [(line["method"], line["route"]) for line in lines]
    assert found == [("POST", "/predict"), ("POST", "/predict"), ("GET", "unknown")]
    assert "SECRET" not in operational_log.getvalue()


def test_an_unforeseen_failure_is_a_problem_without_its_message(
    settings: ServiceSettings, model: LoadedModel, rows: list[dict[str, Any]]
) -> None:
    class Broken(Scorer):
        def score(self, columns: Columns) -> Answers:
            raise ValueError("SECRET")

    log = io.StringIO()
    broken = replace(model, scorer=Broken(model.scorer.bundle, model.scorer.features))
    with TestClient(create_app(settings, broken, make_logger(log))) as client:
        answer = client.post("/predict", json={"records": rows})
    failure = json.loads(log.getvalue().splitlines()[0])
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert failure["request_id"] == answer.json()["request_id"]
    assert failure["error"] == "ValueError"
    assert "SECRET" not in answer.text + log.getvalue()


def test_no_access_log_means_none(
    settings: ServiceSettings, model: LoadedModel, rows: list[dict[str, Any]]
) -> None:
    log = io.StringIO()
    quiet = create_app(settings.model_copy(update={"access_log": False}), model, make_logger(log))
    with TestClient(quiet) as client:
        client.post("/predict", json={"records": rows})
    assert log.getvalue() == ""


def test_polls_of_machines_are_left_out_of_the_access_log(
    client: TestClient, operational_log: io.StringIO
) -> None:
    for path in (*HEALTH_PATHS, "/metrics"):
        assert client.get(path).status_code == 200
    assert operational_log.getvalue() == ""
    client.get("/version")
    assert json.loads(operational_log.getvalue())["route"] == "/version"


START = {"type": "http.response.start", "status": 200, "headers": []}
PART = {"type": "http.response.body", "body": b"first", "more_body": True}


class Run:
    """One request through the middleware around an application of a test."""

    def __init__(self, app: Callable[[Send], Awaitable[None]]) -> None:
        self.log = io.StringIO()
        self.metrics = Metrics()
        self.sent: list[Message] = []

        async def call(_scope: Scope, _receive: Receive, send: Send) -> None:
            await app(send)

        self._middleware = RequestMiddleware(
            call, self.metrics, make_logger(self.log), send_problem, access_log=True
        )

    async def run(self) -> None:
        """Run to the end, and let the access log be written."""
        scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
        try:
            await self._middleware(scope, self._receive, self._send)
        finally:
            await asyncio.sleep(0)

    @property
    def statuses(self) -> tuple[int, int]:
        """Status that was sent, and the one in the access log."""
        (line,) = [json.loads(line) for line in self.log.getvalue().splitlines() if "route" in line]
        return self.sent[0]["status"] if self.sent else 0, line["status"]

    async def _receive(self) -> Message:
        raise AssertionError

    async def _send(self, message: Message) -> None:
        if any(b"\n" in value for _, value in message.get("headers", ())):
            raise RuntimeError("A response header holds a line end.")
        self.sent.append(message)


async def fail_at_once(send: Send) -> None:
    await send({**START})
    raise KeyError("secret")


async def send_a_line_end(send: Send) -> None:
    await send({**START, "headers": [(b"x-own", b"a\nb")]})
    await send(PART)


async def let_a_cancellation_escape(send: Send) -> None:
    del send
    task = asyncio.create_task(asyncio.sleep(0))
    task.cancel()
    await task


async def send_nothing(_send: Send) -> None:
    """Return without a response."""


async def start_and_return(send: Send) -> None:
    await send({**START})


@pytest.mark.parametrize(
    "app",
    [
        fail_at_once,
        send_a_line_end,
        let_a_cancellation_escape,
        send_nothing,
        start_and_return,
    ],
)
def test_a_failure_before_the_first_byte_is_a_problem_whenever_it_comes(
    app: Callable[[Send], Awaitable[None]],
) -> None:
    run = Run(app)
    asyncio.run(run.run())
    assert run.statuses == (500, 500)
    assert [message["type"] for message in run.sent] == [START["type"], PART["type"]]
    assert json.loads(run.sent[1]["body"])["type"] == "/docs#internal-error"
    assert '"failure"' in run.log.getvalue()
    assert "secret" not in run.log.getvalue()
    assert b'status="500"' in run.metrics.render()


def test_a_response_that_is_cut_short_counts_as_a_failure() -> None:
    async def break_off(send: Send) -> None:
        await send({**START})
        await send(PART)
        raise KeyError("secret")

    run = Run(break_off)
    asyncio.run(run.run())
    assert run.statuses == (200, 500)
    assert run.sent[1:] == [PART]


def test_a_client_that_left_is_no_failure() -> None:
    async def leave(_send: Send) -> None:
        raise ClientDisconnect

    run = Run(leave)
    asyncio.run(run.run())
    assert run.statuses == (0, 0)
    assert '"failure"' not in run.log.getvalue()


def test_a_request_that_the_server_cancels_is_told_that_it_stops() -> None:
    async def wait(_send: Send) -> None:
        await asyncio.Event().wait()

    async def cancel(run: Run) -> bool:
        task = asyncio.create_task(run.run())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled()

    run = Run(wait)
    assert asyncio.run(cancel(run))
    assert run.statuses == (503, 503)
    assert json.loads(run.sent[1]["body"])["type"] == "/docs#stopping"
    assert '"failure"' not in run.log.getvalue()
