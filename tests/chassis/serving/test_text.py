"""Text means the same in every request, as in the cells of a table: normalized, or missing."""

import csv
import io
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from mlchassis.contract.model import Contract
from mlchassis.serving.protocols.open_inference import DATATYPES

Row = dict[str, Any]


def ask_predict(client: TestClient, _contract: Contract, rows: list[Row]) -> Any:
    answer = client.post("/predict", json={"records": rows})
    assert answer.status_code == 200, answer.text
    return [
        [p["prediction"], *(p.get("probabilities") or {}).values()]
        for p in answer.json()["predictions"]
    ]


def ask_inputs(client: TestClient, contract: Contract, rows: list[Row]) -> Any:
    tensors = [
        {
            "name": column.name,
            "shape": [len(rows)],
            "datatype": DATATYPES[column.kind][0],
            "data": [row.get(column.name) for row in rows],
        }
        for column in contract.features
    ]
    answer = client.post("/v2/models/the-model/infer", json={"inputs": tensors})
    assert answer.status_code == 200, answer.text
    return [list(row) for row in zip(*(t["data"] for t in answer.json()["outputs"]), strict=True)]


def ask_form(path: str, form: str) -> Callable[[TestClient, Contract, list[Row]], Any]:
    def ask(client: TestClient, _contract: Contract, rows: list[Row]) -> Any:
        answer = client.post(path, json={form: rows})
        assert answer.status_code == 200, answer.text
        return [list(row.values()) for row in answer.json()["predictions"]]

    return ask


def ask_csv(client: TestClient, contract: Contract, rows: list[Row]) -> Any:
    names = [column.name for column in contract.features]
    table = io.StringIO()
    csv.writer(table).writerows([names, *([row.get(n) for n in names] for row in rows)])
    headers = {"Content-Type": "text/csv"}
    answer = client.post("/invocations", content=table.getvalue().encode(), headers=headers)
    assert answer.status_code == 200, answer.text
    return [list(row.values()) for row in answer.json()["predictions"]]


WAYS = {
    "/predict": ask_predict,
    "/v2": ask_inputs,
    "/invocations": ask_form("/invocations", "dataframe_records"),
    "/v1": ask_form("/v1/models/the-model:predict", "instances"),
    "CSV": ask_csv,
}


@pytest.mark.parametrize("way", list(WAYS))
@pytest.mark.parametrize("surround", [" {} ", "\u00a0{}\u200b", "\ufeff{}\n", "\t{}\u2060"])
def test_whitespace_around_text_changes_no_answer(
    client: TestClient, contract: Contract, rows: list[Row], way: str, surround: str
) -> None:
    words = {column.name for column in contract.features if column.kind == "string"}
    features = {column.name for column in contract.features}
    plain = [{n: v for n, v in row.items() if n in features} for row in rows]
    spaced = [{n: surround.format(v) if n in words else v for n, v in row.items()} for row in plain]
    assert WAYS[way](client, contract, spaced) == ask_predict(client, contract, plain)


@pytest.mark.parametrize("way", list(WAYS))
@pytest.mark.parametrize("blank", ["", "  ", "\u00a0", "\u200b"])
def test_blank_text_is_a_missing_value(
    client: TestClient, contract: Contract, rows: list[Row], way: str, blank: str
) -> None:
    optional = {c.name for c in contract.features if c.kind == "string" and not c.required}
    features = {column.name for column in contract.features}
    present = [{n: v for n, v in row.items() if n in features} for row in rows]
    absent = [{n: v for n, v in row.items() if n not in optional} for row in present]
    blanked = [{**row, **dict.fromkeys(optional, blank)} for row in absent]
    assert WAYS[way](client, contract, blanked) == ask_predict(client, contract, absent)


@pytest.mark.parametrize("blank", ["", "\u00a0"])
def test_blank_text_is_refused_where_a_value_is_required(
    client: TestClient, contract: Contract, rows: list[Row], blank: str
) -> None:
    required = [c.name for c in contract.features if c.kind == "string" and c.required]
    for name in required:
        answer = client.post("/predict", json={"records": [{**rows[0], name: blank}]})
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["pointer"] == f"/records/0/{name}"
