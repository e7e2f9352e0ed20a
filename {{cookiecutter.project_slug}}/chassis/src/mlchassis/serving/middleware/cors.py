"""Cross-origin requests: browsers' pages of other addresses, where a setting allows them."""

from collections.abc import Sequence

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

_METHODS = ("GET", "HEAD", "POST")
_REQUEST_HEADERS = ("Authorization", "Content-Type", "X-API-Key", "X-Request-ID", "traceparent")
_RESPONSE_HEADERS = ("Retry-After", "X-Request-ID")


def allow_origins(app: FastAPI, origins: Sequence[str]) -> None:
    """Allow pages of these origins to call the service; keys are headers, never cookies."""
    app.add_middleware(
        CORSMiddleware,
        allow_origins=origins,
        allow_methods=_METHODS,
        allow_headers=_REQUEST_HEADERS,
        expose_headers=_RESPONSE_HEADERS,
    )


def allow_reading(app: ASGIApp, origins: Sequence[str]) -> ASGIApp:
    """Return an application whose responses the pages of these origins may read."""
    if not origins:
        return app
    return CORSMiddleware(app, allow_origins=origins, expose_headers=_RESPONSE_HEADERS)
