"""Checks of the API with a project's own contract and features, on a small bundle of chance."""

import io
import json
import os
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

import numpy as np
import pytest
from fastapi.testclient import TestClient

from mlchassis.bundle.bundle import deploy_bundle
from mlchassis.config.settings import ServiceSettings
from mlchassis.contract.model import Contract
from mlchassis.contract.schemas import generate_rows
from mlchassis.features.code import FeatureFunction, load_feature_code
from mlchassis.paths import Paths
from mlchassis.serving.app import create_app
from mlchassis.serving.loading import load_model
from mlchassis.serving.logs.operational import make_logger
from mlchassis.serving.protocols.open_inference import DATATYPES
from mlchassis.serving.service import Service
from mlchassis.testing.bundle import make_bundle
from mlchassis.testing.checks import Suite, require
from mlchassis.testing.hostile_bodies import MARK, list_hostile_bodies
from mlchassis.testing.rows import Row

MODEL = "tested"
ROWS = 20
PROBLEM = "application/problem+json"
MEMBERS = frozenset({"type", "title", "status", "detail", "request_id"})
"""Members of every problem document (RFC 9457)."""
HEALTH = ("/health/live", "/health/ready", "/ping", "/v2/health/ready", "/version", "/metrics")
PAGES = ("/", "/docs", "/openapi.json")

Protocol = Literal["predict", "invocations", "open_inference"]


