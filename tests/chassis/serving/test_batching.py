"""Micro-batching: responses of a batch equal those of single requests, in all protocols."""

import asyncio
import hashlib
import io
import itertools
import json
import math
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import uvicorn
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.server import ServerState

from mlchassis.bundle.scorer import Answers, Scorer
from mlchassis.config.settings import ServiceSettings
from mlchassis.contract.model import Contract
from mlchassis.contract.schemas import generate_rows
from mlchassis.features.encoding import Columns
from mlchassis.serving.app import create_app
from mlchassis.serving.batching.dispatch import PredictionDispatcher
from mlchassis.serving.loading import LoadedModel
from mlchassis.serving.logs.operational import make_logger
from mlchassis.serving.server.http.connection import Connection
from mlchassis.serving.server.http.limits import make_limits
from mlchassis.serving.service import Service

ReadLog = Callable[[], list[dict[str, Any]]]


_ORDER = itertools.count()


class Wire(asyncio.Transport):
    """Transport of a connection; `order` is its last write among all."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.order = math.inf
        self.closed = False

    def write(self, data: Any) -> None:
        self.writes.append(bytes(data))
        self.order = next(_ORDER)

    def get_write_buffer_size(self) -> int:
        """Return 0: the client takes every byte at once."""
        return 0

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        """Nothing is read here."""

    def resume_reading(self) -> None:
        """Nothing is read here."""

    @property
    def answers(self) -> list[tuple[int, dict[str, str], bytes]]:
        """Status, headers and body of each answer."""
        found, rest = [], b"".join(self.writes)
        while rest:
            head, _, rest = rest.partition(b"\r\n\r\n")
            status, *lines = head.decode().split("\r\n")
            headers = dict(line.split(": ", 1) for line in lines)
            length = int(headers["content-length"])
            found.append((int(status.split()[1]), headers, rest[:length]))
            rest = rest[length:]
        return found


def connect(app: FastAPI, state: ServerState) -> Connection:
    config = uvicorn.Config(app, log_config=None, lifespan="off", proxy_headers=False)
    return Connection(config, state, {}, make_limits(ServiceSettings()))


def route_all(app: Any) -> Any:
    """The application with no request dispatched past FastAPI's router."""
    (dispatcher,) = [each for each in app.user_middleware if each.cls is PredictionDispatcher]
    dispatcher.kwargs["paths"].targets = {}
    return app


@dataclass
class Server:
    """An application behind connections without a network."""

    app: Any

    async def exchange(self, *requests: Sequence[bytes]) -> list[Wire]:
        """Send each request's parts over a connection of its own, and wait for all answers."""
        state = ServerState()
        connections = [connect(self.app, state) for _ in requests]
        wires = [Wire() for _ in requests]
        for connection, wire, parts in zip(connections, wires, requests, strict=True):
            connection.connection_made(wire)
            connection.data_received(parts[0])
        for connection, parts in zip(connections, requests, strict=True):
            for part in parts[1:]:
                await asyncio.sleep(0)
                connection.data_received(part)
        while state.tasks or not all(wire.writes for wire in wires):
            await asyncio.sleep(0)
        for connection in connections:
            connection.connection_lost(None)
        return wires

    def ask(self, *requests: Sequence[bytes]) -> list[Wire]:
        """Run `exchange` outside an event loop."""
        return asyncio.run(self.exchange(*requests))


def write_request(body: bytes, *headers: str, target: str = "POST /predict") -> bytes:
    lines = [f"{target} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}", *headers]
    if not any(line.lower().startswith("content-type") for line in headers):
        lines.append("Content-Type: application/json")
    if not any(line.lower().startswith("x-request-id") for line in headers):
        lines.append("X-Request-ID: an-id")
    return "\r\n".join([*lines, "", ""]).encode() + body


def write_records(rows: Any, **more: Any) -> bytes:
    return json.dumps({"records": rows, **more}).encode()


def plain_answers(wire: Wire) -> list[Any]:
    return [
        (status, {name: text for name, text in headers.items() if name != "date"}, body)
        for status, headers, body in wire.answers
    ]


def measure(values: NDArray[Any]) -> NDArray[np.float64]:
    """A size of each value: of a number its distance from zero, of a word its length."""
    if values.dtype == object:
        return np.array([len(word) for word in values], dtype=np.float64)
    return np.abs(np.nan_to_num(values.astype(np.float64)))


