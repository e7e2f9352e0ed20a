import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from ml_service.features import compute_features
from mlchassis.bundle.bundle import Bundle
from mlchassis.bundle.scorer import Answers, Scorer
from mlchassis.config.settings import ServiceSettings
from mlchassis.contract.model import Contract
from mlchassis.features.code import FeatureCode, load_feature_code
from mlchassis.features.encoding import Columns
from mlchassis.serving import loading
from mlchassis.serving.app import create_app
from mlchassis.serving.loading import LoadedModel

FEATURES = load_feature_code(compute_features)

PATIENCE = 10.0  # seconds

ReadLog = Callable[[], list[dict[str, Any]]]


class BlockedScorer(Scorer):
    """Scorer that waits for an event before it answers."""

    def __init__(self, bundle: Bundle, features: FeatureCode) -> None:
        super().__init__(bundle, features)
        self.go = threading.Event()

    def score(self, columns: Columns) -> Answers:
        self.go.wait()
        return super().score(columns)


@pytest.fixture
def blocked(model: LoadedModel) -> Iterator[BlockedScorer]:
    scorer = BlockedScorer(model.scorer.bundle, FEATURES)
    yield scorer
    scorer.go.set()


@pytest.fixture
def body(rows: list[dict[str, Any]]) -> bytes:
    return json.dumps({"records": rows}).encode()


@asynccontextmanager
async def running(app: FastAPI) -> AsyncIterator[FastAPI]:
    async with app.router.lifespan_context(app):
        yield app


def plain(contract: Contract, row: Mapping[str, Any]) -> dict[str, Any]:
    """Loggable cells of a row, with parsed timestamps: `Z` equals `+00:00`."""
    kept = {c.name: row.get(c.name) for c in contract.features if c not in contract.pii}
    moments = [name for name in kept if contract.column(name).kind == "timestamp" and kept[name]]
    return kept | {name: datetime.fromisoformat(row[name]) for name in moments}


def test_every_answered_row_is_in_the_log(
    client: TestClient, rows: list[dict[str, Any]], read_log: ReadLog, contract: Contract
) -> None:
    answer = client.post("/predict", json={"records": rows}).json()
    logged = read_log()
    assert [line["row"] for line in logged] == list(range(len(rows)))
    assert {line["request_id"] for line in logged} == {answer["request_id"]}
    for line, row, prediction in zip(logged, rows, answer["predictions"], strict=True):
        assert plain(contract, line["inputs"]) == plain(contract, row)
        assert len(line["inputs"]) == len(plain(contract, row))
        assert line["prediction"] == prediction["prediction"]
        assert line["probabilities"] == prediction.get("probabilities")
        assert line["key"] == prediction["key"]
        assert line["digest"] == answer["model"]["digest"]
        assert line["contract_version"] == contract.version


def test_the_inputs_in_the_log_are_answered_as_they_were(
    client: TestClient, rows: list[dict[str, Any]], read_log: ReadLog
) -> None:
    client.post("/predict", json={"records": rows})
    logged = read_log()
    again = client.post("/predict", json={"records": [line["inputs"] for line in logged]}).json()
    found = [answer["prediction"] for answer in again["predictions"]]
    assert found == [line["prediction"] for line in logged]


def test_a_refused_request_leaves_no_line(
    client: TestClient, rows: list[dict[str, Any]], read_log: ReadLog
) -> None:
    broken = [rows[0], {**rows[1], "unknown": 1}]
    assert client.post("/predict", json={"records": broken}).status_code == 422
    assert read_log() == []


def test_a_log_that_cannot_be_written_means_503_until_it_can(
    client: TestClient, settings: ServiceSettings, rows: list[dict[str, Any]], read_log: ReadLog
) -> None:
    directory = settings.log_directory
    elsewhere = directory.rename(directory.with_name("moved"))
    for path in elsewhere.iterdir():
        path.unlink()
    directory.write_bytes(b"")
    refused = client.post("/predict", json={"records": rows})
    assert refused.status_code == 503
    assert refused.json()["type"] == "/docs#log-unavailable"
    assert refused.headers["retry-after"] == "1"
    assert client.get("/health/ready").status_code == 503
    assert client.get("/health/live").status_code == 200
    directory.unlink()
    assert client.get("/health/ready").status_code == 200
    assert client.post("/predict", json={"records": rows}).status_code == 200
    assert len(read_log()) == len(rows)


