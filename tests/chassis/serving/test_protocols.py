"""Hostile requests in the protocols that others defined: 4xx, valid JSON and no echo, always."""

import json
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

SECRET = "do-not-repeat-me"
PATHS = ("/invocations", "/v2/models/the-model/infer")
VALUES = [
    *(b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1e999", b"-0.0e-400", b"0x10", b"01", b"+1"),
    *(b"1" + b"0" * 400, b"1" + b"0" * 5000, b"true", b"null", b"[]", b"{}", b"[[1]]", b'"1"'),
    *(b'"do-not-repeat-me"', b'""', b'"\\ud800"', b'"\\u0000"', b'"\xff"', b'"\xed\xa0\x80"'),
    *(b"[" * 50_000, b'{"a":' * 5_000, b'"' + b"x" * 50_000 + b'"', b'{"a":{"b":[NaN]}}'),
]
PLACES = [
    b"%s",
    b'{"dataframe_records":%s}',
    b'{"dataframe_records":[%s]}',
    b'{"dataframe_records":[{"%%s":%s}]}',
    b'{"instances":[{"%%s":%s}],"params":null}',
    b'{"inputs":%s}',
    b'{"inputs":{"%%s":%s}}',
    b'{"inputs":{"%%s":[%s]}}',
    b'{"inputs":[%s]}',
    b'{"inputs":[{"name":%s}]}',
    b'{"inputs":[{"name":"%%s","datatype":%s,"shape":[1],"data":[1]}]}',
    b'{"inputs":[{"name":"%%s","datatype":"FP64","shape":%s,"data":[1]}]}',
    b'{"inputs":[{"name":"%%s","datatype":"FP64","shape":[%s],"data":[1]}]}',
    b'{"inputs":[{"name":"%%s","datatype":"FP64","shape":[1],"data":%s}]}',
    b'{"inputs":[{"name":"%%s","datatype":"BYTES","shape":[1,1],"data":[%s]}]}',
    b'{"id":%s,"inputs":[]}',
    b'{"outputs":[%s],"inputs":[]}',
    b'{"dataframe_split":%s}',
    b'{"dataframe_split":{"columns":%s,"data":[]}}',
    b'{"dataframe_split":{"columns":["%%s"],"data":%s}}',
    b'{"dataframe_split":{"columns":["%%s"],"data":[[%s]]}}',
    b'{"%%s":%s}',
]


def refuse_constant(name: str) -> None:
    raise AssertionError(f"{name} is not JSON")


def check_refusal(answer: Any) -> None:
    document = json.loads(answer.content, parse_constant=refuse_constant)
    assert 400 <= answer.status_code < 500
    assert document["status"] == answer.status_code
    assert SECRET not in answer.text
    assert len(answer.content) < 10_000


@pytest.fixture
def client(mixed_client: TestClient) -> TestClient:
    """A client of a service that needs two columns, so that no row of one is answered."""
    return mixed_client


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("place", PLACES, ids=range(len(PLACES)))
def test_a_hostile_request_gets_a_problem(client: TestClient, path: str, place: bytes) -> None:
    template = place.replace(b"%%s", b"size")
    for value in VALUES:
        headers = {"Content-Type": "application/json"}
        check_refusal(client.post(path, content=template.replace(b"%s", value), headers=headers))


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
keys = ["inputs", "instances", "dataframe_split", "dataframe_records", "outputs", "id", "params"]


@pytest.mark.parametrize("path", PATHS)
@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(body=st.binary() | st.dictionaries(st.sampled_from(keys), anything).map(json.dumps))
def test_no_body_makes_a_dialect_fail(client: TestClient, path: str, body: bytes | str) -> None:
    answer = client.post(path, content=body, headers={"Content-Type": "application/json"})
    json.loads(answer.content, parse_constant=refuse_constant)
    assert 400 <= answer.status_code < 500


@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(table=st.binary() | st.text())
def test_no_table_makes_the_service_fail(client: TestClient, table: bytes | str) -> None:
    content = table if isinstance(table, bytes) else table.encode(errors="surrogatepass")
    answer = client.post("/invocations", content=content, headers={"Content-Type": "text/csv"})
    json.loads(answer.content, parse_constant=refuse_constant)
    assert 400 <= answer.status_code < 500
