import csv
import io
import json
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from fastapi.testclient import TestClient

from mlchassis.contract.model import Contract
from mlchassis.serving.loading import LoadedModel

SECRET = "x-secret-x"


@pytest.fixture(scope="module")
def mlflow_client(
    bundle_path: Path,
    full_rows: list[dict[str, Any]],
    tmp_path_factory: pytest.TempPathFactory,
    load_registered: Callable[..., Any],
    model: LoadedModel,
) -> TestClient:
    """MLflow's own scoring server over the same bundle."""
    from mlflow.models import infer_signature
    from mlflow.pyfunc import scoring_server

    path = tmp_path_factory.mktemp("mlflow") / "model"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Whole numbers cannot be missing.
        signature = infer_signature(pd.DataFrame(full_rows))
    loaded = load_registered(bundle_path, model.scorer.features, signature, path)
    return TestClient(scoring_server.init(loaded))


@pytest.fixture(scope="module")
def full_rows(contract: Contract, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The features alone, without holes: MLflow's forms have no word for a missing number."""
    names = {column.name for column in contract.features}
    whole = {k: v for row in rows for k, v in row.items() if k in names}
    return [{name: row.get(name, value) for name, value in whole.items()} for row in rows]


def body_of(form: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    names = list(rows[0])
    forms: dict[str, Any] = {
        "dataframe_split": {"columns": names, "data": [list(row.values()) for row in rows]},
        "dataframe_records": rows,
        "instances": rows,
        "inputs": {name: [row[name] for row in rows] for name in names},
    }
    return {form: forms[form]}


@pytest.mark.parametrize("form", ["dataframe_split", "dataframe_records", "instances", "inputs"])
def test_mlflow_answers_each_form_alike(
    client: TestClient, mlflow_client: TestClient, full_rows: list[dict[str, Any]], form: str
) -> None:
    body = body_of(form, full_rows)
    ours, theirs = (c.post("/invocations", json=body) for c in (client, mlflow_client))
    assert (ours.status_code, theirs.status_code) == (200, 200)
    assert ours.json() == theirs.json()


def test_mlflows_client_is_understood(
    client: TestClient, mlflow_client: TestClient, full_rows: list[dict[str, Any]]
) -> None:
    from mlflow.utils.proto_json_utils import dump_input_data

    body = dump_input_data(pd.DataFrame(full_rows))
    headers = {"Content-Type": "application/json"}
    ours, theirs = (
        c.post("/invocations", content=body, headers=headers) for c in (client, mlflow_client)
    )
    assert ours.status_code == 200
    assert ours.json() == theirs.json()
    for path in ("/ping", "/health", "/version"):
        assert client.get(path).status_code == mlflow_client.get(path).status_code == 200


def test_a_table_in_csv_is_answered_as_its_records(
    client: TestClient, mlflow_client: TestClient, full_rows: list[dict[str, Any]]
) -> None:
    table = io.StringIO()
    pd.DataFrame(full_rows).to_csv(table, index=False)
    headers = {"Content-Type": "text/csv; charset=utf-8"}
    ours, theirs = (
        c.post("/invocations", content=table.getvalue(), headers=headers)
        for c in (client, mlflow_client)
    )
    assert ours.status_code == 200, ours.text
    assert ours.json() == theirs.json()


def ask_csv(client: TestClient, lines: list[list[Any]], media_type: str) -> Any:
    table = io.StringIO()
    csv.writer(table).writerows(lines)
    headers = {"Content-Type": media_type}
    return client.post("/invocations", content=table.getvalue(), headers=headers)


@pytest.mark.parametrize("part", ["features", "request_columns"])
def test_lines_without_a_header_are_in_the_contracts_order(
    client: TestClient, contract: Contract, rows: list[dict[str, Any]], part: str
) -> None:
    names = [c.name for c in contract.columns if c in getattr(contract, part)]
    lines = [[row.get(name) for name in names] for row in rows]
    said = ask_csv(client, [names, *lines], "text/csv; header=present; charset=utf8")
    assert said.status_code == 200, said.text
    assert ask_csv(client, [names, *lines], "text/csv").json() == said.json()
    for media_type in ("text/csv; header=absent", 'text/csv;charset=UTF-8;Header="ABSENT"'):
        assert ask_csv(client, lines, media_type).json() == said.json()
    # Nobody said that the header is absent: the first row is not taken for one, nor lost.
    refused = ask_csv(client, lines, "text/csv")
    assert refused.status_code == 422
    assert "header=absent" in refused.json()["detail"]


def test_a_single_line_without_a_header_is_answered(
    mixed_client: TestClient, mixed_rows: list[dict[str, Any]]
) -> None:
    line = [*mixed_rows[0].values()]
    answer = ask_csv(mixed_client, [line], "text/csv; header=absent")
    assert len(answer.json()["predictions"]) == 1
    assert ask_csv(mixed_client, [line[:-1]], "text/csv; header=absent").status_code == 422


@pytest.mark.parametrize("parameter", ["header=maybe", "delimiter=;", "quote=none", "header"])
def test_a_parameter_of_csv_that_is_not_read_is_refused(
    client: TestClient, full_rows: list[dict[str, Any]], parameter: str
) -> None:
    lines = [list(full_rows[0]), list(full_rows[0].values())]
    assert ask_csv(client, lines, f"text/csv; {parameter}").status_code == 415


def test_holes_in_a_table_and_nulls_are_one(
    client: TestClient, model: LoadedModel, rows: list[dict[str, Any]]
) -> None:
    table = io.StringIO()
    pd.DataFrame(rows, dtype=object).to_csv(table, index=False)
    records = json.loads(pd.DataFrame(rows, dtype=object).to_json(orient="records"))
    said = client.post(
        "/invocations", content=table.getvalue(), headers={"Content-Type": "text/csv"}
    )
    nulls = client.post("/invocations", json={"dataframe_records": records})
    assert said.status_code == 200, said.text
    assert said.json() == nulls.json()
    found = [answer["prediction"] for answer in said.json()["predictions"]]
    assert found == model.scorer.score_rows(rows).values.tolist()


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (b"[]", "/"),
        (b"{}", "/"),
        (b'{"dataframe_records": [], "instances": []}', "/"),
        (b'{"dataframe_records": [{}], "params": {"a": 1}}', "/"),
        (b'{"dataframe_records": [{}], "x-secret-x": 1}', "/"),
        (b'{"dataframe_records": []}', "/dataframe_records"),
        (b'{"dataframe_records": 1}', "/dataframe_records"),
        (b'{"instances": [[1, 2]]}', "/instances"),
        (b'{"inputs": [1]}', "/inputs"),
        (b'{"inputs": {"origin": "x-secret-x"}}', "/inputs"),
        (b'{"inputs": {}}', "/inputs"),
        (b'{"inputs": {"a": [1], "b": []}}', "/inputs"),
        (b'{"dataframe_split": []}', "/dataframe_split"),
        (b'{"dataframe_split": {"columns": []}}', "/dataframe_split"),
        (b'{"dataframe_split": {"columns": [1], "data": []}}', "/dataframe_split/columns"),
        (b'{"dataframe_split": {"columns": ["a", "a"], "data": []}}', "/dataframe_split/columns"),
        (b'{"dataframe_split": {"columns": ["a"], "data": [[]]}}', "/dataframe_split/data"),
        (b'{"dataframe_split": {"columns": ["a"], "data": 1}}', "/dataframe_split/data"),
    ],
)
def test_what_is_no_form_is_refused_where_it_is_not(
    client: TestClient, body: bytes, pointer: str
) -> None:
    headers = {"Content-Type": "application/json"}
    answer = client.post("/invocations", content=body, headers=headers)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"] == pointer
    assert SECRET not in answer.text


