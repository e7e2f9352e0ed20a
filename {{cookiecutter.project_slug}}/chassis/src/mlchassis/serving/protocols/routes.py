"""The paths of protocols that others defined: MLflow's scoring server, KServe, Open Inference."""

from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from starlette.types import ASGIApp

from mlchassis.contract.schemas import example_record
from mlchassis.serving import problems
from mlchassis.serving.loading import Champion, ServedModel
from mlchassis.serving.logs.prediction_log import PredictionLog
from mlchassis.serving.protocols.open_inference import DATATYPES, check_model, describe_model
from mlchassis.serving.routes import (
    PREDICTION_PROBLEMS,
    check_ready,
    documented,
    request_id_parameter,
)

_MODEL = "/v2/models/{name}"
_VERSION = _MODEL + "/versions/{version}"
_MODEL_V1 = "/v1/models/{name}"


def _document_path(*names: str) -> dict[str, Any]:
    path = {"in": "path", "required": True, "schema": {"type": "string"}}
    return {"parameters": [{"name": name, **path} for name in names]}


_NAMED, _BOTH = _document_path("name"), _document_path("name", "version")


def invocations_route(model: ServedModel, answer: ASGIApp) -> APIRoute:
    """Documents `POST /invocations`, and lets `answer` answer."""

    async def invocations() -> None:
        """Predicts rows as `mlflow models serve` does, for clients that speak to it.

        One of `dataframe_split`, `dataframe_records`, `instances` and `inputs`, or a table in CSV.
        """

    record = example_record(model.contract)
    examples = {
        "dataframe_split": {"columns": list(record), "data": [list(record.values())]},
        "dataframe_records": [record],
        "instances": [record],
        "inputs": {name: [value] for name, value in record.items()},
    }
    lines = [[str(v).replace('"', '""') for v in line] for line in (record, record.values())]
    table = "\n".join('"' + '","'.join(line) + '"' for line in lines)
    content = {
        "application/json": {
            "schema": {"type": "object", "examples": [{"dataframe_records": [record]}]},
            "examples": {name: {"value": {name: value}} for name, value in examples.items()},
        },
        "text/csv": {"schema": {"type": "string"}, "example": table},
    }
    return _lean_route("/invocations", invocations, answer, content, "Predict as MLflow does")


def infer_routes(model: ServedModel, answer: ASGIApp) -> list[APIRoute]:
    """Documents the two paths of inference, and lets `answer` answer."""

    async def infer(name: str) -> None:
        """Predicts rows in the Open Inference Protocol: a tensor per column, as JSON."""

    async def infer_version(name: str, version: str) -> None:
        """As without a version, and refused if that is not the one that is served."""

    kinds = {column.name: column.kind for column in model.contract.request_columns}
    tensors = [
        {"name": name, "shape": [1], "datatype": DATATYPES[kinds[name]][0], "data": [value]}
        for name, value in example_record(model.contract).items()
    ]
    content = {
        "application/json": {"schema": {"type": "object", "examples": [{"inputs": tensors}]}}
    }
    return [
        _lean_route(f"{path}/infer", function, answer, content, "Predict in tensors")
        for path, function in ((_MODEL, infer), (_VERSION, infer_version))
    ]


def kserve_v1_route(model: ServedModel, answer: ASGIApp) -> APIRoute:
    """Documents the path of KServe's first protocol, and lets `answer` answer."""

    async def predict_v1(name: str) -> None:
        """Predicts `instances`, each an object with the contract's names."""

    document = {"instances": [example_record(model.contract)]}
    content = {"application/json": {"schema": {"type": "object", "examples": [document]}}}
    path = f"{_MODEL_V1}:predict"
    return _lean_route(path, predict_v1, answer, content, "Predict as KServe's protocol V1 does")


def protocol_routes(champion: Champion, log: PredictionLog) -> APIRouter:
    """Health and metadata as the protocols name them."""
    router = APIRouter()
    unready = documented(problems.LOG_UNAVAILABLE, problems.STOPPING)
    unknown = documented(problems.NO_SUCH_MODEL)
    risks = {**unknown, **unready}

    @router.get("/ping", summary="Can it answer?", responses=unready, response_class=Response)
    @router.get("/health", summary="Can it answer?", responses=unready, response_class=Response)
    async def ping() -> Response:
        """As /health/ready, for clients of MLflow and SageMaker."""
        check_ready(champion, log)
        return Response("{}\n", media_type="application/json")

    @router.get("/version", summary="Metadata of the loaded model", response_class=Response)
    async def version() -> Response:
        """The model's name and version; MLflow's server gives its own version here."""
        identity = champion.current.identity
        return Response(f"{identity.name} {identity.version}", media_type="text/plain")

    @router.get("/v2/health/live", summary="Is the process alive?", responses=documented())
    async def live() -> dict[str, bool]:
        """Answers as long as the process does."""
        return {"live": True}

    @router.get("/v2/health/ready", summary="Can it answer?", responses=unready)
    async def ready() -> dict[str, bool]:
        """As /health/ready."""
        check_ready(champion, log)
        return {"ready": True}

    @router.get("/v2", summary="The server", responses=documented())
    async def server() -> dict[str, Any]:
        """The server's name, and that it knows no extension."""
        identity = champion.current.identity
        return {"name": identity.name, "version": identity.contract_version, "extensions": []}

    @router.get(_MODEL, summary="The model's tensors", responses=unknown, openapi_extra=_NAMED)
    @router.get(_VERSION, summary="The model's tensors", responses=unknown, openapi_extra=_BOTH)
    async def describe(request: Request) -> dict[str, Any]:
        """A tensor per feature column, and what the answers are."""
        check_model(champion.current, request.path_params)
        return describe_model(champion.current)

    @router.get(f"{_MODEL}/ready", summary="Can it answer?", responses=risks, openapi_extra=_NAMED)
    @router.get(f"{_VERSION}/ready", summary="Can it answer?", responses=risks, openapi_extra=_BOTH)
    async def model_ready(request: Request) -> dict[str, Any]:
        """As /health/ready, for this model."""
        check_model(champion.current, request.path_params)
        identity = check_ready(champion, log)
        return {"name": identity.name, "ready": True}

    return router


def kserve_v1_routes(champion: Champion, log: PredictionLog) -> APIRouter:
    """Metadata and health as KServe's protocol V1 names them."""
    router = APIRouter()
    risks = documented(problems.NO_SUCH_MODEL, problems.LOG_UNAVAILABLE, problems.STOPPING)

    @router.get("/v1/models", summary="The models", responses=documented())
    async def list_models() -> dict[str, list[str]]:
        """The name of the model, as KServe's protocol V1 lists it."""
        return {"models": [champion.current.identity.name]}

    @router.get(_MODEL_V1, summary="Can it answer?", responses=risks, openapi_extra=_NAMED)
    async def model_ready_v1(request: Request) -> dict[str, Any]:
        """As /health/ready, for this model in KServe's protocol V1."""
        check_model(champion.current, request.path_params)
        return {"name": check_ready(champion, log).name, "ready": True}

    return router


def _lean_route(
    path: str, function: Any, answer: ASGIApp, content: dict[str, Any], summary: str
) -> APIRoute:
    kinds = [*PREDICTION_PROBLEMS, *([problems.NO_SUCH_MODEL] if "{name}" in path else [])]
    route = APIRoute(
        path,
        function,
        methods=["POST"],
        summary=summary,
        responses=documented(*kinds),
        openapi_extra={
            "parameters": [request_id_parameter()],
            "requestBody": {"required": True, "content": content},
        },
    )
    route.app = answer
    return route
