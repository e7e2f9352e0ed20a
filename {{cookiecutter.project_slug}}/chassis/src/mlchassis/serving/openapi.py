"""`/docs`: the service's OpenAPI document as a page that loads nothing from anywhere else."""

import base64
import hashlib
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, Response
from fastapi.responses import HTMLResponse
from pydantic_core import to_json

from mlchassis.serving.auth import OPEN_PATHS
from mlchassis.serving.batching.fast_path import Shortcut
from mlchassis.serving.problems import KEY_MISSING, KEY_REFUSED, KINDS, ProblemDocument
from mlchassis.serving.routes import documented


class DocumentedAPI(FastAPI):
    """FastAPI, with the problems among its components, and the need of keys where there is one.

    Attributes:
        asks_for_keys: True if API keys are required.
        shortcut: Fast path for plain requests.
    """

    asks_for_keys = False
    shortcut: Shortcut | None = None

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document, complete."""
        document = super().openapi()
        if self.root_path:
            document["servers"] = [{"url": self.root_path}]
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        template = "#/components/schemas/{model}"
        problem = ProblemDocument.model_json_schema(ref_template=template)
        schemas.update(problem.pop("$defs", {}))
        schemas["Problem"] = problem
        document["x-problems"] = [
            {"name": k.name, "status": k.status, "title": k.title, "advice": k.advice}
            for k in KINDS
        ]
        if self.asks_for_keys:
            _document_keys(document)
        return document


def _document_keys(document: dict[str, Any]) -> None:
    document["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    for path, operations in document["paths"].items():
        for operation in operations.values():
            operation["security"] = [] if path in OPEN_PATHS else [{"key": []}]
            if path not in OPEN_PATHS:
                operation["responses"] |= {
                    str(status): answer
                    for status, answer in documented(KEY_MISSING, KEY_REFUSED).items()
                    if status != 200
                }


def documentation_routes(api: DocumentedAPI) -> APIRouter:
    """The OpenAPI document, and the page that shows it."""
    router = APIRouter(include_in_schema=False)
    page = Path(__file__).with_name("docs.html").read_text(encoding="utf-8")
    headers = page_headers(page)

    @router.get("/openapi.json")
    async def document() -> Response:
        return Response(to_json(api.openapi()), media_type="application/json")

    @router.get("/docs")
    async def docs() -> Response:
        return HTMLResponse(page, headers=headers)

    return router


def page_headers(page: str) -> dict[str, str]:
    """Headers that allow a page its own script and style, by hash, and requests to this service."""
    policy = (
        "default-src 'none'; connect-src 'self'; img-src data:; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'; "
        f"script-src {_hash(page, 'script')}; style-src {_hash(page, 'style')}"
    )
    return {
        "Content-Security-Policy": policy,
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }


def _hash(page: str, tag: str) -> str:
    content = page.split(f"<{tag}>", 1)[1].split(f"</{tag}>", 1)[0]
    digest = hashlib.sha256(content.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
