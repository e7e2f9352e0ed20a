"""Prometheus metrics: requests, latency, rows, and the loaded model."""

from collections.abc import Sequence
from typing import Any, Literal, TypeVar

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

from mlchassis.serving.protocols.messages import ModelIdentity

_Metric = TypeVar("_Metric", Counter, Gauge, Histogram)
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """The metrics of one application, in a registry of their own.

    Args:
        shared: True if several processes share them, as `workers` prepared.
    """

    def __init__(self, *, shared: bool = False) -> None:
        self.registry = self._shown = CollectorRegistry()
        if shared:
            self._shown = CollectorRegistry()
            MultiProcessCollector(self._shown)  # type: ignore[no-untyped-call]
        else:
            ProcessCollector(registry=self.registry)
        labels = ["route", "method", "status"]
        self._requests = self._add(Counter, "service_requests", "Requests", labels)
        text = "Time from a request's headers to the end of its answer"
        self._seconds = self._add(
            Histogram, "service_request_seconds", text, ["route"], buckets=_BUCKETS
        )
        self._rows = self._add(Counter, "service_predicted_rows", "Rows answered")
        text = "Requests refused because the prediction log could not be written"
        self._log_failures = self._add(Counter, "service_prediction_log_failures", text)
        text, of_all = "Predictions in progress", {"multiprocess_mode": "livesum"}
        self._active = self._add(Gauge, "service_predictions_in_progress", text, **of_all)
        text = "Bundles deployed while the service ran"
        self._swaps = self._add(Counter, "service_swaps", text, ["outcome"])
        for outcome in ("done", "refused"):
            self._swaps.labels(outcome)
        text, fields = "Processes that answer with a model", list(ModelIdentity.model_fields)
        self._model = self._add(Gauge, "service_model_info", text, fields, **of_all)
        self._identity: ModelIdentity | None = None
        self._series: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def _add(
        self, kind: type[_Metric], name: str, text: str, labels: Sequence[str] = (), **more: Any
    ) -> _Metric:
        return kind(name, text, labels, registry=self.registry, **more)

    def count_request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Counts an answered request; `status` is 0 where the client left before."""
        key = (route, method, status)
        if key not in self._series:
            requests = self._requests.labels(route, method, str(status))
            self._series[key] = (requests, self._seconds.labels(route))
        requests, latencies = self._series[key]
        requests.inc()
        latencies.observe(seconds)

    def count_rows(self, rows: int) -> None:
        """Counts rows that were answered."""
        self._rows.inc(rows)

    def count_log_failure(self) -> None:
        """Counts a request that was refused since its rows could not be logged."""
        self._log_failures.inc()

    def count_swap(self, outcome: Literal["done", "refused"]) -> None:
        """Counts a bundle that was deployed while the service ran."""
        self._swaps.labels(outcome).inc()

    def show_active(self, predictions: int) -> None:
        """Shows how many predictions are in progress."""
        self._active.set(predictions)

    def show_model(self, identity: ModelIdentity) -> None:
        """Shows which model answers from now on."""
        if self._identity is not None:
            self._model.labels(**self._identity.model_dump()).set(0)
        self._model.labels(**identity.model_dump()).set(1)
        self._identity = identity

    def render(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self._shown)