class RowWise(Scorer):
    """Scorer whose answer for a row depends on that row alone."""

    def score(self, columns: Columns) -> Answers:
        found = super().score(columns)
        proportions = 1 / (2 + measure(next(iter(columns.values()))))
        if found.probabilities is None:
            return Answers(proportions, None)
        others = [(1 - proportions) / (found.scores.shape[1] - 1)] * (found.scores.shape[1] - 1)
        return Answers(found.values, np.column_stack([proportions, *others]))


class Sociable(Scorer):
    """Scorer whose answer for a row depends on the rows beside it."""

    def score(self, columns: Columns) -> Answers:
        found = super().score(columns)
        if found.probabilities is None:
            return Answers(np.full(len(found.values), 1 / len(found.values)), None)
        return Answers(found.values, np.full_like(found.scores, 1 / len(found.scores)))


@pytest.fixture
def model(mixed_model: LoadedModel) -> LoadedModel:
    """A model of few columns: a request of a wide table is too large for the event loop."""
    return mixed_model


@pytest.fixture
def rows(mixed_contract: Contract) -> list[dict[str, Any]]:
    return generate_rows(mixed_contract, count=5, seed=11)


@pytest.fixture(params=[Scorer, RowWise], ids=["linear", "row by row"])
def served(request: pytest.FixtureRequest, model: LoadedModel) -> LoadedModel:
    return replace(model, scorer=request.param(model.scorer.bundle, model.scorer.features))


@pytest.fixture
def app(settings: ServiceSettings, served: LoadedModel) -> FastAPI:
    return create_app(settings, served, make_logger(io.StringIO()))


@pytest.fixture
def server(app: FastAPI) -> Server:
    return Server(app)


