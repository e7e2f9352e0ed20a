"""Routes of MLflow's scoring server, KServe's protocol V1 and the Open Inference Protocol."""

from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from starlette.types import ASGIApp

from mlchassis.contract.schemas import example_record
from mlchassis.serving import problems
from mlchassis.serving.loading import LoadedModel, ModelHolder
from mlchassis.serving.logs.prediction_log import PredictionLog
from mlchassis.serving.protocols.open_inference import DATATYPES, check_model, describe_model
from mlchassis.serving.routes import (
    PREDICTION_PROBLEMS,
    check_ready,
    documented,
    request_id_parameter,
)

_MLFLOW = "MLflow"
_OPEN_INFERENCE = "Open Inference Protocol"
_KSERVE_V1 = "KServe protocol V1"
_MODEL = "/v2/models/{name}"
_VERSION = _MODEL + "/versions/{version}"
_MODEL_V1 = "/v1/models/{name}"


@dataclass(frozen=True, slots=True)
class _Operation:
    """Documentation of a prediction route: summary, group and request body by media type."""

    summary: str
    tag: str
    content: dict[str, Any]


def _document_path(*names: str) -> dict[str, Any]:
    path = {"in": "path", "required": True, "schema": {"type": "string"}}
    return {"parameters": [{"name": name, **path} for name in names]}


_NAMED = _document_path("name")
_BOTH = _document_path("name", "version")
_UNREADY = documented(problems.LOG_UNAVAILABLE, problems.STOPPING)


def invocations_route(model: LoadedModel, answer: ASGIApp) -> APIRoute:
    """Return the documented route `POST /invocations`, answered by an ASGI application."""

    async def invocations() -> None:
        """Predict rows as `mlflow models serve` does, for its clients.

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
    about = _Operation("Predict as MLflow does", _MLFLOW, content)
    return _lean_route("/invocations", invocations, answer, about)


def infer_routes(model: LoadedModel, answer: ASGIApp) -> list[APIRoute]:
    """Return the two documented routes of inference, answered by an ASGI application."""

    async def infer(name: str) -> None:
        """Predict rows in the Open Inference Protocol: a tensor per column, as JSON."""

    async def infer_version(name: str, version: str) -> None:
        """Predict rows with the loaded version; reject any other."""

    kinds = {column.name: column.kind for column in model.contract.request_columns}
    tensors = [
        {"name": name, "shape": [1], "datatype": DATATYPES[kinds[name]][0], "data": [value]}
        for name, value in example_record(model.contract).items()
    ]
    content = {
        "application/json": {"schema": {"type": "object", "examples": [{"inputs": tensors}]}}
    }
    about = _Operation("Predict in tensors", _OPEN_INFERENCE, content)
    return [
        _lean_route(f"{path}/infer", function, answer, about)
        for path, function in ((_MODEL, infer), (_VERSION, infer_version))
    ]


def kserve_v1_route(model: LoadedModel, answer: ASGIApp) -> APIRoute:
    """Return the documented route of KServe's protocol V1, answered by an ASGI application."""

    async def predict_v1(name: str) -> None:
        """Predict `instances`, each an object with the contract's names."""

    document = {"instances": [example_record(model.contract)]}
    content = {"application/json": {"schema": {"type": "object", "examples": [document]}}}
    about = _Operation("Predict as KServe's protocol V1 does", _KSERVE_V1, content)
    return _lean_route(f"{_MODEL_V1}:predict", predict_v1, answer, about)


def protocol_routes(holder: ModelHolder, log: PredictionLog) -> APIRouter:
    """Health and metadata as MLflow's scoring server and the Open Inference Protocol name them."""
    mlflow = APIRouter(tags=[_MLFLOW])
    _add_mlflow_routes(mlflow, holder, log)
    inference = APIRouter(tags=[_OPEN_INFERENCE])
    _add_server_routes(inference, holder, log)
    _add_model_routes(inference, holder, log)
    router = APIRouter()
    router.include_router(mlflow)
    router.include_router(inference)
    return router


