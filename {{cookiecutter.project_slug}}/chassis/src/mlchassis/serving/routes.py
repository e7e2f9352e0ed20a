"""Routes of predictions, health and metrics, as FastAPI and OpenAPI describe them."""

import asyncio
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel, Field
from starlette.types import ASGIApp

from mlchassis.serving import problems
from mlchassis.serving.loading import LoadedModel, ModelHolder
from mlchassis.serving.logs.prediction_log import PredictionLog, PredictionLogError
from mlchassis.serving.metrics import Metrics
from mlchassis.serving.problems import ProblemError, ProblemKind
from mlchassis.serving.protocols.messages import ModelIdentity, predict_response
from mlchassis.serving.server.worker_status import WorkerStatus

_REQUEST_ID = {
    "X-Request-ID": {
        "description": "The request's own id if it sent a harmless one, else a new one; it is in "
        "every log line about the request",
        "schema": {"type": "string"},
    }
}
_RETRY_AFTER = {
    "Retry-After": {"description": "Seconds to wait", "schema": {"type": "integer", "minimum": 0}}
}


class Alive(BaseModel):
    """The process runs."""

    status: str = Field("alive", description="Always `alive`")


class Ready(BaseModel):
    """The service can answer predictions."""

    status: str = Field("ready", description="Always `ready`")
    model: ModelIdentity
    processes: dict[str, int] = Field(
        description="Number of worker processes by the digest of their bundle"
    )


class Status(BaseModel):
    """The service can answer predictions; details need an API key."""

    status: str = Field("ready", description="Always `ready`")


PREDICTION_PROBLEMS = (
    problems.MALFORMED_BODY,
    problems.SLOW_BODY,
    problems.BODY_TOO_LARGE,
    problems.UNSUPPORTED_MEDIA_TYPE,
    problems.INVALID_RECORDS,
    problems.INTERNAL_ERROR,
    problems.OVERLOADED,
    problems.LOG_UNAVAILABLE,
    problems.DEADLINE_EXCEEDED,
)
"""Problems of a prediction in any protocol."""


def predict_route(model: LoadedModel, answer: ASGIApp) -> APIRoute:
    """Return the documented route `POST /predict`, answered by an ASGI application."""

    async def predict(body: Any) -> None:
        """Predict one or many records; the response keeps their order.

        A record holds the contract's features and optionally its key and its event time. An absent
        field is null, an unknown one is an error. All records get a prediction or none does.
        """

    predict.__annotations__["body"] = model.request
    route = APIRoute(
        "/predict",
        predict,
        methods=["POST"],
        summary="Predict",
        tags=["Predict"],
        response_model=predict_response(model.contract),
        response_description="One answer per record",
        responses=documented(*PREDICTION_PROBLEMS),
        openapi_extra={"parameters": [request_id_parameter()]},
    )
    route.app = answer
    return route


def operation_routes(
    holder: ModelHolder, log: PredictionLog, metrics: Metrics, worker_status: WorkerStatus
) -> APIRouter:
    """Routes of orchestrators and of Prometheus."""
    router = APIRouter(tags=["Operation"])
    _add_health_routes(router, holder, log, worker_status)

    @router.get(
        "/metrics",
        summary="Metrics for Prometheus",
        response_class=Response,
        responses={200: {"headers": _REQUEST_ID, "content": {"text/plain": {}}}},
    )
    async def show_metrics() -> Response:
        """Requests, latencies, rows and the model, in Prometheus' text format."""
        # Listing a folder may take a while on a shared one.
        metrics.show_backlog(await asyncio.to_thread(log.measure_backlog))
        return Response(metrics.render(), media_type=CONTENT_TYPE_LATEST)

    return router


def _add_health_routes(
    router: APIRouter, holder: ModelHolder, log: PredictionLog, worker_status: WorkerStatus
) -> None:
    @router.get("/health/live", summary="Liveness", responses=documented())
    async def live() -> Alive:
        """Return 200 as long as the process runs; the model is not used."""
        return Alive(status="alive")

    unready = documented(problems.LOG_UNAVAILABLE, problems.STOPPING)

    @router.get("/health/ready", summary="Readiness", responses=unready)
    async def ready(request: Request) -> Ready | Status:
        """Return the identity of the loaded model, which passed its golden requests.

        Where the service requires API keys, a request without one gets the status alone.
        """
        identity = check_ready(holder, log, request)
        if is_anonymous(request):
            return Status(status="ready")
        return Ready(status="ready", model=identity, processes=dict(worker_status.count()))


def is_anonymous(request: Request) -> bool:
    """Return True if a request came without the API key that the service requires."""
    return bool(request.scope.get("anonymous", False))


def check_ready(holder: ModelHolder, log: PredictionLog, request: Request) -> ModelIdentity:
    """Return the identity of the loaded model, or raise 503.

    Raises:
        ProblemError: None does, since the service stops or its log cannot be written.
    """
    if holder.stopping:
        raise ProblemError(problems.STOPPING, "Ask another instance.", {"Retry-After": "1"})
    try:
        log.check()
    except PredictionLogError as error:
        # The sentence names a folder of the machine.
        detail = problems.LOG_UNAVAILABLE.title + "." if is_anonymous(request) else str(error)
        raise ProblemError(problems.LOG_UNAVAILABLE, detail, {"Retry-After": "1"}) from None
    return holder.current.identity


def documented(*kinds: ProblemKind) -> dict[int | str, dict[str, Any]]:
    """OpenAPI responses of a path: common headers, and each possible problem."""
    responses: dict[int | str, dict[str, Any]] = {200: {"headers": _REQUEST_ID}}
    for status in sorted({kind.status for kind in kinds}):
        responses[status] = _describe([kind for kind in kinds if kind.status == status])
    return responses


def _describe(kinds: list[ProblemKind]) -> dict[str, Any]:
    retry = _RETRY_AFTER if kinds[0].status == 503 else {}
    examples = {
        kind.name: {
            "summary": kind.title,
            "value": {
                "type": kind.uri,
                "title": kind.title,
                "status": kind.status,
                "detail": kind.advice,
                "request_id": "0f8fad5bd9cb469fa16570867728950e",
            },
        }
        for kind in kinds
    }
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        "description": "; ".join(kind.title for kind in kinds),
        "headers": {**_REQUEST_ID, **retry},
        "content": {problems.MEDIA_TYPE: {"schema": schema, "examples": examples}},
    }


def request_id_parameter() -> dict[str, Any]:
    """OpenAPI parameter of the request id."""
    return {
        "name": "X-Request-ID",
        "in": "header",
        "required": False,
        "description": "Your own id for the request: 1 to 128 of A-Z a-z 0-9 . _ : -",
        "schema": {"type": "string"},
    }