class ServiceSuite(Suite):
    """Tests of a project's service.

    Attributes:
        service: The service that is tested.
    """

    service: ClassVar[Service]

    @classmethod
    def find_features(cls) -> FeatureFunction:
        """Return the service's feature function."""
        return cls.service.features

    @pytest.fixture(scope="class")
    @classmethod
    def log_directory(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        """The folder of the prediction log."""
        return tmp_path_factory.mktemp("service") / "log"

    @pytest.fixture(scope="class")
    @classmethod
    def client(
        cls, paths: Paths, log_directory: Path, tmp_path_factory: pytest.TempPathFactory
    ) -> Iterator[TestClient]:
        """A client of the service in this process, with a bundle that is made from the contract."""
        place = tmp_path_factory.mktemp("bundles")
        features = load_feature_code(cls.service.features)
        text = paths.contract.read_text(encoding="utf-8")
        deploy_bundle(
            make_bundle(place / "bundle", text, features), place / "store", MODEL, "1", features
        )
        with pytest.MonkeyPatch.context() as patch:
            for name in [name for name in os.environ if name.startswith("SERVICE_")]:
                patch.delenv(name)
            settings = ServiceSettings(
                store=place / "store", log_directory=log_directory, allowed_hosts=("testserver",)
            )
        model = load_model(settings.store, features, settings.max_rows)
        app = create_app(settings, model, make_logger(io.StringIO()), service=cls.service)
        with TestClient(app, raise_server_exceptions=False) as client:
            yield client

    def test_the_service_is_ready(self, client: TestClient) -> None:
        """Probes, metrics and pages answer once the bundle is loaded."""
        require(
            f"GET {path} answers {status}; see the service's log."
            for path in (*HEALTH, *PAGES)
            if (status := client.get(path).status_code) != 200
        )

    @pytest.mark.parametrize("protocol", get_args(Protocol))
    def test_generated_rows_get_predictions(
        self, client: TestClient, contract: Contract, protocol: Protocol
    ) -> None:
        """Every row that keeps the contract is answered, in every protocol."""
        rows = generate_rows(contract, ROWS, seed=21)
        require(find_unpredicted(client, protocol, contract, rows))

    def test_the_examples_of_the_documentation_get_predictions(self, client: TestClient) -> None:
        """Clients begin with a copy of what /docs shows."""
        require(find_wrong_documentation(client))

    def test_hostile_bodies_get_problem_details_without_their_values(
        self, client: TestClient, contract: Contract
    ) -> None:
        """A refusal names the place and the rule; a body may hold a person's data."""
        require(
            chain.from_iterable(
                find_wrong_refusal(client, case.name, case.path, case.content)
                for case in list_hostile_bodies(contract, MODEL)
            )
        )

    def test_the_prediction_log_holds_no_personal_column(
        self, client: TestClient, contract: Contract, log_directory: Path
    ) -> None:
        """Columns tagged `pii` are left out of every log."""
        rows = generate_rows(contract, ROWS, seed=23)
        require(find_unpredicted(client, "predict", contract, rows))
        require(find_logged_persons(log_directory, contract))


def find_unpredicted(
    client: TestClient, protocol: Protocol, contract: Contract, rows: list[Row]
) -> Iterator[str]:
    """Yield a sentence if rows that keep the contract get no predictions in a protocol."""
    path, body = write_request(protocol, contract, rows)
    answer = client.post(path, json=body)
    if answer.status_code != 200:
        yield (
            f"POST {path} answers {answer.status_code} to rows that keep contract.yaml: "
            f"{answer.text[:300]}"
        )
        return
    predictions = read_predictions(answer.json())
    if len(predictions) != len(rows):
        yield f"POST {path} gives {len(predictions)} predictions for {len(rows)} rows."
    numbers = [value for value in predictions if isinstance(value, float)]
    if None in predictions or not np.isfinite(numbers).all():
        yield f"POST {path} gives a prediction that is not a value; see features.py for NaN."


def write_request(
    protocol: Protocol, contract: Contract, rows: list[Row]
) -> tuple[str, dict[str, Any]]:
    """Return the path and the body that ask for rows in a protocol."""
    if protocol == "predict":
        return "/predict", {"records": rows}
    if protocol == "invocations":
        return "/invocations", {"dataframe_records": rows}
    tensors = [
        {
            "name": column.name,
            "shape": [len(rows)],
            "datatype": DATATYPES[column.kind][0],
            "data": [row.get(column.name) for row in rows],
        }
        for column in contract.request_columns
    ]
    return f"/v2/models/{MODEL}/infer", {"inputs": tensors}


def read_predictions(document: dict[str, Any]) -> list[Any]:
    """Return the predictions of an answer in any protocol."""
    if "outputs" in document:
        outputs = {output["name"]: output["data"] for output in document["outputs"]}
        return list(outputs["prediction"])
    return [p.get("prediction") if isinstance(p, dict) else p for p in document["predictions"]]


def find_wrong_documentation(client: TestClient) -> Iterator[str]:
    """Yield a sentence for each example of the OpenAPI document that is not answered."""
    document = client.get("/openapi.json").json()
    for path, operations in document["paths"].items():
        body = operations.get("post", {}).get("requestBody", {}).get("content", {})
        address = path.replace("{name}", MODEL).replace("{version}", "1")
        for media_type, example in _list_examples(body, document):
            content = example if isinstance(example, str) else json.dumps(example)
            headers = {"content-type": media_type}
            answer = client.post(address, content=content, headers=headers)
            if answer.status_code != 200:
                yield (
                    f"POST {address} answers {answer.status_code} to an example of its own "
                    f"documentation ({media_type}): {answer.text[:300]}; correct `examples` in "
                    "contract.yaml, and give each required column one."
                )


def _list_examples(body: Mapping[str, Any], document: Any) -> Iterator[tuple[str, Any]]:
    for media_type, content in body.items():
        schema = content.get("schema", {})
        reference = schema.get("$ref", "").rpartition("/")[2]
        schema = document["components"]["schemas"].get(reference, schema)
        for example in schema.get("examples", []):
            yield media_type, example
        for entry in content.get("examples", {}).values():
            yield media_type, entry["value"]
        if "example" in content:
            yield media_type, content["example"]


def find_wrong_refusal(client: TestClient, name: str, path: str, content: bytes) -> Iterator[str]:
    """Yield a sentence for each rule that the answer to a hostile body breaks."""
    answer = client.post(path, content=content, headers={"content-type": "application/json"})
    asked = f"POST {path} with {name}"
    if not 400 <= answer.status_code < 500:
        yield f"{asked} answers {answer.status_code} instead of a problem of the client."
        return
    if answer.headers["content-type"] != PROBLEM or not answer.json().keys() >= MEMBERS:
        yield f"{asked} answers without problem details: {answer.text[:200]}"
    if MARK in answer.text:
        yield f"{asked} repeats a value of the body, which may be a person's."


def find_logged_persons(log_directory: Path, contract: Contract) -> Iterator[str]:
    """Yield a sentence for each column tagged `pii` that a line of the prediction log names."""
    lines = [
        line
        for path in sorted(log_directory.glob("*.jsonl"))
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    if not lines:
        yield f"The prediction log in {log_directory.name} has no line, though rows were answered."
    for name in list_personal(contract):
        if any(name in json.loads(line)["inputs"] for line in lines):
            yield f"The prediction log holds '{name}', which contract.yaml tags as pii."


def list_personal(contract: Contract) -> list[str]:
    """Return the names of the columns about persons."""
    return [column.name for column in contract.pii]
