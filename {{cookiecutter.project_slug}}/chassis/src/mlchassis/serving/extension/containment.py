"""Middleware around a team's own code: a limit for bodies, and a guard against `sys.exit`."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mlchassis.serving.problems import render_problem
from mlchassis.serving.protocols.body import exceeds, reject_large_body


class ProcessExitError(Exception):
    """Own code called `sys.exit` while it answered a request."""


class ExitGuard:
    """ASGI middleware that turns `sys.exit` into an exception.

    In a task of its own, such as Starlette's BaseHTTPMiddleware starts for what is below it,
    SystemExit would end the service.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        try:
            await self._app(scope, receive, send)
        except SystemExit as error:
            # With the traceback, which names the line of the call.
            raise ProcessExitError().with_traceback(error.__traceback__) from None


class BodyLimit:
    """ASGI middleware that rejects bodies larger than the limit before they fill the memory.

    Routes that predict have the limit themselves; own routes and middleware may read any body.

    Args:
        max_bytes: Largest body.
    """

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or reject it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        if exceeds(headers.get(b"content-length", b""), self._max_bytes):
            problem = reject_large_body(self._max_bytes)
            await render_problem(problem, scope)(scope, receive, send)
        elif b"transfer-encoding" in headers:
            await _ChunkedBody(self._max_bytes, scope, receive, send).run(self._app)
        else:
            # The server reads no more of a body than its header says.
            await self._app(scope, receive, send)


class _ChunkedBody:
    """Body of one request, whose length is known at its end, and the response to it."""

    def __init__(self, max_bytes: int, scope: Scope, receive: Receive, send: Send) -> None:
        self._problem = reject_large_body(max_bytes)
        self._max_bytes = max_bytes
        self._scope = scope
        self._receive = receive
        self._send = send
        self._size = 0
        self._started = False
        self._rejected = False

    async def run(self, app: ASGIApp) -> None:
        """Call an application; respond with the problem if it fails because of that."""
        try:
            await app(self._scope, self.receive, self.send)
        # A task group, as in Starlette's BaseHTTPMiddleware, raises a group of errors.
        except Exception:
            if self._started or not self._is_too_large():
                raise
            await self._reject()

    async def receive(self) -> Message:
        """Return the next part.

        Raises:
            ProblemError: The body is too large.
        """
        message = await self._receive()
        self._size += len(message.get("body", b""))
        if self._is_too_large():
            raise self._problem
        return message

    async def send(self, message: Message) -> None:
        """Send a part of the response; the problem in place of a response to a large body."""
        # FastAPI takes an error while it reads for a body that it cannot parse.
        if self._is_too_large() and not self._started:
            await self._reject()
        elif not self._rejected:
            self._started = True
            await self._send(message)

    def _is_too_large(self) -> bool:
        return self._size > self._max_bytes

    async def _reject(self) -> None:
        self._started = True
        self._rejected = True
        await render_problem(self._problem, self._scope)(self._scope, self._receive, self._send)
