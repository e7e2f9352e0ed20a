"""Fast path and fallback: the same responses, and the same rejections."""

import asyncio
import io
import itertools
import json
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import uvicorn
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from uvicorn.server import ServerState

from mlchassis.bundle.scorer import Answers, Scorer
from mlchassis.config.settings import ServiceSettings
from mlchassis.contract.model import Contract
from mlchassis.contract.schemas import generate_rows
from mlchassis.features.encoding import Columns
from mlchassis.serving.app import create_app
from mlchassis.serving.batching.connection import Connection
from mlchassis.serving.loading import ServedModel
from mlchassis.serving.logs.operational import make_logger

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
    config = uvicorn.Config(
        app, http=Connection, log_config=None, lifespan="off", proxy_headers=False
    )
    config.load()
    return Connection(config, state, {})


@dataclass
class Server:
    """An application behind connections without a network."""

    app: Any

    async def exchange(self, *requests: Sequence[bytes]) -> list[Wire]:
        """Sends each request's parts over a connection of its own, and waits for all answers."""
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
        """As `exchange`, from outside."""
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
    """Answers each row by itself."""

    def score(self, columns: Columns) -> Answers:
        found = super().score(columns)
        shares = 1 / (2 + measure(next(iter(columns.values()))))
        if found.probabilities is None:
            return Answers(shares, None)
        others = [(1 - shares) / (found.scores.shape[1] - 1)] * (found.scores.shape[1] - 1)
        return Answers(found.values, np.column_stack([shares, *others]))


class Sociable(Scorer):
    """Answers a row otherwise where there are others."""

    def score(self, columns: Columns) -> Answers:
        found = super().score(columns)
        if found.probabilities is None:
            return Answers(np.full(len(found.values), 1 / len(found.values)), None)
        return Answers(found.values, np.full_like(found.scores, 1 / len(found.scores)))


@pytest.fixture
def model(mixed_model: ServedModel) -> ServedModel:
    """A model of few columns: a request of a wide table is too large for the short way."""
    return mixed_model


@pytest.fixture
def rows(mixed_contract: Contract) -> list[dict[str, Any]]:
    return generate_rows(mixed_contract, count=5, seed=11)


@pytest.fixture(params=[Scorer, RowWise], ids=["linear", "row by row"])
def served(request: pytest.FixtureRequest, model: ServedModel) -> ServedModel:
    return replace(model, scorer=request.param(model.scorer.bundle, model.scorer.features))


@pytest.fixture
def app(settings: ServiceSettings, served: ServedModel) -> FastAPI:
    return create_app(settings, served, make_logger(io.StringIO()))


@pytest.fixture
def short(app: FastAPI) -> Server:
    return Server(app)


@pytest.fixture
def long(settings: ServiceSettings, served: ServedModel, tmp_path_factory: Any) -> Server:
    elsewhere = settings.model_copy(update={"log_directory": tmp_path_factory.mktemp("long")})
    app: Any = create_app(elsewhere, served, make_logger(io.StringIO()))
    app.shortcut = None
    return Server(app)


