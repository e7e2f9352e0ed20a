"""The histogram of predictions shows what prometheus_client's own one shows."""

import math
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from mlchassis.serving.prediction_histogram import NAME, PredictionHistogram, ShownMetrics

TENTHS = tuple(number / 10 for number in range(1, 11))


def read_histogram(text: str) -> dict[tuple[str, str], float]:
    return {
        (sample.name, sample.labels.get("le", "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


@pytest.mark.parametrize("bounds", [TENTHS, (10.0, 250.5, 1e6), (-5.0, 0.0, 5.0)])
def test_buckets_count_and_sum_equal_those_of_single_observations(bounds: list[float]) -> None:
    draw = random.Random(7)
    span = bounds[-1] - bounds[0]
    scores = [*bounds, *(bounds[0] - span / 2 + 2 * span * draw.random() for _ in range(500))]
    registry, expected = CollectorRegistry(), CollectorRegistry()
    histogram = PredictionHistogram(bounds, registry)
    histogram.observe(scores[:1])
    histogram.observe(scores[1:])
    single = Histogram(NAME, "Single observations", buckets=bounds, registry=expected)
    for score in scores:
        single.observe(score)
    shown = read_histogram(generate_latest(ShownMetrics(registry)).decode())
    wanted = read_histogram(generate_latest(expected).decode())
    assert shown.keys() == wanted.keys()
    for name, value in wanted.items():
        assert math.isclose(shown[name], value), name


def test_a_service_without_predictions_shows_empty_buckets() -> None:
    registry = CollectorRegistry()
    PredictionHistogram(TENTHS, registry)
    shown = read_histogram(generate_latest(ShownMetrics(registry)).decode())
    assert set(shown.values()) == {0.0}
    assert shown[f"{NAME}_bucket", "+Inf"] == 0.0


def test_a_service_without_scores_shows_no_histogram() -> None:
    assert not list(ShownMetrics(CollectorRegistry()).collect())


PROCESS = """
import sys
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from mlchassis.serving.prediction_histogram import PredictionHistogram, ShownMetrics

PredictionHistogram((0.5, 1.0), CollectorRegistry()).observe([float(x) for x in sys.argv[1:]])
registry = CollectorRegistry()
MultiProcessCollector(registry)
print(generate_latest(ShownMetrics(registry)).decode())
"""


def test_processes_are_added_up(tmp_path: Path) -> None:
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    outputs = [
        subprocess.run(
            [sys.executable, "-c", PROCESS, *scores],
            env=environment,
            capture_output=True,
            encoding="utf-8",
            check=True,
        ).stdout
        for scores in (["0.25", "0.75"], ["0.5", "0.875", "0.125"])
    ]
    assert read_histogram(outputs[-1]) == {
        (f"{NAME}_bucket", "0.5"): 3.0,
        (f"{NAME}_bucket", "1.0"): 5.0,
        (f"{NAME}_bucket", "+Inf"): 5.0,
        (f"{NAME}_count", ""): 5.0,
        (f"{NAME}_sum", ""): 2.5,
    }
