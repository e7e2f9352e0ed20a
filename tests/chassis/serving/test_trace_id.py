"""Trace ids of W3C Trace Context in the access log and the prediction log."""

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from mlchassis.serving.middleware.trace_id import read_trace_id

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
VALID = f"00-{TRACE}-00f067aa0ba902b7-01"


@pytest.mark.parametrize("value", [VALID, VALID.replace("00-", "01-", 1), f"cc-{VALID[3:]}-more"])
def test_a_valid_header_has_a_trace_id(value: str) -> None:
    assert read_trace_id([(b"traceparent", value.encode())]) == TRACE


@pytest.mark.parametrize(
    "value",
    [
        *("", "00", VALID.upper(), VALID[:-1], f" {VALID}", f"{VALID}\n", f"{VALID}-more"),
        *(VALID.replace("00-", "ff-", 1), VALID.replace(TRACE, "0" * 32)),
        *(VALID.replace("00f067aa0ba902b7", "0" * 16), VALID.replace("4bf9", "4bg9")),
    ],
)
def test_an_invalid_header_is_ignored(value: str) -> None:
    assert read_trace_id([(b"traceparent", value.encode())]) is None


def test_two_headers_are_ignored() -> None:
    assert read_trace_id([(b"traceparent", VALID.encode())] * 2) is None


def test_the_trace_id_is_in_the_access_log(
    client: TestClient, rows: list[dict[str, Any]], operational_log: io.StringIO
) -> None:
    body = {"records": rows[:1]}
    assert client.post("/predict", json=body, headers={"traceparent": VALID}).status_code == 200
    client.post("/predict", json=body, headers={"traceparent": 'hostile"value'})
    first, second = map(json.loads, operational_log.getvalue().splitlines())
    assert first["trace_id"] == TRACE
    assert "trace_id" not in second
    assert "hostile" not in operational_log.getvalue()


PATHS = ("/predict", "/invocations", "/v1/models/the-model:predict", "/v2/models/the-model/infer")


@pytest.mark.parametrize("path", PATHS)
def test_the_trace_id_is_in_the_prediction_log(
    client: TestClient, app: FastAPI, read_log: Callable[[], list[dict[str, Any]]], path: str
) -> None:
    template = path.replace("the-model", "{name}")
    content = app.openapi()["paths"][template]["post"]["requestBody"]["content"]
    schema = content["application/json"]["schema"]
    name = schema.get("$ref", "").rpartition("/")[2]
    body = app.openapi()["components"]["schemas"].get(name, schema)["examples"][0]
    for headers in ({"traceparent": VALID}, {"traceparent": "invalid"}, {}):
        assert client.post(path, json=body, headers=headers).status_code == 200
    traced, *others = read_log()
    assert traced["trace_id"] == TRACE
    assert ["trace_id" in line for line in others] == [False, False]