@pytest.fixture
def taken(short: Server, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sizes of the batches."""
    found: list[int] = []
    shortcut: Any = short.app.shortcut
    original = shortcut._answer

    def answer(model: Any, group: Any, started: float) -> None:
        found.append(len(group))
        original(model, group, started)

    monkeypatch.setattr(shortcut, "_answer", answer)
    return found


def test_a_plain_request_is_answered_the_short_way_as_the_long_way_would(
    short: Server, long: Server, rows: Any, taken: list[int]
) -> None:
    request = write_request(write_records(rows))
    (one,), (other,) = short.ask([request]), long.ask([request])
    assert plain_answers(one) == plain_answers(other)
    assert one.answers[0][0] == 200
    assert taken == [1]
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
def test_headers_mean_the_same_either_way(
    short: Server, long: Server, rows: Any, headers: tuple[str, ...]
) -> None:
    request = write_request(write_records(rows), *headers)
    (one,), (other,) = short.ask([request]), long.ask([request])
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


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_whatever_is_asked_gets_the_same_answer_either_way(
    short: Server, long: Server, rows: Any, data: Any
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
    one = [plain_answers(wire) for wire in short.ask(*requests)]
    other = [plain_answers(wire) for wire in long.ask(*requests)]
    assert one == other


def test_requests_of_one_turn_are_answered_together_each_with_its_own(
    short: Server, long: Server, rows: Any, taken: list[int], read_log: ReadLog
) -> None:
    requests = [
        [write_request(write_records(rows[i : i + 2]), f"X-Request-ID: id-{i}")] for i in range(4)
    ]
    together = [plain_answers(wire) for wire in short.ask(*requests)]
    assert together == [plain_answers(long.ask(request)[0]) for request in requests]
    assert taken == [4]
    logged = [(line["request_id"], line["row"]) for line in read_log()]
    counts = [len(rows[i : i + 2]) for i in range(4)]
    assert logged == [(f"id-{i}", row) for i in range(4) for row in range(counts[i])]


def test_those_beyond_the_limit_are_refused_as_on_the_long_way_and_after_the_others_are_answered(
    settings: ServiceSettings, served: ServedModel, rows: Any, read_log: ReadLog
) -> None:
    tight = settings.model_copy(update={"max_concurrency": 2})
    requests = [[write_request(write_records(rows))]] * 5
    logs = [io.StringIO(), io.StringIO()]
    short, long = (Server(create_app(tight, served, make_logger(log))) for log in logs)
    long.app.shortcut = None
    wires = short.ask(*requests)
    assert [wire.answers[0][0] for wire in wires] == [200, 200, 503, 503, 503]
    assert max(wire.order for wire in wires[:2]) < min(wire.order for wire in wires[2:])
    assert len(read_log()) == 2 * len(rows)
    assert [plain_answers(wire) for wire in wires] == [
        plain_answers(wire) for wire in long.ask(*requests)
    ]
    statuses = [Counter(json.loads(line)["status"] for line in read_lines(log)) for log in logs]
    assert statuses[0] == statuses[1] == {200: 2, 503: 3}


def test_as_many_as_may_are_answered_before_the_rest_of_the_turn_is_read(
    settings: ServiceSettings, served: ServedModel, rows: Any
) -> None:
    tight = settings.model_copy(update={"max_concurrency": 2})
    app = create_app(tight, served, make_logger(io.StringIO()))
    request = write_request(write_records(rows))

    async def scenario() -> None:
        state, wires = ServerState(), [Wire() for _ in range(4)]
        connections = [connect(app, state) for _ in wires]
        for connection, wire in zip(connections, wires, strict=True):
            connection.connection_made(wire)
        for connection, answered in zip(connections[:3], (0, 2, 2), strict=True):
            connection.data_received(request)
            assert sum(bool(wire.writes) for wire in wires) == answered
        # One that is too many is refused without its body, which is then no request of its own.
        connections[3].data_received(request[:-5])
        await asyncio.sleep(0)
        assert [answer[0] for wire in wires for answer in wire.answers] == [200, 200, 503, 503]
        assert not state.tasks
        connections[3].data_received(request[-5:])
        connections[3].data_received(request)
        await asyncio.sleep(0)
        assert [answer[0] for answer in wires[3].answers] == [503, 200]

    asyncio.run(scenario())


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


@pytest.mark.parametrize("way", ["short", "long"])
def test_a_crowd_that_insists_keeps_nobody_from_being_answered(
    settings: ServiceSettings, model: ServedModel, rows: Any, way: str
) -> None:
    tight = settings.model_copy(update={"max_concurrency": 2})
    app: Any = create_app(tight, model, make_logger(io.StringIO()))
    if way == "long":
        app.shortcut = None

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


def test_one_request_that_is_refused_spoils_none_of_its_turn(
    short: Server, rows: Any, taken: list[int]
) -> None:
    good, bad = write_records(rows), write_records([{**rows[0], "unknown": 1}])
    wires = short.ask(*[[write_request(body)] for body in (good, bad, good)])
    assert [wire.answers[0][0] for wire in wires] == [200, 422, 200]
    assert taken == [2]


def test_what_is_not_plain_goes_the_long_way(
    short: Server, rows: Any, taken: list[int], settings: ServiceSettings
) -> None:
    large = write_records(rows, explain=False) + b" " * settings.inline_bytes
    bodies = [write_records(rows[:1], explain=True), large]
    wires = short.ask(*[[write_request(body)] for body in bodies])
    parts = write_request(write_records(rows))
    wires += short.ask([parts[:-5], parts[-5:]])
    old = parts.replace(b"HTTP/1.1", b"HTTP/1.0")
    wires += short.ask([old])
    # The long way closes the connection of a service that is told to stop.
    short.app.state.champion.stopping = True
    wires += short.ask([parts])
    assert [wire.answers[0][0] for wire in wires] == [200] * 5
    assert taken == []


def test_requests_in_a_row_on_one_connection_are_answered_in_their_order(
    short: Server, rows: Any
) -> None:
    bodies = [write_records(rows), b"no JSON", write_records(rows[:1]), write_records(rows[:2])]
    stream = b"".join(write_request(body, f"X-Request-ID: id-{i}") for i, body in enumerate(bodies))

    (wire,) = short.ask([stream])
    found = [(status, headers["x-request-id"]) for status, headers, _ in wire.answers]
    assert found == [(200, "id-0"), (400, "id-1"), (200, "id-2"), (200, "id-3")]


def test_a_log_that_cannot_be_written_lets_no_answer_out(
    short: Server, settings: ServiceSettings, rows: Any
) -> None:
    elsewhere = settings.log_directory.rename(settings.log_directory.with_name("moved"))
    for path in elsewhere.iterdir():
        path.unlink()
    settings.log_directory.write_bytes(b"")
    wires = short.ask(*[[write_request(write_records(rows))]] * 3)
    assert [wire.answers[0][0] for wire in wires] == [503] * 3
    settings.log_directory.unlink()
    assert short.ask([write_request(write_records(rows))])[0].answers[0][0] == 200


def test_a_client_that_left_is_answered_nothing(
    short: Server, rows: Any, read_log: ReadLog
) -> None:
    async def scenario() -> Wire:
        connection, wire = connect(short.app, ServerState()), Wire()
        connection.connection_made(wire)
        connection.data_received(write_request(write_records(rows)))
        wire.close()
        connection.connection_lost(ConnectionResetError())
        for _ in range(100):
            await asyncio.sleep(0)
        return wire

    assert asyncio.run(scenario()).writes == []
    assert len(read_log()) == len(rows)


def test_a_model_that_looks_at_other_rows_never_sees_those_of_another_request(
    settings: ServiceSettings, model: ServedModel, rows: Any
) -> None:
    sociable = replace(model, scorer=Sociable(model.scorer.bundle, model.scorer.features))
    assert replace(model, scorer=RowWise(model.scorer.bundle, model.scorer.features)).rows_apart
    assert not sociable.rows_apart
    server = Server(create_app(settings, sociable))
    request = [write_request(write_records(rows[:2]))]
    alone = plain_answers(server.ask(request)[0])
    assert [plain_answers(wire) for wire in server.ask(request, request, request)] == [alone] * 3


def test_with_keys_all_goes_the_long_way(
    settings: ServiceSettings, model: ServedModel, tmp_path: Any
) -> None:
    keys = tmp_path / "keys"
    keys.write_text("0" * 64 + "\n", encoding="utf-8")
    app: Any = create_app(settings.model_copy(update={"api_keys_file": keys}), model)
    assert app.shortcut is None
