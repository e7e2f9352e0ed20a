"""The decoder takes nothing that the request's model refuses, and reads what it takes alike."""

import json
import os
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from mlchassis.contract.model import Contract, parse_contract
from mlchassis.contract.schemas import generate_rows
from mlchassis.serving.protocols.decoding import compile_decoder
from mlchassis.serving.protocols.messages import predict_request

GENERATED = int(os.environ.get("HOSTILE_EXAMPLES", "300"))
MOST_ROWS = 3
# Every kind with every option, and names that mean something elsewhere.
EVERYTHING = """
apiVersion: v3.2.0
version: 1.0.0
schema:
  - properties:
      - name: the key
        logicalType: string
        tags: [key]
        logicalTypeOptions: {pattern: '\\d+|[a-c].?', maxLength: 5}
        examples: ['12', a-]
      - {name: opened, logicalType: timestamp, required: true, tags: [event_time]}
      - {name: since, logicalType: timestamp, required: true, tags: [feature]}
      - {name: records, logicalType: number, required: true, tags: [feature]}
      - name: größe
        logicalType: number
        tags: [feature]
        logicalTypeOptions: {minimum: -5, maximum: 1000000}
      - {name: field_0, logicalType: integer, tags: [feature]}
      - name: model year
        logicalType: integer
        required: true
        tags: [feature]
        logicalTypeOptions: {minimum: 0.5, maximum: 3000.5}
      - name: class
        logicalType: integer
        required: true
        tags: [feature]
        enum: [{value: 3}, {value: 7}]
      - {name: schema, logicalType: boolean, tags: [feature]}
      - name: note
        logicalType: string
        required: true
        tags: [feature]
        logicalTypeOptions: {minLength: 1, maxLength: 4}
      - {name: free, logicalType: string, tags: [feature]}
      - name: choice
        logicalType: string
        tags: [feature]
        enum: [{value: a}, {value: 'é'}]
      - {name: answer, logicalType: boolean, tags: [target]}
"""
# What may stand in the place of a value, much of which is not JSON.
VALUES = (
    *(
        "null",
        "true",
        "false",
        "0",
        "-0",
        "1",
        "3",
        "7",
        "1.0",
        "3.0",
        "-0.0",
        "1e2",
        "1E+2",
        "0.5",
    ),
    *(
        "1e999",
        "-1e999",
        "1e-999",
        "5e-324",
        "1.7976931348623157e308",
        "NaN",
        "-Infinity",
        "01",
        "1.",
    ),
    *("+1", ".5", "1_0", "0x1", "9" * 19, "9" * 25, "9" * 400, "1e" + "9" * 30, "0." + "1" * 400),
    *("9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809"),
    *(
        "9007199254740993",
        "18446744073709551617",
        "2.2250738585072011e-308",
        "4.9406564584124654e-324",
    ),
    *('""', '"a"', '"aaaa"', '"aaaaa"', '"12"', '"12\\n"', '"a\\u002d"', '"é"', '"\\u00e9"', '"1"'),
    *(
        '"\\ud83d\\ude00"',
        '"😀😀😀😀"',
        '"\\ud800"',
        '"\\udc00\\ud800"',
        '"\\u0000"',
        '"\x01"',
        '"\x7f"',
    ),
    *(
        '"\\x"',
        '"\\/"',
        '"unended',
        "'a'",
        "[]",
        "[1]",
        "{}",
        '{"a": 1}',
        "",
        " ",
        "undefined",
        "1 2",
    ),
    *('"2013-08-15T12:30:00+00:00"', '"2013-08-15T12:30:00Z"', '"2013-08-15 12:30:00z"'),
    *('"2013-08-15T12:30:00"', '"2013-08-15"', '"2013-08-15T12:30Z"', '"1376569800"', '"-1"'),
    *(
        '"2013-08-15T12:30:00.1234567Z"',
        '"2013-08-15T12:30:00.9999999-05:30"',
        '"0000-01-01T00:00Z"',
    ),
    *('"2013-02-29T00:00:00Z"', '"2013-08-15T24:00:00Z"', '"2016-12-31T23:59:60Z"', '"now"'),
)
FILLERS = ("", " ", "\n", "\t \r\n", "\x0b", "\u00a0", "/**/", ",", "\ufeff")