@pytest.fixture
def routed(settings: ServiceSettings, served: LoadedModel, tmp_path_factory: Any) -> Server:
    """A server whose predictions take FastAPI's router."""
    elsewhere = settings.model_copy(update={"log_directory": tmp_path_factory.mktemp("routed")})
    return Server(route_all(create_app(elsewhere, served, make_logger(io.StringIO()))))


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sizes of the batches."""
    found: list[int] = []
    original = LoadedModel.answer_batch

    def answer(model: LoadedModel, items: Any) -> Any:
        found.append(len(items))
        return original(model, items)

    monkeypatch.setattr(LoadedModel, "answer_batch", answer)
    return found


def test_a_response_is_one_write_and_equal_through_the_router(
    server: Server, routed: Server, rows: Any, batches: list[int]
) -> None:
    request = write_request(write_records(rows))
    (one,), (other,) = server.ask([request]), routed.ask([request])
    assert plain_answers(one) == plain_answers(other)
    assert one.answers[0][0] == 200
    assert batches == [1, 1]
    assert len(one.writes) == 1


@pytest.mark.parametrize(
    "headers",
    [
        ("Content-Type: text/csv",),
        ("Content-Type: application/json; charset=latin-1",),
        ("Content-Type: application/json; charset=utf-8",),
        ("Content-Encoding: gzip",),
        ("Inference-Header-Content-Length: 3",),
        ("X-Request-ID: my.own:id_1",),
        ("X-Request-ID: " + "x" * 129,),
        ("Connection: close",),
        ("Authorization: Bearer key",),
    ],
    ids=lambda headers: headers[0][:40],
)
def test_headers_mean_the_same_through_the_router(
    server: Server, routed: Server, rows: Any, headers: tuple[str, ...]
) -> None:
    request = write_request(write_records(rows), *headers)
    (one,), (other,) = server.ask([request]), routed.ask([request])
    for wire in (one, other):
        if headers[0].endswith("x" * 129):
            # An id that is not the client's own is another one each time.
            wire.writes = [b"".join(wire.writes).replace(new_id(wire), b"new")]
    assert [answer[2] for answer in plain_answers(one)] == [a[2] for a in plain_answers(other)]
    assert one.answers[0][0] == other.answers[0][0]
    assert one.closed == other.closed


def new_id(wire: Wire) -> bytes:
    return wire.answers[0][1]["x-request-id"].encode()


VALUES = (
    *(b"null", b"0", b"-0.0", b"1.5", b"1e999", b"NaN", b'"a"', b'"\\ud800"', b'"\xff"', b"[]"),
    *(b"true", b"9" * 30, b'"2013-08-15T12:30:00Z"', b"", b"{}", b'"' + b"x" * 300 + b'"'),
)


@pytest.mark.one_python
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_any_request_gets_the_same_response_through_the_router(
    server: Server, routed: Server, rows: Any, data: Any
) -> None:
    requests = []
    for _ in range(data.draw(st.integers(1, 4))):
        body = write_records(rows[: data.draw(st.integers(0, 3))])
        if data.draw(st.booleans()):
            name = json.dumps(data.draw(st.sampled_from([*rows[0], "other"]))).encode()
            changed = b'{"records": [{' + name + b": " + data.draw(st.sampled_from(VALUES)) + b", "
            body = body.replace(b'{"records": [{', changed)
        if data.draw(st.integers(0, 3)) == 0 and body:
            at = data.draw(st.integers(0, len(body) - 1))
            body = body[:at] + data.draw(st.binary(max_size=2)) + body[at + 1 :]
        request = write_request(body)
        cut = data.draw(st.sampled_from([len(request), len(request), len(request) // 2]))
        requests.append([part for part in (request[:cut], request[cut:]) if part])
    one = [plain_answers(wire) for wire in server.ask(*requests)]
    other = [plain_answers(wire) for wire in routed.ask(*requests)]
    assert one == other


def test_requests_of_one_turn_are_a_batch_and_each_gets_its_own_response(
    server: Server, routed: Server, rows: Any, batches: list[int], read_log: ReadLog
) -> None:
    requests = [
        [write_request(write_records(rows[i : i + 2]), f"X-Request-ID: id-{i}")] for i in range(4)
    ]
    together = [plain_answers(wire) for wire in server.ask(*requests)]
    assert together == [plain_answers(routed.ask(request)[0]) for request in requests]
    assert batches == [4, 1, 1, 1, 1]
    logged = [(line["request_id"], line["row"]) for line in read_log()]
    counts = [len(rows[i : i + 2]) for i in range(4)]
    assert logged == [(f"id-{i}", row) for i in range(4) for row in range(counts[i])]


def test_each_request_that_cannot_be_logged_is_counted_once(
    app: FastAPI, server: Server, rows: Any, settings: ServiceSettings, batches: list[int]
) -> None:
    shutil.rmtree(settings.log_directory)
    settings.log_directory.write_bytes(b"")
    wires = server.ask(*[[write_request(write_records(rows))]] * 3)
    assert [wire.answers[0][0] for wire in wires] == [503] * 3
    # Each is tried again alone, so that one cannot fail the others.
    assert batches == [3, 1, 1, 1]
    metrics = TestClient(app).get("/metrics").text
    assert "service_prediction_log_failures_total 3.0" in metrics
    assert "service_predicted_rows_total 0.0" in metrics


def test_requests_beyond_the_limit_are_rejected_after_the_others_are_answered(
    settings: ServiceSettings, served: LoadedModel, rows: Any, read_log: ReadLog
) -> None:
    tight = settings.model_copy(update={"max_concurrency": 2})
    requests = [[write_request(write_records(rows))]] * 5
    logs = [io.StringIO(), io.StringIO()]
    server, routed = (Server(create_app(tight, served, make_logger(log))) for log in logs)
    route_all(routed.app)
    wires = server.ask(*requests)
    assert [wire.answers[0][0] for wire in wires] == [200, 200, 503, 503, 503]
    assert max(wire.order for wire in wires[:2]) < min(wire.order for wire in wires[2:])
    assert len(read_log()) == 2 * len(rows)
    assert [plain_answers(wire) for wire in wires] == [
        plain_answers(wire) for wire in routed.ask(*requests)
    ]
    statuses = [Counter(json.loads(line)["status"] for line in read_lines(log)) for log in logs]
    assert statuses[0] == statuses[1] == {200: 2, 503: 3}


def test_an_incomplete_body_takes_no_slot(
    settings: ServiceSettings, served: LoadedModel, rows: Any
) -> None:
    tight = settings.model_copy(update={"max_concurrency": 1})
    app = create_app(tight, served, make_logger(io.StringIO()))
    request = write_request(write_records(rows))

    async def scenario() -> list[Wire]:
        state, wires = ServerState(), [Wire() for _ in range(3)]
        connections = [connect(app, state) for _ in wires]
        for connection, wire in zip(connections, wires, strict=True):
            connection.connection_made(wire)
        connections[0].data_received(request[:-5])
        connections[1].data_received(request[:-5])
        await asyncio.sleep(0)
        connections[2].data_received(request)
        while not wires[2].writes:
            await asyncio.sleep(0)
        connections[0].data_received(request[-5:])
        while not wires[0].writes:
            await asyncio.sleep(0)
        for connection in connections:
            connection.connection_lost(None)
        while state.tasks:
            await asyncio.sleep(0)
        return wires

    wires = asyncio.run(scenario())
    assert [[answer[0] for answer in wire.answers] for wire in wires] == [[200], [], [200]]


class Insisting(Wire):
    """A client that asks again as soon as it is answered, so many times."""

    connection: Connection
    request: bytes
    times: int

    def write(self, data: Any) -> None:
        super().write(data)
        self.times -= data.endswith(b"}")  # A body ends so, and what is above it does not.
        if data.endswith(b"}") and self.times:
            asyncio.get_running_loop().call_soon(self.connection.data_received, self.request)


@pytest.mark.parametrize("way", ["dispatched", "routed"])
def test_clients_that_retry_at_once_do_not_stop_all_responses(
    settings: ServiceSettings, model: LoadedModel, rows: Any, way: str
) -> None:
    tight = settings.model_copy(update={"max_concurrency": 2})
    app: Any = create_app(tight, model, make_logger(io.StringIO()))
    if way == "routed":
        route_all(app)

    async def scenario() -> list[Insisting]:
        state, wires = ServerState(), [Insisting() for _ in range(10)]
        for wire in wires:
            wire.connection, wire.times = connect(app, state), 20
            wire.request = write_request(write_records(rows))
            wire.connection.connection_made(wire)
            wire.connection.data_received(wire.request)
        while any(wire.times for wire in wires):
            await asyncio.sleep(0)
        return wires

    statuses = Counter(answer[0] for wire in asyncio.run(scenario()) for answer in wire.answers)
    assert statuses.total() == 200
    # Two of ten each time that the loop comes round.
    assert statuses[200] >= 40
    assert statuses[503] >= 100


def read_lines(log: io.StringIO) -> list[str]:
    return [line for line in log.getvalue().splitlines() if '"request"' in line]


def test_an_invalid_request_does_not_affect_its_batch(
    server: Server, rows: Any, batches: list[int]
) -> None:
    good, bad = write_records(rows), write_records([{**rows[0], "unknown": 1}])
    wires = server.ask(*[[write_request(body)] for body in (good, bad, good)])
    assert [wire.answers[0][0] for wire in wires] == [200, 422, 200]
    assert batches == [2]


def test_a_failing_request_does_not_affect_its_batch(
    settings: ServiceSettings, model: LoadedModel, rows: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = LoadedModel.predict

    def predict(model: LoadedModel, given: Any, answers: Any) -> Any:
        if any(row == poison for row in given):
            raise ValueError("SECRET")
        return original(model, given, answers)

    monkeypatch.setattr(LoadedModel, "predict", predict)
    app = create_app(settings, model, make_logger(io.StringIO()))
    bodies = [write_records(rows[i : i + 1]) for i in range(3)]
    decoded = model.decode(bodies[1])
    assert decoded is not None
    (poison,) = decoded[0]
    wires = Server(app).ask(*[[write_request(body)] for body in bodies])
    assert [wire.answers[0][0] for wire in wires] == [200, 500, 200]


def test_requests_of_several_protocols_proportion_a_batch(
    server: Server, rows: Any, batches: list[int]
) -> None:
    instances = json.dumps({"instances": rows[:2]}).encode()
    wires = server.ask(
        [write_request(write_records(rows[:1]))],
        [write_request(instances, target="POST /invocations")],
        [write_request(instances, target="POST /v1/models/the-model:predict")],
    )
    assert [wire.answers[0][0] for wire in wires] == [200, 200, 200]
    assert wires[1].answers[0][2] == wires[2].answers[0][2]
    assert batches == [3]


class Passing:
    """Middleware of a project."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


