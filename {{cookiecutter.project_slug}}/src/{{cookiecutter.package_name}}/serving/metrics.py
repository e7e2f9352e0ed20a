"""What Prometheus reads: requests, latency, rows, and which model answers."""

from typing import Literal

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    generate_latest,
)

from .messages import ModelIdentity

_LATENCIES = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """The metrics of one application, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._requests = Counter(
            "service_requests", "Requests", ["route", "method", "status"], registry=self.registry
        )
        self._seconds = Histogram(
            "service_request_seconds",
            "Time from a request's headers to the end of its answer",
            ["route"],
            buckets=_LATENCIES,
            registry=self.registry,
        )
        self._rows = Counter("service_predicted_rows", "Rows answered", registry=self.registry)
        self._log_failures = Counter(
            "service_prediction_log_failures",
            "Requests refused because the prediction log could not be written",
            registry=self.registry,
        )
        self._active = Gauge(
            "service_predictions_in_progress", "Predictions in progress", registry=self.registry
        )
        self._swaps = Counter(
            "service_swaps",
            "Bundles deployed while the service ran",
            ["outcome"],
            registry=self.registry,
        )
        for outcome in ("done", "refused"):
            self._swaps.labels(outcome)
        self._model = Info("service_model", "The model that answers", registry=self.registry)

    def count_request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Counts an answered request; `status` is 0 where the client left before."""
        self._requests.labels(route, method, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

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
        self._model.info(identity.model_dump())

    def render(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self.registry)
