import io
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from mlchassis.bundle.bundle import read_pointer
from mlchassis.bundle.scorer import Answers
from mlchassis.config.settings import ServiceSettings
from mlchassis.contract.model import Contract
from mlchassis.serving.loading import LoadedModel
from mlchassis.serving.metrics import find_buckets
from mlchassis.serving.statistics import RowStatistics


def read_samples(client: TestClient) -> dict[tuple[str, frozenset[Any]], float]:
    text = client.get("/metrics").text
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_requests_rows_and_the_model_are_shown(
    client: TestClient, rows: list[dict[str, Any]], model: LoadedModel
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


def test_missing_values_and_predictions_are_those_of_the_prediction_log(
    mixed_client: TestClient,
    mixed_rows: list[dict[str, Any]],
    mixed_model: LoadedModel,
    read_log: Callable[[], list[dict[str, Any]]],
) -> None:
    before = read_samples(mixed_client)
    features = [column.name for column in mixed_model.contract.features]
    for feature in features:
        assert before["service_feature_nulls_total", frozenset({("feature", feature)})] == 0
    first, second = mixed_rows
    missing = [{**first, "price": None}, {**second, "price": None, "pieces": None}, first]
    mixed_client.post("/predict", json={"records": missing})
    mixed_client.post("/predict", json={"records": [second]})
    lines = read_log()
    assert len(lines) == 4
    samples = read_samples(mixed_client)
    for feature in features:
        nulls = sum(line["inputs"].get(feature, 0) is None for line in lines)
        assert samples["service_feature_nulls_total", frozenset({("feature", feature)})] == nulls
    assert samples["service_feature_nulls_total", frozenset({("feature", "price")})] == 2
    predicted = Counter(str(line["prediction"]).lower() for line in lines)
    for name in ("false", "true"):
        labels = frozenset({("predicted", name)})
        assert samples["service_predicted_classes_total", labels] == predicted[name]
    positive = [line["probabilities"]["true"] for line in lines]
    assert samples["service_prediction_count", frozenset()] == 4
    assert samples["service_prediction_sum", frozenset()] == pytest.approx(sum(positive))
    for tenth in range(1, 11):
        labels = frozenset({("le", str(tenth / 10))})
        below = sum(value <= tenth / 10 for value in positive)
        assert samples["service_prediction_bucket", labels] == below


@pytest.mark.parametrize(
    ("classes", "edges", "buckets"),
    [
        ((False, True), (), tuple(tenth / 10 for tenth in range(1, 11))),
        (("a", "b", "c"), (), ()),
        ((), (10.0, 20.0), (10.0, 20.0)),
        ((), None, ()),
    ],
)
def test_buckets_are_tenths_of_a_probability_or_ranges_of_the_reference(
    classes: Any, edges: Any, buckets: Any
) -> None:
    cells = SimpleNamespace(prediction=SimpleNamespace(cells=SimpleNamespace(edges=edges)))
    metadata = SimpleNamespace(monitoring=None if edges is None else cells)
    scorer = SimpleNamespace(bundle=SimpleNamespace(metadata=metadata))
    model: Any = SimpleNamespace(contract=SimpleNamespace(classes=classes), scorer=scorer)
    assert find_buckets(model) == buckets


def test_the_statistics_of_numbers_and_of_several_classes(contract: Contract) -> None:
    statistics = RowStatistics(contract)
    row = tuple(None for _ in contract.request_columns)
    numbers = Answers(np.array([1.5, -2.0]), None)
    counted = statistics.count([([row, row], numbers)])
    assert (counted.scores, counted.classes) == ([1.5, -2.0], {})
    optional = [column.name for column in contract.features if not column.required]
    assert counted.nulls == dict.fromkeys(optional, 2)
    several = Answers(np.array([False, True]), np.array([[0.1, 0.2, 0.7], [0.6, 0.2, 0.2]]))
    counted = statistics.count([([row], several)])
    assert (counted.scores, counted.classes) == ([], {"false": 1, "true": 1})


def test_the_time_of_deployment_and_the_backlog_of_the_log_are_shown(
    client: TestClient, rows: list[dict[str, Any]], settings: ServiceSettings, store: Path
) -> None:
    client.post("/predict", json={"records": rows})
    (settings.log_directory / "other.jsonl").write_text("{}\n")
    (settings.log_directory / "compacted.parquet").write_text("no backlog")
    samples = read_samples(client)
    pointer = read_pointer(store)
    assert pointer is not None
    deployed = samples["service_model_deployed_timestamp_seconds", frozenset()]
    assert datetime.fromtimestamp(deployed, UTC) == datetime.fromisoformat(pointer.deployed_at)
    sizes = [path.stat().st_size for path in settings.log_directory.glob("*.jsonl")]
    assert samples["service_prediction_log_segments", frozenset()] == len(sizes) == 2
    assert samples["service_prediction_log_backlog_bytes", frozenset()] == sum(sizes)


def test_two_applications_share_no_metric(client: TestClient) -> None:
    client.get("/health/live")
    global_names = {metric.name for metric in REGISTRY.collect()}
    assert not any(name.startswith("service_") for name in global_names)
    assert io.StringIO(client.get("/metrics").text).readline().startswith("# HELP")
