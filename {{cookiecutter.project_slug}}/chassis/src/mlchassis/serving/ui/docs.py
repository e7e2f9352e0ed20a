"""`GET /docs`: Swagger UI from an installed package; the page loads nothing from elsewhere."""

from importlib.util import find_spec
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, HTMLResponse

from mlchassis.errors import ProjectError
from mlchassis.serving.ui.policy import page_headers

ASSETS = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
}
"""Files of Swagger UI with their media types."""
ASSET_HEADERS = {
    "Accept-Ranges": "none",
    "Cache-Control": "public, max-age=3600",
    "X-Content-Type-Options": "nosniff",
}
_PACKAGE = "fastapi_offline"


def swagger_routes() -> APIRouter:
    """Routes of the page and of the files that it loads; none of them depends on the model."""
    router = APIRouter(include_in_schema=False)
    page = Path(__file__).with_name("docs.html").read_text(encoding="utf-8")
    headers = page_headers(page, assets=True)

    @router.get("/docs")
    async def docs() -> HTMLResponse:
        return HTMLResponse(page, headers=headers)

    for name, media_type in ASSETS.items():
        _add_asset(router, _find_asset(name), media_type)
    return router


def _add_asset(router: APIRouter, path: Path, media_type: str) -> None:
    @router.get(f"/docs/{path.name}")
    async def asset(request: Request) -> FileResponse:
        # Starlette answers a malformed or unsatisfiable range in plain text.
        headers = request.scope["headers"]
        request.scope["headers"] = [pair for pair in headers if pair[0] != b"range"]
        return FileResponse(path, media_type=media_type, headers=ASSET_HEADERS)


def _find_asset(name: str) -> Path:
    """Return the path of an installed file.

    Raises:
        ProjectError: The package is missing, or its release has no such file.
    """
    # The package's code is not imported: it is its files that are needed.
    package = find_spec(_PACKAGE)
    if package is not None and package.origin is not None:
        path = Path(package.origin).parent / "static" / name
        if path.is_file():
            return path
    raise ProjectError(
        f"Swagger UI's file {name} is not installed; install the pinned fastapi-offline of "
        "requirements/serve.txt."
    )
