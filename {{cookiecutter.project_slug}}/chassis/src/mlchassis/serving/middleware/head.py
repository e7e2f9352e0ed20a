"""HEAD for every route with GET, as RFC 9110 requires."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class HeadSupport:
    """ASGI middleware that answers HEAD with the status and headers of GET, without a body."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer HEAD by GET; the server still sees the method that was sent."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def send_head(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        get_scope = {**scope, "method": "GET"}
        try:
            await self._app(get_scope, receive, send_head)
        finally:
            # Metrics and logs name a request by its route.
            if "route" in get_scope:
                scope["route"] = get_scope["route"]
