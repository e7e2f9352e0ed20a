"""No route keeps what it needed for a request."""

import asyncio
import gc
import json
import os
import tracemalloc
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from fastapi import FastAPI

from mlchassis.config.settings import ServiceSettings
from mlchassis.contract.model import Contract
from mlchassis.contract.schemas import example_record
from mlchassis.serving.app import create_app
from mlchassis.serving.loading import LoadedModel
from mlchassis.serving.logs.operational import make_logger
from mlchassis.serving.protocols.open_inference import DATATYPES

TIMES = 20
# A request that is kept takes more than a kilobyte; without a leak up to 200 bytes are measured, of
# what a loop leaves behind.
MOST_BYTES_KEPT = 500


def list_requests(contract: Contract) -> dict[str, tuple[str, str, Any]]:
    """A request to each route that is answered with 200, and some that are refused."""
    record = example_record(contract)
    kinds = {column.name: column.kind for column in contract.request_columns}
    tensors = [
        {"name": n, "shape": [1], "datatype": DATATYPES[kinds[n]][0], "data": [value]}
        for n, value in record.items()
    ]
    infer = "/v2/models/the-model/infer"
    found: dict[str, tuple[str, str, Any]] = {
        "predict": ("POST", "/predict", {"records": [record]}),
        "explain": ("POST", "/predict", {"records": [record], "explain": True}),
        "invocations": ("POST", "/invocations", {"dataframe_records": [record]}),
        "infer": ("POST", infer, {"inputs": tensors}),
        "versioned": ("POST", infer.replace("/infer", "/versions/3/infer"), {"inputs": tensors}),
        "refused": ("POST", "/predict", {"records": [{"unknown": 1}]}),
        "malformed": ("POST", "/predict", None),
        "unknown": ("GET", "/no-such-path", None),
    }
    return found


def list_pages(app: FastAPI) -> list[str]:
    """Every path that is read."""
    found = [path for path, operations in app.openapi()["paths"].items() if "get" in operations]
    found = [path.format(name="the-model", version="3") for path in found]
    return [*found, "/", "/docs", "/openapi.json"]


@pytest.fixture
def app(settings: ServiceSettings, model: LoadedModel) -> Iterator[FastAPI]:
    """The service, whose operational log is kept nowhere."""
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123
        app = create_app(settings, model, make_logger(nowhere))
        # What other tests imported need not be searched for garbage after each series.
        gc.collect()
        gc.freeze()
        yield app
        gc.unfreeze()


def measure_kept(app: FastAPI, exchange: type[Any], method: str, path: str, body: Any) -> float:
    """Bytes that are kept for each request, once the first ones filled what is filled once."""
    content = b"{" if body is None else json.dumps(body).encode()

    async def ask(series: str) -> None:
        for number in range(TIMES):
            # An id of its own each time: a table by request would else not grow.
            headers = [(b"x-request-id", f"{series}-{number}-{path[-8:]}".encode())]
            status = (
                await exchange(app, [content], headers, method=method, path=path).run()
            ).status
            assert status < 500

    def measure(series: str) -> int:
        # In a loop of its own: one keeps the timers of deadlines that were met for a while.
        asyncio.run(ask(series))
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        marks = [measure(series) for series in "abcd"]
    finally:
        tracemalloc.stop()
    # What is filled once is filled in one of the series; a leak grows in each.
    return min(after - before for before, after in pairwise(marks)) / TIMES


@pytest.mark.one_python
def test_no_prediction_keeps_memory(app: FastAPI, exchange: type[Any], contract: Contract) -> None:
    requests = list_requests(contract)
    kept = {name: measure_kept(app, exchange, *found) for name, found in requests.items()}
    assert {name: b for name, b in kept.items() if b > MOST_BYTES_KEPT} == {}, "a route leaks"


@pytest.mark.one_python
def test_no_page_keeps_memory(app: FastAPI, exchange: type[Any]) -> None:
    kept = {path: measure_kept(app, exchange, "GET", path, None) for path in list_pages(app)}
    assert {path: b for path, b in kept.items() if b > MOST_BYTES_KEPT} == {}, "a route leaks"


def test_a_leak_would_be_seen(app: FastAPI, exchange: type[Any]) -> None:
    kept: list[str] = []

    @app.get("/leak")
    async def leak() -> int:
        kept.append("x" * (1000 + len(kept)))
        return len(kept)

    assert measure_kept(app, exchange, "GET", "/leak", None) > 1.5 * MOST_BYTES_KEPT
    assert kept