def _add_mlflow_routes(router: APIRouter, holder: ModelHolder, log: PredictionLog) -> None:
    @router.get("/ping", summary="Readiness", responses=_UNREADY, response_class=Response)
    @router.get("/health", summary="Readiness", responses=_UNREADY, response_class=Response)
    async def ping(request: Request) -> Response:
        """Readiness, as /health/ready, for clients of MLflow and SageMaker."""
        check_ready(holder, log, request)
        return Response("{}\n", media_type="application/json")

    @router.get("/version", summary="Metadata of the loaded model", response_class=Response)
    async def version() -> Response:
        """The model's name and version; MLflow's server gives its own version here."""
        identity = holder.current.identity
        return Response(f"{identity.name} {identity.version}", media_type="text/plain")


def _add_server_routes(router: APIRouter, holder: ModelHolder, log: PredictionLog) -> None:
    @router.get("/v2/health/live", summary="Liveness", responses=documented())
    async def live() -> dict[str, bool]:
        """Return true as long as the process runs."""
        return {"live": True}

    @router.get("/v2/health/ready", summary="Readiness", responses=_UNREADY)
    async def ready(request: Request) -> dict[str, bool]:
        """Readiness, as /health/ready."""
        check_ready(holder, log, request)
        return {"ready": True}

    @router.get("/v2", summary="The server", responses=documented())
    async def server() -> dict[str, Any]:
        """Name and version of the server; it has no extensions."""
        identity = holder.current.identity
        return {"name": identity.name, "version": identity.contract_version, "extensions": []}


def _add_model_routes(router: APIRouter, holder: ModelHolder, log: PredictionLog) -> None:
    unknown = documented(problems.NO_SUCH_MODEL)
    risks = {**unknown, **_UNREADY}

    @router.get(_MODEL, summary="The model's tensors", responses=unknown, openapi_extra=_NAMED)
    @router.get(_VERSION, summary="The model's tensors", responses=unknown, openapi_extra=_BOTH)
    async def describe(request: Request) -> dict[str, Any]:
        """Tensors of the request and of the response."""
        check_model(holder.current, request.path_params)
        return describe_model(holder.current)

    @router.get(f"{_MODEL}/ready", summary="Readiness", responses=risks, openapi_extra=_NAMED)
    @router.get(f"{_VERSION}/ready", summary="Readiness", responses=risks, openapi_extra=_BOTH)
    async def model_ready(request: Request) -> dict[str, Any]:
        """Readiness, as /health/ready, for this model."""
        check_model(holder.current, request.path_params)
        identity = check_ready(holder, log, request)
        return {"name": identity.name, "ready": True}


def kserve_v1_routes(holder: ModelHolder, log: PredictionLog) -> APIRouter:
    """Metadata and health as KServe's protocol V1 names them."""
    router = APIRouter(tags=[_KSERVE_V1])
    risks = documented(problems.NO_SUCH_MODEL, problems.LOG_UNAVAILABLE, problems.STOPPING)

    @router.get("/v1/models", summary="The models", responses=documented())
    async def list_models() -> dict[str, list[str]]:
        """The name of the model, as KServe's protocol V1 lists it."""
        return {"models": [holder.current.identity.name]}

    @router.get(_MODEL_V1, summary="Readiness", responses=risks, openapi_extra=_NAMED)
    async def model_ready_v1(request: Request) -> dict[str, Any]:
        """Readiness, as /health/ready, for this model in KServe's protocol V1."""
        check_model(holder.current, request.path_params)
        return {"name": check_ready(holder, log, request).name, "ready": True}

    return router


def _lean_route(path: str, function: Any, answer: ASGIApp, about: _Operation) -> APIRoute:
    kinds = [*PREDICTION_PROBLEMS, *([problems.NO_SUCH_MODEL] if "{name}" in path else [])]
    route = APIRoute(
        path,
        function,
        methods=["POST"],
        summary=about.summary,
        tags=[about.tag],
        responses=documented(*kinds),
        openapi_extra={
            "parameters": [request_id_parameter()],
            "requestBody": {"required": True, "content": about.content},
        },
    )
    route.app = answer
    return route