@pytest.mark.parametrize("way", ["keys", "middleware", "origins"])
def test_requests_proportion_a_batch_with_keys_middleware_and_origins(
    settings: ServiceSettings,
    model: LoadedModel,
    rows: Any,
    batches: list[int],
    tmp_path: Any,
    way: str,
) -> None:
    service: Service | None = None
    if way == "keys":
        keys = tmp_path / "keys"
        keys.write_text(hashlib.sha256(b"the key").hexdigest())
        settings = settings.model_copy(update={"api_keys_file": keys})
    elif way == "middleware":
        service = Service(model.scorer.features.compute, [], [Passing])
    else:
        settings = settings.model_copy(update={"cors_origins": ("https://shop.example.org",)})
    app = create_app(settings, model, make_logger(io.StringIO()), service=service)
    headers = ["X-API-Key: the key", "Origin: https://shop.example.org"]
    request = write_request(write_records(rows), *headers)
    wires = Server(app).ask([request], [request], [request])
    assert [wire.answers[0][0] for wire in wires] == [200, 200, 200]
    assert batches == [3]


def test_a_swap_within_a_turn_splits_the_batch(
    server: Server, served: LoadedModel, rows: Any, batches: list[int]
) -> None:
    renamed = served.identity.model_copy(update={"version": "4"})
    fresh = replace(served, identity=renamed)
    request = write_request(write_records(rows))

    async def scenario() -> list[Wire]:
        state, wires = ServerState(), [Wire() for _ in range(3)]
        for number, wire in enumerate(wires):
            connection = connect(server.app, state)
            connection.connection_made(wire)
            connection.data_received(request)
            if number == 1:
                # Between the second request's start and the third's.
                swap = asyncio.get_running_loop().call_soon
                swap(setattr, server.app.state.holder, "current", fresh)
        while not all(wire.writes for wire in wires):
            await asyncio.sleep(0)
        return wires

    answers = [json.loads(wire.answers[0][2]) for wire in asyncio.run(scenario())]
    assert [answer["model"]["version"] for answer in answers] == ["3", "3", "4"]
    assert batches == [2, 1]


