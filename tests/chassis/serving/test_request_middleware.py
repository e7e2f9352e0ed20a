import io
import json
from dataclasses import replace
from typing import Any

from fastapi.testclient import TestClient

from mlchassis.bundle.scorer import Answers, Scorer
from mlchassis.config.settings import ServiceSettings
from mlchassis.contract.model import Contract
from mlchassis.features.encoding import Columns
from mlchassis.serving.app import create_app
from mlchassis.serving.auth import HEALTH_PATHS
from mlchassis.serving.loading import LoadedModel
from mlchassis.serving.logs.operational import make_logger


def test_a_log_line_says_what_happened_and_no_feature(
    client: TestClient, contract: Contract, rows: list[dict[str, Any]], operational_log: io.StringIO
) -> None:
    free = [c.name for c in contract.features if c.kind == "string" and c.values is None]
    # Where no column takes any word, the record is refused, and its value is as secret.
    name = [*free, contract.features[0].name][0]
    client.post("/predict", json={"records": [{**rows[0], name: "SECRET"}]})
    client.post("/predict", json={"records": [{**rows[0], "SECRET": "SECRET"}]})
    client.get("/SECRET?key=SECRET")
    lines = [json.loads(line) for line in operational_log.getvalue().splitlines()]
    found = [(line["method"], line["route"]) for line in lines]
    assert found == [("POST", "/predict"), ("POST", "/predict"), ("GET", "unknown")]
    assert "SECRET" not in operational_log.getvalue()


def test_an_unforeseen_failure_is_a_problem_without_its_message(
    settings: ServiceSettings, model: LoadedModel, rows: list[dict[str, Any]]
) -> None:
    class Broken(Scorer):
        def score(self, columns: Columns) -> Answers:
            raise ValueError("SECRET")

    log = io.StringIO()
    broken = replace(model, scorer=Broken(model.scorer.bundle, model.scorer.features))
    with TestClient(create_app(settings, broken, make_logger(log))) as client:
        answer = client.post("/predict", json={"records": rows})
    failure = json.loads(log.getvalue().splitlines()[0])
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert failure["request_id"] == answer.json()["request_id"]
    assert failure["error"] == "ValueError"
    assert "SECRET" not in answer.text + log.getvalue()


def test_no_access_log_means_none(
    settings: ServiceSettings, model: LoadedModel, rows: list[dict[str, Any]]
) -> None:
    log = io.StringIO()
    quiet = create_app(settings.model_copy(update={"access_log": False}), model, make_logger(log))
    with TestClient(quiet) as client:
        client.post("/predict", json={"records": rows})
    assert log.getvalue() == ""


def test_polls_of_machines_are_left_out_of_the_access_log(
    client: TestClient, operational_log: io.StringIO
) -> None:
    for path in (*HEALTH_PATHS, "/metrics"):
        assert client.get(path).status_code == 200
    assert operational_log.getvalue() == ""
    client.get("/version")
    assert json.loads(operational_log.getvalue())["route"] == "/version"
