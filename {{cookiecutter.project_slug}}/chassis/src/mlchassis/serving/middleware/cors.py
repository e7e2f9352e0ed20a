"""Cross-origin requests: browsers' pages of other addresses, where a setting allows them."""

from collections.abc import Sequence

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware


def allow_origins(app: FastAPI, origins: Sequence[str]) -> None:
    """Allow pages of these origins to call the service; keys are headers, never cookies."""
    app.add_middleware(
        CORSMiddleware,
        allow_origins=origins,
        allow_methods=("GET", "HEAD", "POST"),
        allow_headers=("Authorization", "Content-Type", "X-API-Key", "X-Request-ID", "traceparent"),
        expose_headers=("Retry-After", "X-Request-ID"),
    )
