"""Load shedding: excess predictions are rejected at once, so that accepted ones stay fast."""

import asyncio

from starlette.responses import Response
from starlette.types import Scope, Send

from mlchassis.serving.metrics import Metrics
from mlchassis.serving.problems import OVERLOADED, RETRY_SOON, ProblemError, render_problem

_PLACEHOLDER = "{request_id}"


class LoadShedder:
    """Count predictions in progress, and reject those beyond the limit.

    A request takes a slot once its body is complete: a slow body keeps nobody out.

    Args:
        limit: Most predictions in progress.
        metrics: Metrics of the service, which include their number.
    """

    def __init__(self, limit: int, metrics: Metrics) -> None:
        self.limit = limit
        self._metrics = metrics
        self._active = 0
        self._responses: dict[str, Response] = {}

    def is_full(self) -> bool:
        """True if one more request has to be rejected."""
        return self._active >= self.limit

    def take_slot(self) -> None:
        """Take a slot, even beyond the limit."""
        self._active += 1
        self._metrics.show_active(self._active)

    def release_slot(self) -> None:
        """Give a slot back."""
        self._active -= 1
        self._metrics.show_active(self._active)

    async def reject(self, scope: Scope, send: Send) -> None:
        """Respond with 503, after the responses to accepted requests."""
        # Whoever was accepted before is next in the event loop: rejections do not delay them.
        await asyncio.sleep(0)
        template = self._find_template(scope)
        request_id = scope["request_id"].encode("ascii")
        body = bytes(template.body).replace(_PLACEHOLDER.encode(), request_id)
        headers = [pair for pair in template.raw_headers if pair[0] != b"content-length"]
        headers.append((b"content-length", b"%d" % len(body)))
        status = template.status_code
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _find_template(self, scope: Scope) -> Response:
        """Return the response to a route's requests, rendered once: overload repeats it."""
        route: str = getattr(scope.get("route"), "path", "")
        if route not in self._responses:
            detail = f"{self.limit} predictions are in progress."
            problem = ProblemError(OVERLOADED, detail, RETRY_SOON)
            named = {**scope, "request_id": _PLACEHOLDER}
            self._responses[route] = render_problem(problem, named)
        return self._responses[route]
