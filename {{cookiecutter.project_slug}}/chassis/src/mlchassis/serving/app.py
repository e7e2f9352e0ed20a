"""Composition of the service from its parts."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.types import Lifespan
from structlog.typing import FilteringBoundLogger

from mlchassis.config.settings import ServiceSettings
from mlchassis.serving.batching.batcher import Batcher
from mlchassis.serving.batching.deadline import BodyReader
from mlchassis.serving.batching.dispatch import (
    PredictionDispatcher,
    PredictionPaths,
    list_targets,
)
from mlchassis.serving.batching.endpoint import PredictEndpoint
from mlchassis.serving.batching.load_shedding import LoadShedder
from mlchassis.serving.batching.recording import PredictionRecorder
from mlchassis.serving.extension.mounting import mount
from mlchassis.serving.hot_reload import HotReloader
from mlchassis.serving.loading import LoadedModel, ModelHolder
from mlchassis.serving.logs.operational import make_logger
from mlchassis.serving.logs.prediction_log import PredictionLog
from mlchassis.serving.metrics import Metrics
from mlchassis.serving.middleware.stack import add_middleware
from mlchassis.serving.openapi import DocumentedAPI, document_route
from mlchassis.serving.problems import ProblemError, answer_http_exception, answer_problem
from mlchassis.serving.protocols.invocations import Invocations
from mlchassis.serving.protocols.kserve_v1 import KServeV1
from mlchassis.serving.protocols.open_inference import OpenInference
from mlchassis.serving.protocols.predict import PredictProtocol
from mlchassis.serving.protocols.routes import (
    infer_routes,
    invocations_route,
    kserve_v1_route,
    kserve_v1_routes,
    protocol_routes,
)
from mlchassis.serving.routes import operation_routes, predict_route
from mlchassis.serving.server.worker_status import WorkerStatus
from mlchassis.serving.service import Service
from mlchassis.serving.ui.docs import swagger_routes
from mlchassis.serving.ui.page import page_route
from mlchassis.telemetry import silence_telemetry


@dataclass(frozen=True)
class _Parts:
    """Parts that the routes and middleware of one application share."""

    settings: ServiceSettings
    logger: FilteringBoundLogger
    holder: ModelHolder
    log: PredictionLog
    metrics: Metrics
    worker_status: WorkerStatus
    executor: ThreadPoolExecutor

    def show_model(self) -> None:
        """Show the loaded model in the metrics and to the other workers."""
        identity = self.holder.current.identity
        self.metrics.show_model(self.holder.current)
        self.worker_status.enter(identity.digest)


def create_app(
    settings: ServiceSettings,
    model: LoadedModel,
    logger: FilteringBoundLogger | None = None,
    worker_status: WorkerStatus | None = None,
    service: Service | None = None,
) -> FastAPI:
    """Make the application, with a model that is loaded and warmed up.

    Args:
        settings: Limits and places.
        model: The one that answers until another is deployed.
        logger: Logger of the service; standard output by default.
        worker_status: Shared status of the worker processes; by default, of this process alone.
        service: The project's own routes and middleware; by default, there are none.

    Raises:
        ProjectError: The prediction log cannot be written.
    """
    silence_telemetry()
    parts = _make_parts(settings, model, logger, worker_status)
    parts.log.open()
    app = _make_api(parts)
    _add_predictions(app, parts)
    _add_routes(app, parts)
    mount(app, service, settings.max_body_bytes)
    add_middleware(app, settings, parts.metrics, parts.logger)
    parts.show_model()
    return app


def _make_parts(
    settings: ServiceSettings,
    model: LoadedModel,
    logger: FilteringBoundLogger | None,
    worker_status: WorkerStatus | None,
) -> _Parts:
    return _Parts(
        settings,
        logger or make_logger(sys.stdout),
        ModelHolder(model),
        PredictionLog(settings.log_directory, settings.log_segment_bytes),
        Metrics(shared=settings.workers > 1),
        worker_status or WorkerStatus(),
        ThreadPoolExecutor(min(4, os.cpu_count() or 1), thread_name_prefix="predict"),
    )


def _make_api(parts: _Parts) -> DocumentedAPI:
    app = DocumentedAPI(
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_make_lifespan(parts),
        # What is observed here is in /metrics and the logs; nothing is exported by an environment
        # variable that somebody set for another program.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    # FastAPI and Starlette part it from a path, or do without, as the proxy leaves it to them.
    app.root_path = parts.settings.root_path
    app.state.holder = parts.holder
    app.state.metrics = parts.metrics
    _describe_model(app, parts.holder.current)
    app.add_exception_handler(ProblemError, answer_problem)
    app.add_exception_handler(HTTPException, answer_http_exception)
    return app


def _describe_model(app: FastAPI, model: LoadedModel) -> None:
    """Let the OpenAPI document describe a model; it is made again when it is requested."""
    app.title = model.identity.name
    app.version = model.contract.version
    app.description = model.contract.description
    app.openapi_schema = None


def _make_lifespan(parts: _Parts) -> Lifespan[FastAPI]:
    @asynccontextmanager
    async def close_at_the_end(app: FastAPI) -> AsyncIterator[None]:
        polling: asyncio.Task[None] | None = None
        if parts.settings.watch_seconds:
            polling = asyncio.create_task(app.state.hot_reloader.run())
        yield
        if polling is not None:
            polling.cancel()
        parts.executor.shutdown(cancel_futures=True)
        parts.log.close()

    return close_at_the_end


def _add_predictions(app: FastAPI, parts: _Parts) -> None:
    """Add the routes that predict, and replace them when another model is deployed."""
    endpoint = _make_endpoint(parts)
    paths = PredictionPaths({})

    def route(model: LoadedModel) -> list[APIRoute]:
        routes = _route_predictions(model, endpoint)
        paths.targets = list_targets(routes, model.identity, parts.settings.root_path)
        return routes

    def on_swap(model: LoadedModel) -> None:
        routes = route(model)
        app.router.routes[: len(routes)] = routes
        _describe_model(app, model)
        parts.show_model()

    app.router.routes += route(parts.holder.current)
    # The first middleware that is added is the innermost.
    app.add_middleware(PredictionDispatcher, paths=paths)
    app.state.hot_reloader = HotReloader(
        parts.holder, parts.settings, parts.metrics, parts.logger, on_swap
    )


def _make_endpoint(parts: _Parts) -> PredictEndpoint:
    settings = parts.settings
    recorder = PredictionRecorder(parts.log, parts.metrics)
    return PredictEndpoint(
        PredictProtocol(),
        parts.holder,
        recorder,
        BodyReader(settings.max_body_bytes, settings.deadline_seconds, settings.max_held_bytes),
        Batcher(recorder, settings.max_concurrency),
        LoadShedder(settings.max_concurrency, parts.metrics),
        parts.executor,
        settings,
    )


def _route_predictions(model: LoadedModel, endpoint: PredictEndpoint) -> list[APIRoute]:
    return [
        predict_route(model, endpoint),
        invocations_route(model, replace(endpoint, protocol=Invocations())),
        kserve_v1_route(model, replace(endpoint, protocol=KServeV1())),
        *infer_routes(model, replace(endpoint, protocol=OpenInference())),
    ]


def _add_routes(app: DocumentedAPI, parts: _Parts) -> None:
    app.include_router(protocol_routes(parts.holder, parts.log))
    app.include_router(kserve_v1_routes(parts.holder, parts.log))
    app.include_router(
        operation_routes(parts.holder, parts.log, parts.metrics, parts.worker_status)
    )
    app.include_router(document_route(app))
    app.include_router(swagger_routes())
    app.include_router(page_route(parts.holder))
