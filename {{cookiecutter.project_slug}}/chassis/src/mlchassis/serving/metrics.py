"""Prometheus metrics: requests, latency, rows, predictions, and the loaded model."""

import contextlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, TypeVar

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.multiprocess import MultiProcessCollector

from mlchassis.serving.loading import LoadedModel
from mlchassis.serving.logs.prediction_log import Backlog
from mlchassis.serving.prediction_histogram import PredictionHistogram, ShownMetrics
from mlchassis.serving.protocols.messages import ModelIdentity
from mlchassis.serving.statistics import BatchStatistics

_Metric = TypeVar("_Metric", bound=MetricWrapperBase)
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_TENTHS = tuple(number / 10 for number in range(1, 11))


class Metrics:
    """The metrics of one application, in a registry of their own.

    Args:
        shared: True if several processes share them, as `workers` prepared.
    """

    def __init__(self, *, shared: bool = False) -> None:
        self.registry = shown = CollectorRegistry()
        if shared:
            shown = CollectorRegistry()
            MultiProcessCollector(shown)  # type: ignore[no-untyped-call]
        else:
            ProcessCollector(registry=self.registry)
        self._shown = ShownMetrics(shown)
        labels = ["route", "method", "status"]
        self._requests = self._add(Counter, "service_requests", "Requests", labels)
        text = "Time from a request's headers to the end of its answer"
        self._seconds = self._add(
            Histogram, "service_request_seconds", text, ["route"], buckets=_BUCKETS
        )
        self._rows = self._add(Counter, "service_predicted_rows", "Rows answered")
        text = "Requests rejected because the prediction log could not be written"
        self._log_failures = self._add(Counter, "service_prediction_log_failures", text)
        text, of_all = "Predictions in progress", {"multiprocess_mode": "livesum"}
        self._active = self._add(Gauge, "service_predictions_in_progress", text, **of_all)
        text = "Bundles deployed while the service ran"
        self._swaps = self._add(Counter, "service_swaps", text, ["outcome"])
        for outcome in ("done", "rejected"):
            self._swaps.labels(outcome)
        text, fields = "Processes that answer with a model", list(ModelIdentity.model_fields)
        self._model = self._add(Gauge, "service_model_info", text, fields, **of_all)
        self._add_model_metrics()
        self._identity: ModelIdentity | None = None
        self._series: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def _add_model_metrics(self) -> None:
        """Add the metrics of the model's inputs, predictions and age, and of the log's backlog."""
        text = "Missing values by feature column"
        self._nulls = self._add(Counter, "service_feature_nulls", text, ["feature"])
        text = "Predictions by class"
        self._classes = self._add(Counter, "service_predicted_classes", text, ["predicted"])
        newest = {"multiprocess_mode": "livemostrecent"}
        text = "Time of the model's deployment"
        self._deployed = self._add(
            Gauge, "service_model_deployed_timestamp_seconds", text, **newest
        )
        text = "Segments of the prediction log that are not compacted"
        self._segments = self._add(Gauge, "service_prediction_log_segments", text, **newest)
        text = "Bytes of these segments"
        self._backlog = self._add(Gauge, "service_prediction_log_backlog_bytes", text, **newest)
        self._scores: PredictionHistogram | None = None
        # Looking a series up by its label takes longer than counting.
        self._nulls_of: dict[str, Counter] = {}
        self._rows_of: dict[str, Counter] = {}

    def _add(
        self, kind: type[_Metric], name: str, text: str, labels: Sequence[str] = (), **more: Any
    ) -> _Metric:
        return kind(name, text, labels, registry=self.registry, **more)

    def count_request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count an answered request; `status` is 0 where the client left before."""
        key = (route, method, status)
        if key not in self._series:
            requests = self._requests.labels(route, method, str(status))
            self._series[key] = (requests, self._seconds.labels(route))
        requests, latencies = self._series[key]
        requests.inc()
        latencies.observe(seconds)

    def count_rejection(self, status: int) -> None:
        """Count a request or a connection that was rejected before the application saw it."""
        self.count_request("unknown", "unknown", status, 0.0)

    def count_rows(self, rows: int, statistics: BatchStatistics) -> None:
        """Count rows that were answered, with their missing values and predictions."""
        self._rows.inc(rows)
        for feature, count in statistics.nulls.items():
            (self._nulls_of.get(feature) or self._nulls.labels(feature)).inc(count)
        for name, count in statistics.classes.items():
            (self._rows_of.get(name) or self._classes.labels(name)).inc(count)
        if self._scores is not None:
            self._scores.observe(statistics.scores)

    def count_log_failure(self) -> None:
        """Count a request that was rejected since its rows could not be logged."""
        self._log_failures.inc()

    def count_swap(self, outcome: Literal["done", "rejected"]) -> None:
        """Count a bundle that was deployed while the service ran."""
        self._swaps.labels(outcome).inc()

    def show_active(self, predictions: int) -> None:
        """Set the gauge of predictions in progress."""
        self._active.set(predictions)

    def show_model(self, model: LoadedModel) -> None:
        """Set the labels of the model that answers from now on, and the time of its deployment."""
        if self._identity is not None:
            self._model.labels(**self._identity.model_dump()).set(0)
        self._identity = model.identity
        self._model.labels(**self._identity.model_dump()).set(1)
        with contextlib.suppress(ValueError):
            self._deployed.set(datetime.fromisoformat(model.deployed_at).timestamp())
        # Series that start at zero have a rate from the first scrape on.
        for feature in model.row_statistics.features:
            self._nulls_of[feature] = self._nulls.labels(feature)
        for name in model.row_statistics.classes:
            self._rows_of[name] = self._classes.labels(name)
        buckets = find_buckets(model)
        if self._scores is None and buckets:
            # Buckets stay those of the first model, since a histogram cannot change them.
            self._scores = PredictionHistogram(buckets, self.registry)

    def show_backlog(self, backlog: Backlog) -> None:
        """Set the gauges of the log's segments that are not compacted."""
        self._segments.set(backlog.segments)
        self._backlog.set(backlog.bytes)

    def render(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self._shown)


def find_buckets(model: LoadedModel) -> Sequence[float]:
    """Return buckets of predictions: tenths of a probability, or the reference's ranges."""
    if model.contract.classes:
        return _TENTHS if len(model.contract.classes) == 2 else ()
    reference = model.scorer.bundle.metadata.monitoring
    return () if reference is None else reference.prediction.cells.edges
