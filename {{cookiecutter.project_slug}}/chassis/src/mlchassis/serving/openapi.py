"""The OpenAPI document of the service."""

from typing import Any

from fastapi import APIRouter, FastAPI, Response
from pydantic_core import to_json

from mlchassis.serving.auth import OPEN_PATHS
from mlchassis.serving.problems import KEY_MISSING, KEY_REJECTED, KINDS, ProblemDocument
from mlchassis.serving.routes import documented


class DocumentedAPI(FastAPI):
    """FastAPI, with the problems among its components, and the need of keys where there is one.

    Attributes:
        asks_for_keys: True if API keys are required.
    """

    asks_for_keys = False

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
    document["components"]["securitySchemes"] = {
        "key": {"type": "http", "scheme": "bearer"},
        "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    }
    for path, operations in document["paths"].items():
        for operation in operations.values():
            operation["security"] = [] if path in OPEN_PATHS else [{"key": []}, {"header": []}]
            if path not in OPEN_PATHS:
                operation["responses"] |= {
                    str(status): answer
                    for status, answer in documented(KEY_MISSING, KEY_REJECTED).items()
                    if status != 200
                }


def document_route(api: DocumentedAPI) -> APIRouter:
    """Route of the OpenAPI document."""
    router = APIRouter(include_in_schema=False)

    @router.get("/openapi.json")
    async def document() -> Response:
        return Response(to_json(api.openapi()), media_type="application/json")

    return router
