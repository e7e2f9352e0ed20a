"""Puts the service together: the one place where its parts meet."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute
from structlog.typing import FilteringBoundLogger

from mlchassis.config.settings import ServiceSettings
from mlchassis.serving.auth import KeyGuard, load_digests
from mlchassis.serving.batching.endpoint import Admission, PredictEndpoint
from mlchassis.serving.batching.fast_path import Shortcut
from mlchassis.serving.cors import allow_origins
from mlchassis.serving.extension.mounting import has_middleware, mount
from mlchassis.serving.head import HeadSupport
from mlchassis.serving.hot_reload import Watcher
from mlchassis.serving.loading import Champion, ServedModel
from mlchassis.serving.logs.operational import make_logger
from mlchassis.serving.logs.prediction_log import PredictionLog
from mlchassis.serving.metrics import Metrics
from mlchassis.serving.middleware import Observation
from mlchassis.serving.openapi import DocumentedAPI, documentation_routes
from mlchassis.serving.problems import ProblemError, answer_http_exception, answer_problem
from mlchassis.serving.protocols.invocations import Invocations
from mlchassis.serving.protocols.kserve_v1 import KServeV1
from mlchassis.serving.protocols.open_inference import OpenInference
from mlchassis.serving.protocols.predict import Native
from mlchassis.serving.protocols.routes import (
    infer_routes,
    invocations_route,
    kserve_v1_route,
    kserve_v1_routes,
    protocol_routes,
)
from mlchassis.serving.routes import operation_routes, predict_route
from mlchassis.serving.server.worker_status import Roster
from mlchassis.serving.service import Service
from mlchassis.serving.ui.page import make_door, page_route
from mlchassis.telemetry import silence_telemetry


def create_app(
    settings: ServiceSettings,
    model: ServedModel,
    logger: FilteringBoundLogger | None = None,
    roster: Roster | None = None,
    service: Service | None = None,
) -> FastAPI:
    """Makes the application, with a model that is loaded and warmed up.

    Args:
        settings: Limits and places.
        model: The one that answers until another is deployed.
        logger: Logger of the service; standard output by default.
        roster: Shared status of the worker processes; by default, of this process alone.
        service: The project's own routes and middleware; by default, there are none.

    Raises:
        ProjectError: The prediction log cannot be written.
    """
    silence_telemetry()
    logger = logger or make_logger(sys.stdout)
    champion = Champion(model)
    log, metrics = PredictionLog(settings.log_directory), Metrics(shared=settings.workers > 1)
    roster = roster or Roster()
    log.open()
    executor = ThreadPoolExecutor(min(4, os.cpu_count() or 1), thread_name_prefix="predict")
    admission = Admission(settings.max_concurrency, metrics)
    native = PredictEndpoint(Native(), champion, log, metrics, admission, executor, settings)

    @asynccontextmanager
    async def close_at_the_end(_app: FastAPI) -> AsyncIterator[None]:
        watching = asyncio.create_task(watcher.run()) if settings.watch_seconds else None
        yield
        if watching is not None:
            watching.cancel()
        executor.shutdown(cancel_futures=True)
        log.close()

    app = DocumentedAPI(
        title=champion.current.identity.name,
        version=champion.current.contract.version,
        description=champion.current.contract.description,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=close_at_the_end,
        # What is observed here is in /metrics and the logs; nothing is exported by an environment
        # variable that somebody set for another program.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )

    def route_predictions(model: ServedModel) -> list[BaseRoute]:
        return [
            predict_route(model, native),
            invocations_route(model, replace(native, dialect=Invocations())),
            kserve_v1_route(model, replace(native, dialect=KServeV1())),
            *infer_routes(model, replace(native, dialect=OpenInference())),
        ]

    def adopt(model: ServedModel) -> None:
        fresh = route_predictions(model)
        app.router.routes[: len(fresh)] = fresh
        app.openapi_schema = None
        metrics.show_model(model.identity)
        roster.enter(model.identity.digest)

    watcher = Watcher(champion, settings, metrics, logger, adopt)
    # FastAPI and Starlette part it from a path, or do without, as the proxy leaves it to them.
    app.root_path = settings.root_path
    app.state.champion, app.state.watcher = champion, watcher
    app.router.routes += route_predictions(champion.current)
    app.include_router(protocol_routes(champion, log))
    app.include_router(kserve_v1_routes(champion, log))
    app.include_router(operation_routes(champion, log, metrics, roster))
    app.include_router(documentation_routes(app))
    app.include_router(page_route(champion))
    app.add_exception_handler(ProblemError, answer_problem)
    app.add_exception_handler(HTTPException, answer_http_exception)
    mount(app, service)
    if settings.api_keys_file:
        digests = load_digests(settings.api_keys_file)
        app.asks_for_keys = True
        app.add_middleware(KeyGuard, digests=digests, door=make_door())
    elif not has_middleware(service):
        # The fast path calls no middleware, so it is only for a service without any of its own.
        observation = Observation(native, metrics, logger, access_log=settings.access_log)
        app.shortcut = Shortcut(native, observation)
    app.add_middleware(HeadSupport)
    if settings.cors_origins:
        allow_origins(app, settings.cors_origins)
    app.add_middleware(Observation, metrics, logger, access_log=settings.access_log)
    metrics.show_model(champion.current.identity)
    roster.enter(champion.current.identity.digest)
    return app