@pytest.mark.parametrize("inline_bytes", [0, 1_000_000])
def test_the_answer_is_the_same_on_the_loop_and_in_a_thread(
    settings: ServiceSettings, model: LoadedModel, rows: list[dict[str, Any]], inline_bytes: int
) -> None:
    app = create_app(settings.model_copy(update={"inline_bytes": inline_bytes}), model)
    with TestClient(app) as client:
        found = client.post("/predict", json={"records": rows}).json()["predictions"]
    expected = model.scorer.score_rows(rows).values.tolist()
    assert [answer["prediction"] for answer in found] == expected


def test_one_prediction_too_many_is_refused_at_once(
    settings: ServiceSettings, model: LoadedModel, body: bytes, exchange: type[Any]
) -> None:
    async def scenario() -> list[Any]:
        limited = settings.model_copy(update={"max_concurrency": 1})
        async with running(create_app(limited, model)) as app:
            return await asyncio.gather(*(exchange(app, [body]).run() for _ in range(2)))

    first, second = asyncio.run(scenario())
    assert first.status == 200
    assert second.status == 503
    assert second.document["type"] == "/docs#overloaded"
    assert second.headers["retry-after"] == "1"


def test_a_body_that_does_not_arrive_is_given_up(
    settings: ServiceSettings, model: LoadedModel, exchange: type[Any]
) -> None:
    class Silent(exchange):  # type: ignore[misc]
        async def receive(self) -> dict[str, Any]:
            await asyncio.Event().wait()
            return {}

    async def scenario() -> Any:
        hasty = settings.model_copy(update={"deadline_seconds": 0.01})
        async with running(create_app(hasty, model)) as app:
            return await Silent(app, []).run()

    given_up = asyncio.run(scenario())
    assert given_up.status == 408
    assert given_up.headers["connection"] == "close"


def test_an_answer_beyond_the_deadline_is_504_and_its_thread_keeps_its_slot(
    settings: ServiceSettings,
    model: LoadedModel,
    blocked: BlockedScorer,
    body: bytes,
    exchange: type[Any],
) -> None:
    changes = {"deadline_seconds": 0.05, "inline_bytes": 0, "max_concurrency": 1}

    async def scenario() -> list[Any]:
        strict = create_app(settings.model_copy(update=changes), replace(model, scorer=blocked))
        async with running(strict) as app:
            answers = [await exchange(app, [body]).run() for _ in range(2)]
            blocked.go.set()
            while answers[-1].status == 503:
                await asyncio.sleep(0.001)
                answers.append(await exchange(app, [body]).run())
        return answers

    answers = asyncio.run(scenario())
    assert [answer.status for answer in answers[:2]] == [504, 503]
    # The thread is done: its slot is free again.
    assert answers[-1].status in {200, 504}


def test_an_explanation_is_computed_in_a_thread_within_the_deadline(
    settings: ServiceSettings,
    model: LoadedModel,
    rows: list[dict[str, Any]],
    exchange: type[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # It costs a hundred rows for each one, so the event loop would serve nobody meanwhile.
    changed = settings.model_copy(update={"deadline_seconds": 0.05})
    body = json.dumps({"records": rows[:1], "explain": True}).encode()
    go = threading.Event()
    monkeypatch.setattr(loading, "explain_answers", lambda *_: go.wait(PATIENCE) and [])

    async def scenario() -> Any:
        async with running(create_app(changed, model)) as app:
            answer = await exchange(app, [body]).run()
            go.set()
        return answer

    late = asyncio.run(scenario())
    assert (late.status, late.document["type"]) == (504, "/docs#deadline-exceeded")


def test_a_client_that_leaves_is_no_failure(
    app: FastAPI, exchange: type[Any], settings: ServiceSettings, operational_log: Any
) -> None:
    class Gone(exchange):  # type: ignore[misc]
        async def receive(self) -> dict[str, Any]:
            return {"type": "http.disconnect"}

    assert asyncio.run(Gone(app, []).run()).messages == []
    assert '"failure"' not in operational_log.getvalue()
    assert all(path.stat().st_size == 0 for path in Path(settings.log_directory).iterdir())
