"""Order of the service's own middleware."""

from structlog.typing import FilteringBoundLogger
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from mlchassis.config.settings import ServiceSettings
from mlchassis.serving.auth import KeyGuard, open_keys
from mlchassis.serving.metrics import Metrics
from mlchassis.serving.middleware.cors import allow_origins, allow_reading
from mlchassis.serving.middleware.guard import RequestGuard
from mlchassis.serving.middleware.head import HeadSupport
from mlchassis.serving.middleware.request_middleware import RequestMiddleware
from mlchassis.serving.openapi import DocumentedAPI
from mlchassis.serving.problems import send_problem
from mlchassis.serving.ui.page import make_login_page


def add_middleware(
    app: DocumentedAPI, settings: ServiceSettings, metrics: Metrics, logger: FilteringBoundLogger
) -> None:
    """Add middleware to an application, the innermost first.

    Args:
        app: Application with all its routes.
        settings: Settings of the service.
        metrics: Metrics that count every request.
        logger: Logger of the service.

    Raises:
        ProjectError: The API keys cannot be used.
    """
    keys = open_keys(settings, logger)
    if keys:
        app.asks_for_keys = True
        app.add_middleware(KeyGuard, keys=keys, login_page=make_login_page())
    app.add_middleware(HeadSupport)
    app.add_middleware(RequestGuard, allowed_hosts=settings.hosts)
    if settings.cors_origins:
        # Around the guard, so that a page can read why its request was rejected.
        allow_origins(app, settings.cors_origins)
    failures = allow_reading(send_problem, settings.cors_origins)
    app.add_middleware(RequestMiddleware, metrics, logger, failures, access_log=settings.access_log)
    if settings.trusted_proxies:
        app.add_middleware(ProxyHeadersMiddleware, trusted_hosts=list(settings.trusted_proxies))