def test_requests_in_a_row_on_one_connection_are_answered_in_their_order(
    server: Server, rows: Any
) -> None:
    bodies = [write_records(rows), b"no JSON", write_records(rows[:1]), write_records(rows[:2])]
    stream = b"".join(write_request(body, f"X-Request-ID: id-{i}") for i, body in enumerate(bodies))

    (wire,) = server.ask([stream])
    found = [(status, headers["x-request-id"]) for status, headers, _ in wire.answers]
    assert found == [(200, "id-0"), (400, "id-1"), (200, "id-2"), (200, "id-3")]


def test_a_log_that_cannot_be_written_lets_no_answer_out(
    server: Server, settings: ServiceSettings, rows: Any
) -> None:
    elsewhere = settings.log_directory.rename(settings.log_directory.with_name("moved"))
    for path in elsewhere.iterdir():
        path.unlink()
    settings.log_directory.write_bytes(b"")
    wires = server.ask(*[[write_request(write_records(rows))]] * 3)
    assert [wire.answers[0][0] for wire in wires] == [503] * 3
    settings.log_directory.unlink()
    assert server.ask([write_request(write_records(rows))])[0].answers[0][0] == 200


def test_a_client_that_left_gets_no_prediction(
    server: Server, rows: Any, read_log: ReadLog
) -> None:
    async def scenario() -> Wire:
        connection, wire = connect(server.app, ServerState()), Wire()
        connection.connection_made(wire)
        connection.data_received(write_request(write_records(rows)))
        wire.close()
        connection.connection_lost(ConnectionResetError())
        for _ in range(100):
            await asyncio.sleep(0)
        return wire

    assert asyncio.run(scenario()).writes == []
    assert read_log() == []


def test_a_model_that_looks_at_other_rows_never_sees_those_of_another_request(
    settings: ServiceSettings, model: LoadedModel, rows: Any
) -> None:
    sociable = replace(model, scorer=Sociable(model.scorer.bundle, model.scorer.features))
    assert replace(
        model, scorer=RowWise(model.scorer.bundle, model.scorer.features)
    ).batch_invariant
    assert not sociable.batch_invariant
    server = Server(create_app(settings, sociable))
    request = [write_request(write_records(rows[:2]))]
    alone = plain_answers(server.ask(request)[0])
    assert [plain_answers(wire) for wire in server.ask(request, request, request)] == [alone] * 3
