import asyncio
import io
import json
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from mlchassis.serving.middleware.request_id import choose_request_id


def test_a_harmless_request_id_is_kept(client: TestClient, operational_log: io.StringIO) -> None:
    answer = client.post("/predict", headers={"X-Request-ID": "order-17.3:a_b"})
    assert answer.headers["x-request-id"] == "order-17.3:a_b"
    assert answer.json()["request_id"] == "order-17.3:a_b"
    assert json.loads(operational_log.getvalue())["request_id"] == "order-17.3:a_b"


@pytest.mark.parametrize(
    "offered",
    [b"", b"a b", b"a\r\nSet-Cookie: b=1", b"a\n", b"x" * 129, b"x" * 7000, b"\xff", b"{}"],
)
def test_another_request_id_is_replaced(offered: bytes) -> None:
    chosen = choose_request_id([(b"x-request-id", offered)])
    assert chosen.encode() != offered
    assert choose_request_id([(b"x-request-id", chosen.encode())]) == chosen


def test_a_hostile_request_id_reaches_neither_header_nor_log(
    app: FastAPI, exchange: type[Any], operational_log: io.StringIO
) -> None:
    header = (b"x-request-id", b"x\r\nInjected: 1")
    answer = asyncio.run(exchange(app, [b"{}"], [header]).run())
    assert "Injected" not in str(answer.messages)
    assert "Injected" not in operational_log.getvalue()


def test_every_path_and_method_answers_with_a_request_id(client: TestClient) -> None:
    paths = ["/predict", "/health/live", "/health/ready", "/metrics", "/docs", "/openapi.json"]
    for path in [*paths, "/", "/nothing", "/predict/"]:
        for method in ["GET", "POST", "PUT", "DELETE", "PROPFIND"]:
            answer = client.request(method, path)
            assert len(answer.headers["x-request-id"]) == 32
            assert answer.status_code in {200, 404, 405, 415}