@pytest.fixture(scope="module", params=["everything", "shipped"])
def readers(
    request: pytest.FixtureRequest, contract: Contract
) -> tuple[Contract, Callable[[bytes], Any], type[BaseModel]]:
    chosen = contract if request.param == "shipped" else parse_contract(EVERYTHING)
    return chosen, compile_decoder(chosen, MOST_ROWS), predict_request(chosen, MOST_ROWS)


def read_strictly(model: type[BaseModel], body: bytes) -> Any:
    """Rows and options that the model accepts; None if it rejects the body."""
    try:
        found: Any = model.__pydantic_validator__.validate_json(body)
    except ValidationError:
        return None
    return [tuple(record.__dict__.values()) for record in found.records], found.explain


@st.composite
def bodies(draw: st.DrawFn, contract: Contract) -> bytes:
    """Requests with some values, fields or bytes changed."""
    rows = generate_rows(contract, draw(st.integers(0, MOST_ROWS + 1)), draw(st.integers(0, 99)))
    names = [json.dumps(column.name) for column in contract.request_columns]
    pairs = [[(json.dumps(n), json.dumps(v)) for n, v in row.items()] for row in rows]
    for row in pairs:
        for _ in range(draw(st.sampled_from([0, 0, 0, 1, 1, 2]))):
            added = (draw(st.sampled_from([*names, '"other"', '"field_1"'])), draw(value()))
            at = draw(st.integers(0, len(row)))
            # In the place of another, beside it (so perhaps twice), or nothing in its place.
            row[at : at + draw(st.integers(0, 1))] = [added][: draw(st.integers(0, 4))]
    filler = draw(st.sampled_from([*FILLERS[:1] * 8, *FILLERS]))
    records = ", ".join(
        "{" + ", ".join(f"{name}:{filler}{text}" for name, text in row) + "}" for row in pairs
    )
    explain = draw(st.sampled_from(["", "", ', "explain": true', ', "explain": 1', ', "x": 0']))
    text = filler + '{"records": [' + records + "]" + explain + "}" + filler
    body = text.encode("utf-8", "surrogatepass")
    if body and draw(st.integers(0, 3)) == 0:
        at = draw(st.integers(0, len(body) - 1))
        body = body[:at] + draw(st.binary(max_size=2)) + body[at + draw(st.integers(0, 2)) :]
    return body


def value() -> st.SearchStrategy[str]:
    return st.one_of(
        st.sampled_from(VALUES),
        st.floats().map(json.dumps),
        st.integers().map(str),
        st.text(max_size=6).map(lambda text: json.dumps(text, ensure_ascii=False)),
        st.from_regex(r"-?[0-9]{1,22}(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?", fullmatch=True),
    )


def test_plain_requests_are_taken(readers: Any) -> None:
    contract, decode, _ = readers
    for seed in range(50):
        rows = generate_rows(contract, MOST_ROWS, seed)
        found = decode(json.dumps({"records": rows}).encode())
        assert found is not None
        assert len(found[0]) == MOST_ROWS


@pytest.mark.one_python
@settings(max_examples=GENERATED, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_what_is_taken_is_read_as_the_requests_model_reads_it(readers: Any, data: Any) -> None:
    contract, decode, model = readers
    body = data.draw(bodies(contract))
    found = decode(body)
    if found is not None:
        # Their representations tell 1 from 1.0 and True, 0.0 from -0.0, and zones of one moment.
        assert repr(found) == repr(read_strictly(model, body))


@pytest.mark.parametrize("text", VALUES)
def test_every_value_in_every_field_is_read_as_the_requests_model_reads_it(
    readers: Any, text: str
) -> None:
    contract, decode, model = readers
    (row,) = generate_rows(contract, 1, seed=3)
    for column in contract.request_columns:
        others = {k: json.dumps(v) for k, v in row.items()} | {column.name: text}
        fields = ", ".join(f"{json.dumps(name)}: {given}" for name, given in others.items())
        body = ('{"records": [{' + fields + "}]}").encode("utf-8", "surrogatepass")
        found = decode(body)
        if found is not None:
            assert repr(found) == repr(read_strictly(model, body)), column.name


def test_a_contract_whose_names_need_escapes_leaves_all_to_the_requests_model() -> None:
    contract = parse_contract(EVERYTHING.replace("name: free", """name: 'a "free" one'"""))
    body = json.dumps({"records": generate_rows(contract, 1, seed=1)}).encode()
    assert compile_decoder(contract, MOST_ROWS)(body) is None
