import io
from typing import Any

from fastapi.testclient import TestClient
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from mlchassis.serving.loading import ServedModel


def read_samples(client: TestClient) -> dict[tuple[str, frozenset[Any]], float]:
    text = client.get("/metrics").text
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_requests_rows_and_the_model_are_shown(
    client: TestClient, rows: list[dict[str, Any]], model: ServedModel
) -> None:
    client.post("/predict", json={"records": rows})
    client.post("/predict", json={"records": []})
    client.request("BREW", "/pot-of-coffee")
    samples = read_samples(client)

    def value(metric: str, **labels: str) -> float:
        return samples[metric, frozenset(labels.items())]

    assert value("service_requests_total", route="/predict", method="POST", status="200") == 1
    assert value("service_requests_total", route="/predict", method="POST", status="422") == 1
    assert value("service_requests_total", route="unknown", method="unknown", status="404") == 1
    assert value("service_request_seconds_count", route="/predict") == 2
    assert value("service_predicted_rows_total") == len(rows)
    assert value("service_predictions_in_progress") == 0
    assert value("service_model_info", **model.identity.model_dump()) == 1


def test_two_applications_share_no_metric(client: TestClient) -> None:
    client.get("/health/live")
    global_names = {metric.name for metric in REGISTRY.collect()}
    assert not any(name.startswith("service_") for name in global_names)
    assert io.StringIO(client.get("/metrics").text).readline().startswith("# HELP")
