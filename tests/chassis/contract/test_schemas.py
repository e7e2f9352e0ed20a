"""Requests and tables are validated equally by a contract, and drawn rows pass both."""

import json
import math
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import ml_service
from mlchassis.contract.model import Column, Contract, load_contract, parse_contract
from mlchassis.contract.schemas import example_record, generate_rows, request_model
from mlchassis.contract.table_checks import find_reasons
from mlchassis.data.tables import coerce

# Names that mean something to Pydantic, to pandas or to nobody, and every option of every kind.
AWKWARD = """
apiVersion: v3.2.0
version: 1.0.0
schema:
  - properties:
      - {name: the key, logicalType: string, required: true, tags: [key]}
      - {name: copy, logicalType: number, required: true, tags: [feature]}
      - name: model year
        logicalType: integer
        tags: [feature]
        logicalTypeOptions: {minimum: 0.5}
      - name: model_dump
        logicalType: number
        tags: [feature]
        logicalTypeOptions: {maximum: -5000}
      - {name: schema, logicalType: boolean, tags: [feature]}
      - name: class
        logicalType: integer
        required: true
        tags: [feature]
        enum: [{value: 3}, {value: 7}]
      - name: größe
        logicalType: string
        tags: [feature]
        logicalTypeOptions: {minLength: 2, maxLength: 4}
      - name: a/b.c "d"
        logicalType: string
        required: true
        tags: [feature]
        logicalTypeOptions: {pattern: '\\d+|[a-c].?'}
        examples: ['12', a-]
      - {name: note, logicalType: string, tags: [feature]}
      - {name: opened, logicalType: timestamp, tags: [feature]}
      - {name: index, logicalType: integer, tags: [feature]}
      - {name: answer, logicalType: boolean, tags: [target]}
"""
ONE_COLUMN = """
apiVersion: v3.2.0
version: 1.0.0
schema:
  - properties:
      - {name: word, logicalType: string, tags: [feature], enum: [{value: 'NO'}, {value: "a\\n"}]}
      - {name: answer, logicalType: number, tags: [target]}
"""


@pytest.fixture(scope="module", params=["shipped", "awkward", "one column"])
def any_contract(request: pytest.FixtureRequest, contract: Contract) -> Contract:
    synthetic = {"awkward": AWKWARD, "one column": ONE_COLUMN}
    return parse_contract(synthetic[request.param]) if request.param in synthetic else contract


EDGES: dict[str, list[Any]] = {
    "number": [0.0, -0.0, 0.25, 1e308, -1e308, math.inf, -math.inf],
    "integer": [0, 1, 2**63 - 1, -(2**63)],
    "boolean": [True, False],
    "string": [
        *("", "a", "aa", "aaaa", "aaaaa", "\n", "é", "\U0001f6eb" * 4, "\U0001f6eb" * 5),
        # What the dialects of regular expressions take differently.
        *("12", "12\n", "\n12", "١٢", "a-", "a-\n", "a\n", "ab12", "12ab", "b\r", "MIA", "MIA\n"),
        *("x" * 64, "x" * 65, "x" * 256, "x" * 257),
    ],
    "timestamp": ["2013-08-15T12:30:00+00:00", "1900-01-01T00:00:00-11:00"],
}


def around(limit: float | None, *, whole: bool) -> list[float]:
    if limit is None:
        return []
    if whole:
        return [math.floor(limit) + step for step in (-1, 0, 1)]
    return [limit, math.nextafter(limit, -math.inf), math.nextafter(limit, math.inf)]


def edges(column: Column) -> list[Any]:
    """Values at the edge of what the contract allows, and beyond."""
    whole = column.kind == "integer"
    limits = [*around(column.minimum, whole=whole), *around(column.maximum, whole=whole)]
    return [None, *(column.values or ()), *column.examples, *limits, *EDGES[column.kind]]


