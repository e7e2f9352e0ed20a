"""The composition root of serving, with a custom route and custom middleware."""

from time import perf_counter

from fastapi import APIRouter
from mlchassis.serving import ModelDep, Service
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .features import compute_features

router = APIRouter()


@router.get("/own/columns")
async def list_columns(model: ModelDep) -> list[str]:
    """Return the names of the columns that the model was trained on."""
    return [column.name for column in model.contract.features]


class TimingHeader:
    """ASGI middleware that adds the milliseconds that a request took."""

    def __init__(self, app: ASGIApp, header: str) -> None:
        self._app = app
        self._header = header.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on and add the header to its response."""
        started = perf_counter()

        async def add_header(message: Message) -> None:
            if message["type"] == "http.response.start":
                taken = f"{1000 * (perf_counter() - started):.1f}"
                message["headers"] = [*message["headers"], (self._header, taken.encode())]
            await send(message)

        await self._app(scope, receive, add_header)


service = Service(
    features=compute_features,
    routers=[router],
    middleware=[(TimingHeader, {"header": "x-milliseconds"})],
)
