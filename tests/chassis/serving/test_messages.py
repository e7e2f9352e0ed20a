"""Hostile and mistaken bodies: always a valid problem document, never the value itself."""

import json
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from mlchassis.contract.model import Contract
from mlchassis.serving.loading import LoadedModel
from mlchassis.serving.protocols.predict import PredictProtocol
from mlchassis.serving.protocols.types import RawRequest

SECRET = "do-not-repeat-me"
JSON_BODY = {"Content-Type": "application/json"}

BODIES = [
    b"",
    b" ",
    b"\x00",
    b"\xff\xfe\x00",
    b"\xef\xbb\xbf{}",
    b"{",
    b"}",
    b"{}",
    b"[]",
    b"null",
    b"true",
    b"NaN",
    b"-Infinity",
    b'"do-not-repeat-me"',
    b'{"records"}',
    b'{"records":}',
    b'{"records":null}',
    b'{"records":[]}',
    b'{"records":{}}',
    b'{"records":"do-not-repeat-me"}',
    b'{"records":[null]}',
    b'{"records":[[]]}',
    b'{"records":[{}]}',
    b'{"records":[{}],"do":1}',
    b'{"records":[{}]} trailing',
    b'{"records":[{}],}',
    b"{'records':[]}",
    b'{"records":[{"\\ud800":1}]}',
    b'{"\\ud800":1}',
    b'{"records":[{"a":1,"a":2}]}',
    b'{"records":[{}],"records":7}',
    b'{"records":[{"":""}]}',
    b'{"records":[{"__proto__":{}}]}',
    b"[" * 50_000,
    b'{"records":' * 5_000,
    b'{"records":[' + b"[" * 150 + b"]" * 150 + b"]}",
    b'{"records":[{"' + b"k" * 50_000 + b'":1}]}',
    b'{"records":[' + b"{}," * 10_000 + b"{}]}",
    b'{"records":[{' + b",".join(b'"k%d":1' % i for i in range(5_000)) + b"}]}",
]
VALUES = [
    b"NaN",
    b"Infinity",
    b"-Infinity",
    b"1e999",
    b"-1e999",
    b"1" + b"0" * 400,
    b"1" + b"0" * 4000,
    b"1" + b"0" * 5000,
    b"-0.0e-400",
    b"0x10",
    b"01",
    b"+1",
    b"true",
    b"[]",
    b"{}",
    b'{"a":{"b":{"c":[NaN]}}}',
    b'"do-not-repeat-me"',
    b'"1"',
    b'""',
    b'"\\ud800"',
    b'"\\udc00\\ud800"',
    b'"\\u0000"',
    b'"\xff"',
    b'"\xed\xa0\x80"',
    b'"' + b"x" * 50_000 + b'"',
    '"\N{SNOWMAN}\N{PILE OF POO}"'.encode(),
]


def refuse_constant(name: str) -> None:
    raise AssertionError(f"{name} is not JSON")


def check_answer(answer: Any) -> None:
    document = json.loads(answer.content, parse_constant=refuse_constant)
    assert answer.status_code < 500
    if answer.status_code != 200:
        assert answer.headers["content-type"] == "application/problem+json"
        assert document["status"] == answer.status_code
        assert document["request_id"] == answer.headers["x-request-id"]
        assert SECRET not in answer.text
        assert len(answer.content) < 10_000


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_a_hostile_body_gets_a_problem(mixed_client: TestClient, body: bytes) -> None:
    answer = mixed_client.post("/predict", content=body, headers=JSON_BODY)
    assert answer.status_code in {400, 422}
    check_answer(answer)


@pytest.mark.parametrize("value", VALUES, ids=range(len(VALUES)))
def test_a_hostile_value_in_any_field_is_answered_or_refused(
    client: TestClient, contract: Contract, rows: list[dict[str, Any]], value: bytes
) -> None:
    for column in contract.request_columns:
        others = {name: v for name, v in rows[0].items() if name != column.name}
        record = json.dumps(others).encode()[:-1] + b', "%s": %s}' % (column.name.encode(), value)
        body = b'{"records":[%s]}' % record
        check_answer(client.post("/predict", content=body, headers=JSON_BODY))


def test_too_many_rows_are_refused(client: TestClient, rows: list[dict[str, Any]]) -> None:
    answer = client.post("/predict", json={"records": rows[:1] * 51})
    assert answer.status_code == 422
    assert "at most 50" in answer.json()["detail"]


def test_a_broken_record_is_named_with_every_field(
    mixed_client: TestClient, mixed_rows: list[dict[str, Any]]
) -> None:
    broken = {"price": 1.5, "a/b~c": 1}
    records = [mixed_rows[0], broken, broken]
    problem = mixed_client.post("/predict", json={"records": records}).json()
    expected = [f"/records/1/{name}" for name in ("size", "shop", "a~1b~0c")]
    assert [error["pointer"] for error in problem["errors"]] == expected


def test_no_more_than_twenty_errors_are_listed(
    mixed_client: TestClient, mixed_rows: list[dict[str, Any]]
) -> None:
    broken = mixed_rows[0] | {f"unknown {number}": 1 for number in range(30)}
    problem = mixed_client.post("/predict", json={"records": [broken]}).json()
    expected = [f"/records/0/unknown {number}" for number in range(20)]
    assert [error["pointer"] for error in problem["errors"]] == expected


def test_the_decoder_takes_the_documented_example(app: FastAPI, model: LoadedModel) -> None:
    (example,) = app.openapi()["components"]["schemas"]["PredictRequest"]["examples"]
    assert (
        len(PredictProtocol().decode(model, RawRequest(json.dumps(example).encode(), "r")).rows)
        == 1
    )


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
patient = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@patient
@given(body=st.binary() | anything.map(lambda value: json.dumps(value).encode()))
def test_no_body_makes_the_service_fail(client: TestClient, body: bytes) -> None:
    check_answer(client.post("/predict", content=body, headers=JSON_BODY))


@patient
@given(data=st.data())
def test_no_value_makes_the_service_fail(
    client: TestClient, contract: Contract, rows: list[dict[str, Any]], data: st.DataObject
) -> None:
    names = [column.name for column in contract.request_columns]
    changes = data.draw(st.dictionaries(st.sampled_from(names), anything, min_size=1))
    body = json.dumps({"records": [{**rows[0], **changes}]}).encode()
    check_answer(client.post("/predict", content=body, headers=JSON_BODY))


@pytest.mark.parametrize(
    "value", [b"1", b"1.0", b"10e-1", b"1.5", b"true", b'"1"', b"1e30", b"1e999"]
)
def test_the_schema_and_the_decoder_agree_on_what_is_whole(
    app: FastAPI,
    client: TestClient,
    contract: Contract,
    rows: list[dict[str, Any]],
    value: bytes,
) -> None:
    document = app.openapi()
    schema = {"$ref": "#/components/schemas/PredictRequest", "components": document["components"]}
    for column in contract.request_columns:
        if column.kind == "integer" and column.values is None:
            others = {name: v for name, v in rows[0].items() if name != column.name}
            record = json.dumps(others).encode()[:-1] + b', "%s": %s}' % (
                column.name.encode(),
                value,
            )
            body = b'{"records":[%s]}' % record
            valid = Draft202012Validator(schema).is_valid(json.loads(body))
            answer = client.post("/predict", content=body, headers=JSON_BODY)
            assert answer.status_code == (200 if valid else 422), column.name