def values(column: Column) -> st.SearchStrategy[Any]:
    kinds: dict[str, Any] = {
        "number": st.floats(allow_nan=False),
        "integer": st.integers(-(2**63), 2**63 - 1),
        "boolean": st.booleans(),
        "string": st.one_of(st.text(max_size=6), st.text("abc1٣-\n", max_size=5)),
        "timestamp": st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat),
    }
    return st.one_of(st.sampled_from(edges(column)), kinds[column.kind])


def mutate(data: st.DataObject, row: dict[str, Any], contract: Contract) -> dict[str, Any]:
    """The row with some features changed; the key and the time are optional in requests alone."""
    changed = data.draw(st.lists(st.sampled_from(contract.features), max_size=3))
    return row | {column.name: data.draw(values(column)) for column in changed}


def make_table(rows: list[dict[str, Any]], contract: Contract) -> pd.DataFrame:
    columns = {c.name: [row.get(c.name) for row in rows] for c in contract.columns}
    frame = pd.DataFrame({name: pd.Series(v, dtype=object) for name, v in columns.items()})
    return coerce(frame, contract)


def find_broken(rows: list[dict[str, Any]], contract: Contract) -> set[int]:
    """The positions of rows that would go to quarantine.

    Keys are allowed to come again, and what no request holds need not be there.
    """
    asked = contract.request_columns
    columns = (
        replace(c, roles=c.roles - {"key"}, required=c.required and c in asked)
        for c in contract.columns
    )
    lenient = replace(contract, columns=tuple(columns))
    return set(find_reasons(make_table(rows, lenient), lenient).index)


def find_refused(rows: list[dict[str, Any]], contract: Contract) -> set[int]:
    """The positions of rows that the request model refuses, decoded from JSON as in the API."""
    model = request_model(contract)
    refused = set()
    for position, row in enumerate(rows):
        try:
            model.model_validate_json(json.dumps(row))
        except ValidationError:
            refused.add(position)
    return refused


def test_a_request_with_a_value_at_the_edge_is_refused_exactly_when_its_row_would_be(
    any_contract: Contract,
) -> None:
    (good,) = generate_rows(any_contract, 1, seed=1)
    cases = [(column.name, value) for column in any_contract.features for value in edges(column)]
    rows = [good | {name: value} for name, value in cases]
    broken, refused = find_broken(rows, any_contract), find_refused(rows, any_contract)

    assert [cases[position] for position in broken ^ refused] == []
    assert 0 < len(broken) < len(rows)


@pytest.mark.one_python
@settings(
    max_examples=5,
    deadline=None,
    derandomize=True,
    # Shrinking a table takes minutes, and the rows that differ are short enough.
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)
@given(data=st.data(), count=st.integers(1, 80), seed=st.integers(0, 1000))
def test_a_request_is_refused_exactly_when_its_row_would_be(
    any_contract: Contract, data: st.DataObject, count: int, seed: int
) -> None:
    rows = [mutate(data, row, any_contract) for row in generate_rows(any_contract, count, seed)]

    broken, refused = find_broken(rows, any_contract), find_refused(rows, any_contract)

    assert [rows[position] for position in broken ^ refused] == []


def test_generated_rows_keep_the_contract(any_contract: Contract) -> None:
    rows = generate_rows(any_contract, 200, seed=5)

    assert find_refused(rows, any_contract) == set()
    assert find_broken(rows, any_contract) == set()


def test_generated_rows_leave_out_only_what_is_optional(contract: Contract) -> None:
    rows = generate_rows(contract, 200, seed=5)
    left_out = {c.name for c in contract.request_columns if any(c.name not in r for r in rows)}

    assert left_out == {c.name for c in contract.request_columns if not c.required}


def test_the_same_seed_gives_the_same_rows(any_contract: Contract) -> None:
    assert generate_rows(any_contract, 9, seed=1) == generate_rows(any_contract, 9, seed=1)
    assert generate_rows(any_contract, 9, seed=1) != generate_rows(any_contract, 9, seed=2)