@pytest.mark.parametrize("form", ["dataframe_split", "dataframe_records", "instances", "inputs"])
def test_a_broken_value_is_named_by_its_place_in_the_form(
    mixed_client: TestClient, mixed_rows: list[dict[str, Any]], form: str
) -> None:
    broken = [mixed_rows[0], {**mixed_rows[1], "price": SECRET}]
    place = {"dataframe_split": "/dataframe_split/data/1/1", "inputs": "/inputs/price/1"}
    answer = mixed_client.post("/invocations", json=body_of(form, broken))
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == place.get(form, f"/{form}/1/price")
    assert SECRET not in answer.text


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity", b"1e999"])
def test_what_is_no_number_in_json_is_refused(
    mixed_client: TestClient, mixed_rows: list[dict[str, Any]], number: bytes
) -> None:
    others = {key: value for key, value in mixed_rows[0].items() if key != "price"}
    body = b'{"dataframe_records": [%s, "price": %s}]}'
    headers = {"Content-Type": "application/json"}

    def ask(number: bytes) -> int:
        content = body % (json.dumps(others).encode()[:-1], number)
        return mixed_client.post("/invocations", content=content, headers=headers).status_code

    assert ask(b"1.5") == 200
    assert ask(number) in {400, 422}


@pytest.mark.parametrize(
    ("table", "status"),
    [
        (b"", 400),
        (b"\n\n", 400),
        (b"\xff\xfe", 400),
        (b'a\n"b', 400),
        (b"a,a\n1,2", 422),
        (b"a,b\n1", 422),
        (b"a\n1", 422),
        (b"a\0b\n1", 422),
    ],
)
def test_what_is_no_table_is_refused(client: TestClient, table: bytes, status: int) -> None:
    answer = client.post("/invocations", content=table, headers={"Content-Type": "text/csv"})
    assert answer.status_code == status, answer.text
    assert answer.json()["status"] == status


def test_too_many_rows_are_refused(client: TestClient, full_rows: list[dict[str, Any]]) -> None:
    answer = client.post("/invocations", json={"instances": full_rows[:1] * 51})
    assert answer.status_code == 422
    assert "at most 50" in answer.json()["detail"]


def test_a_missing_column_is_named(
    mixed_client: TestClient, mixed_rows: list[dict[str, Any]]
) -> None:
    rows = [{name: value for name, value in row.items() if name != "shop"} for row in mixed_rows]
    answer = mixed_client.post("/invocations", json=body_of("dataframe_split", rows))
    assert answer.json()["errors"][0]["pointer"] == "/dataframe_split/columns/shop"


@pytest.fixture
def _default_field_limit() -> Iterator[None]:
    """The limit of the service's process, whatever a source has set in this one."""
    before = csv.field_size_limit(131_072)
    yield
    csv.field_size_limit(before)


@pytest.mark.usefixtures("_default_field_limit")
@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ("", "it is empty"),
        ('shop\n"north\n', "it is misquoted"),
        ("shop\n" + "x" * 140_000, "a field has more than 131072 characters"),
    ],
    ids=["empty", "misquoted", "long"],
)
def test_a_body_that_is_no_table_is_told_why(
    mixed_client: TestClient, table: str, reason: str
) -> None:
    answer = mixed_client.post("/invocations", content=table, headers={"Content-Type": "text/csv"})
    assert answer.status_code == 400
    assert answer.json()["detail"] == f"This is not a table: {reason}."
