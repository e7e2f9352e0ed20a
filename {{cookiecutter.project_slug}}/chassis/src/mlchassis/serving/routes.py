"""The paths of the service, as FastAPI and OpenAPI know them."""

from typing import Any

from fastapi import APIRouter, Response
from fastapi.routing import APIRoute
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel, Field
from starlette.types import ASGIApp

from mlchassis.serving import problems
from mlchassis.serving.loading import Champion, ServedModel
from mlchassis.serving.logs.prediction_log import PredictionLog, PredictionLogError
from mlchassis.serving.metrics import Metrics
from mlchassis.serving.problems import ProblemError, ProblemKind
from mlchassis.serving.protocols.messages import ModelIdentity, predict_response
from mlchassis.serving.server.worker_status import Roster

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
"""What may come of asking for predictions, in any dialect."""


def predict_route(model: ServedModel, answer: ASGIApp) -> APIRoute:
    """Documents `POST /predict` by the models that decode it, and lets `answer` answer."""

    async def predict(body: Any) -> None:
        """Predicts one or many records; the answers come in their order.

        A record holds the contract's features and, where you like, its key and its event time. An
        absent field counts as null, an unknown one is refused. All records are answered or none.
        """

    predict.__annotations__["body"] = model.request
    route = APIRoute(
        "/predict",
        predict,
        methods=["POST"],
        summary="Predict",
        response_model=predict_response(model.contract),
        response_description="One answer per record",
        responses=documented(*PREDICTION_PROBLEMS),
        openapi_extra={"parameters": [request_id_parameter()]},
    )
    route.app = answer
    return route


def operation_routes(
    champion: Champion, log: PredictionLog, metrics: Metrics, roster: Roster
) -> APIRouter:
    """The paths that whoever operates the service asks."""
    router = APIRouter()

    @router.get("/health/live", summary="Liveness", responses=documented())
    async def live() -> Alive:
        """Return 200 as long as the process runs; the model is not used."""
        return Alive(status="alive")

    @router.get(
        "/health/ready",
        summary="Readiness",
        responses=documented(problems.LOG_UNAVAILABLE, problems.STOPPING),
    )
    async def ready() -> Ready:
        """Return the identity of the loaded model, which passed its golden requests."""
        identity = check_ready(champion, log)
        return Ready(status="ready", model=identity, processes=dict(roster.count()))

    @router.get(
        "/metrics",
        summary="Metrics for Prometheus",
        response_class=Response,
        responses={200: {"headers": _REQUEST_ID, "content": {"text/plain": {}}}},
    )
    async def show_metrics() -> Response:
        """Requests, latencies, rows and the model, in Prometheus' text format."""
        return Response(metrics.render(), media_type=CONTENT_TYPE_LATEST)

    return router


def check_ready(champion: Champion, log: PredictionLog) -> ModelIdentity:
    """Return the identity of the loaded model, or raise 503.

    Raises:
        ProblemError: None does, since the service stops or its log cannot be written.
    """
    if champion.stopping:
        raise ProblemError(problems.STOPPING, "Ask another instance.", {"Retry-After": "1"})
    try:
        log.check()
    except PredictionLogError as error:
        raise ProblemError(problems.LOG_UNAVAILABLE, str(error), {"Retry-After": "1"}) from None
    return champion.current.identity


def documented(*kinds: ProblemKind) -> dict[int | str, dict[str, Any]]:
    """OpenAPI responses of a path: common headers, and each possible problem."""
    found: dict[int | str, dict[str, Any]] = {200: {"headers": _REQUEST_ID}}
    for status in sorted({kind.status for kind in kinds}):
        found[status] = _describe([kind for kind in kinds if kind.status == status])
    return found


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
    """The header by which a client may name its request."""
    return {
        "name": "X-Request-ID",
        "in": "header",
        "required": False,
        "description": "Your own id for the request: 1 to 128 of A-Z a-z 0-9 . _ : -",
        "schema": {"type": "string"},
    }