def test_the_contracts_own_examples_keep_it(contract: Contract) -> None:
    most = max(len(column.examples) for column in contract.request_columns)
    records = [example_record(contract, position) for position in range(most)]

    assert find_refused(records, contract) == set()


def test_the_request_on_the_samples_page_keeps_the_contract() -> None:
    root = Path(ml_service.__file__).parents[2]
    page = (root / "docs" / "sample.md").read_text(encoding="utf-8")
    (body,) = re.findall(
        r"curl \S+/predict -H 'Content-Type: application/json' -d '(.*?)'", page, re.DOTALL
    )
    contract = load_contract(root / "contract.yaml")
    assert find_refused(json.loads(body)["records"], contract) == set()


def test_absent_equals_null(contract: Contract) -> None:
    model = request_model(contract)
    optional = [c.name for c in contract.request_columns if not c.required]
    record = {n: v for n, v in example_record(contract).items() if n not in optional}

    assert model.model_validate(record) == model.model_validate(
        record | dict.fromkeys(optional, None)
    )


def test_key_and_event_time_may_be_left_out_of_a_request(contract: Contract) -> None:
    features = {column.name for column in contract.features}
    record = {n: v for n, v in example_record(contract).items() if n in features}

    assert find_refused([record], contract) == set()


def test_a_record_keeps_the_columns_names_whatever_they_mean_to_pydantic() -> None:
    contract = parse_contract(AWKWARD)
    (row,) = generate_rows(contract, 1, seed=3)
    record = request_model(contract).model_validate_json(json.dumps(row))

    assert set(vars(record)) == {column.name for column in contract.request_columns}


WRONG = [
    ("unknown", 1),
    ("late", True),
    ("dep_delay", 3.0),
    ("distance", "1400"),
    ("distance", True),
    ("distance", None),
    ("distance", math.inf),
    ("distance", math.nan),
    ("departure_minute", 10.5),
    ("departure_minute", 2**70),
    ("carrier", "ZZ"),
    ("carrier", 9),
    ("destination", "MIA\nX"),
    ("destination", ""),
    ("destination", "xMIA"),
    ("scheduled_departure", 1376569800),
    ("scheduled_departure", "1376569800"),
    ("scheduled_departure", "2013-08-15T12:30:00"),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_record_with_a_wrong_value_is_refused(contract: Contract, name: str, value: Any) -> None:
    assert find_refused([example_record(contract) | {name: value}], contract) == {0}


def test_a_key_that_comes_twice_is_refused_in_a_table(contract: Contract) -> None:
    table = make_table(generate_rows(contract, 3, seed=3), contract)
    assert contract.key is not None
    table[contract.key.name] = pd.array(
        ["2013-08-15T12-UA-1-EWR", "2013-08-15T12-UA-2-EWR", "2013-08-15T12-UA-1-EWR"],
        dtype="string",
    )

    reasons = find_reasons(table, contract)

    assert reasons.to_dict() == dict.fromkeys([0, 2], f"{contract.key.name}: is there twice")


def test_the_schema_of_optional_text_allows_the_empty_text_that_is_read_as_missing() -> None:
    contract = parse_contract("""
apiVersion: v3.2.0
version: 1.0.0
name: parcels
schema:
  - properties:
      - {name: at, logicalType: timestamp, tags: [feature]}
      - name: code
        logicalType: string
        logicalTypeOptions: {pattern: "[A-Z]{2}"}
        examples: [AB]
        tags: [feature]
      - {name: note, logicalType: string, tags: [feature]}
      - {name: late, logicalType: boolean, tags: [target]}
""")
    model = request_model(contract)
    properties = model.model_json_schema()["properties"]

    empty = {"type": "string", "maxLength": 0}
    assert [name for name, schema in properties.items() if empty in schema["anyOf"]] == [
        "at",
        "code",
    ]
    assert model.model_validate({"at": "", "code": "", "note": ""}).model_dump() == {
        "at": None,
        "code": None,
        "note": None,
    }
