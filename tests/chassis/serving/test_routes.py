import io
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from jsonschema import Draft202012Validator

from mlchassis.config.settings import ServiceSettings
from mlchassis.contract.model import Contract
from mlchassis.serving.app import create_app
from mlchassis.serving.loading import LoadedModel
from mlchassis.serving.logs.operational import make_logger


def check_against_openapi(app: FastAPI, path: str, method: str, answer: Any) -> None:
    """Validate an answer with the schema that OpenAPI gives for its status."""
    document = app.openapi()
    documented = document["paths"][path][method]["responses"][str(answer.status_code)]
    media_type = answer.headers["content-type"].partition(";")[0]
    schema = documented["content"][media_type]["schema"]
    Draft202012Validator({**schema, "components": document["components"]}).validate(answer.json())
    for header in documented["headers"]:
        assert header in answer.headers


def test_live_never_touches_the_model(client: TestClient, app: FastAPI) -> None:
    answer = client.get("/health/live")
    assert answer.json() == {"status": "alive"}
    check_against_openapi(app, "/health/live", "get", answer)


def test_ready_says_which_model_answers(
    client: TestClient, app: FastAPI, model: LoadedModel
) -> None:
    answer = client.get("/health/ready")
    identity = model.identity.model_dump()
    alone = {model.identity.digest: 1}
    assert answer.json() == {"status": "ready", "model": identity, "processes": alone}
    check_against_openapi(app, "/health/ready", "get", answer)


def test_an_answer_is_as_documented(
    client: TestClient, app: FastAPI, rows: list[dict[str, Any]]
) -> None:
    answer = client.post("/predict", json={"records": rows})
    assert answer.status_code == 200
    check_against_openapi(app, "/predict", "post", answer)


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{", {"Content-Type": "application/json"}, 400),
        (b"{}", {"Content-Type": "text/csv"}, 415),
        (b"{}", {"Content-Type": "application/json"}, 422),
        (b" " * (2 * 1024 * 1024 + 1), {"Content-Type": "application/json"}, 413),
    ],
)
def test_a_problem_is_as_documented(
    client: TestClient, app: FastAPI, body: bytes, headers: dict[str, str], status: int
) -> None:
    answer = client.post("/predict", content=body, headers=headers)
    assert answer.status_code == status
    check_against_openapi(app, "/predict", "post", answer)


def test_openapi_has_every_field_of_the_contract(app: FastAPI, contract: Contract) -> None:
    record = app.openapi()["components"]["schemas"]["Record"]
    assert list(record["properties"]) == [column.name for column in contract.request_columns]
    assert record["additionalProperties"] is False
    for column in contract.request_columns:
        documented = record["properties"][column.name]
        assert documented.get("description", "") == column.description
        assert bool(documented.get("examples")) == bool(column.examples)


def test_an_unknown_method_says_which_are_known(client: TestClient) -> None:
    answer = client.get("/predict")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert answer.json()["type"] == "/docs#method-not-allowed"


PATHS = ["/", "/docs", "/openapi.json", "/health/live", "/health/ready", "/metrics", "/ping"]


@pytest.mark.parametrize("path", [*PATHS, "/health", "/version", "/v2", "/v2/health/live"])
def test_head_answers_as_get_does_without_a_body(client: TestClient, path: str) -> None:
    head, get = client.head(path), client.get(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == get.headers["content-type"]
    assert "x-request-id" in head.headers


def test_head_fails_where_get_does(client: TestClient) -> None:
    assert client.head("/absent").status_code == 404
    refused = client.head("/predict")
    assert (refused.status_code, refused.headers["allow"]) == (405, "POST")
    assert client.post("/ping").headers["allow"] == "GET, HEAD"


def test_head_is_counted_by_its_route(client: TestClient) -> None:
    client.head("/v2/models/the-model")
    line = 'method="HEAD",route="/v2/models/{name}",status="200"'
    labels = set(line.split(","))
    counted = [one for one in client.get("/metrics").text.splitlines() if "HEAD" in one]
    assert any(all(label in one for label in labels) for one in counted)


def test_a_proxys_prefix_is_in_openapi_and_in_problems(
    settings: ServiceSettings, model: LoadedModel, rows: list[dict[str, Any]]
) -> None:
    config = settings.model_copy(update={"root_path": "/models/orders"})
    app = create_app(config, model, make_logger(io.StringIO()))
    with TestClient(app) as client:
        assert client.get("/openapi.json").json()["servers"] == [{"url": "/models/orders"}]
        for prefix in ("", "/models/orders"):
            assert client.post(f"{prefix}/predict", json={"records": rows}).status_code == 200
            problem = client.get(f"{prefix}/v2/models/other").json()
            assert problem["type"] == "/models/orders/docs#no-such-model"
            assert problem["error"] == problem["detail"]
    assert "servers" not in create_app(settings, model, make_logger(io.StringIO())).openapi()
