"""Errors as problem details (RFC 9457): their kinds and their rendering."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_json
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

MEDIA_TYPE = "application/problem+json"
BODILESS = frozenset({204, 304})
"""Statuses whose responses have no body."""
RETRY_SOON = {"Retry-After": "1"}
"""Header of a problem that may be over in a second."""


@dataclass(frozen=True, slots=True)
class ProblemKind:
    """Kind of problem, which a client recognizes by its `type`."""

    name: str
    status: int
    title: str
    advice: str

    @property
    def uri(self) -> str:
        """The `type` of the problem: relative to the service, where its page explains it."""
        return f"/docs#{self.name}"


MALFORMED_BODY = ProblemKind(
    "malformed-body", 400, "The body is not JSON", "Send one JSON document in UTF-8."
)
KEY_MISSING = ProblemKind(
    "key-missing", 401, "An API key is needed", "Send one as `Authorization: Bearer KEY`."
)
KEY_REJECTED = ProblemKind(
    "key-rejected", 403, "The API key is not accepted", "Ask whoever operates the service for one."
)
NOT_FOUND = ProblemKind(
    "not-found", 404, "There is no such path", "See the list of paths on /docs."
)
NO_SUCH_MODEL = ProblemKind(
    "no-such-model", 404, "That model is not served", "`detail` says which one is."
)
METHOD_NOT_ALLOWED = ProblemKind(
    "method-not-allowed",
    405,
    "The path does not take this method",
    "The header Allow says which methods it takes.",
)
MISDIRECTED = ProblemKind(
    "misdirected",
    421,
    "The service does not answer to this host name",
    "Use one of its names; whoever operates the service lists them in SERVICE_ALLOWED_HOSTS.",
)
SLOW_BODY = ProblemKind(
    "slow-body", 408, "The body did not arrive in time", "Send it at once, or fewer records."
)
BODY_TOO_LARGE = ProblemKind(
    "body-too-large", 413, "The body is too large", "Send fewer records in one request."
)
UNSUPPORTED_MEDIA_TYPE = ProblemKind(
    "unsupported-media-type",
    415,
    "The body is of a type that is not read here",
    "`detail` says what is read; UTF-8 alone, not compressed.",
)
INVALID_RECORDS = ProblemKind(
    "invalid-records",
    422,
    "The records do not keep the contract",
    "`errors` says where and why, for the first record that does not.",
)
REQUEST_REJECTED = ProblemKind(
    "request-rejected", 400, "The request is rejected", "`detail` says why."
)
INTERNAL_ERROR = ProblemKind(
    "internal-error",
    500,
    "The service failed",
    "It is not the request's fault; report the request id, which the service's log holds too.",
)
OVERLOADED = ProblemKind(
    "overloaded",
    503,
    "Too many requests are in progress",
    "Try again after the seconds that Retry-After says.",
)
STOPPING = ProblemKind(
    "stopping", 503, "The service is stopping", "Requests in progress are still answered."
)
LOG_UNAVAILABLE = ProblemKind(
    "log-unavailable",
    503,
    "The prediction log cannot be written",
    "No answer leaves without its log line; try again after the seconds that Retry-After says.",
)
DEADLINE_EXCEEDED = ProblemKind(
    "deadline-exceeded", 504, "The answer took too long", "Send fewer records in one request."
)

KINDS = (
    MALFORMED_BODY,
    KEY_MISSING,
    KEY_REJECTED,
    NOT_FOUND,
    NO_SUCH_MODEL,
    METHOD_NOT_ALLOWED,
    MISDIRECTED,
    SLOW_BODY,
    BODY_TOO_LARGE,
    UNSUPPORTED_MEDIA_TYPE,
    INVALID_RECORDS,
    REQUEST_REJECTED,
    INTERNAL_ERROR,
    OVERLOADED,
    STOPPING,
    LOG_UNAVAILABLE,
    DEADLINE_EXCEEDED,
)
"""All kinds, in the order of `/docs`."""
_ROUTING = {kind.status: kind for kind in (NOT_FOUND, METHOD_NOT_ALLOWED, BODY_TOO_LARGE)}


class FieldError(BaseModel):
    """One thing that is wrong with a request."""

    pointer: str = Field(description="Location, as a JSON Pointer into the body")
    detail: str = Field(description="Error at this location, without the value")


class ProblemDocument(BaseModel):
    """A failure as RFC 9457 describes it."""

    model_config = ConfigDict(title="Problem")

    type: str = Field(
        description="The kind of problem", json_schema_extra={"format": "uri-reference"}
    )
    title: str = Field(description="The kind of problem in words")
    status: int = Field(description="The HTTP status")
    detail: str = Field(description="Details of this occurrence")
    request_id: str = Field(description="Equal to the header X-Request-ID")
    errors: list[FieldError] = Field(
        default=[], description="Every finding, where there are several"
    )
    error: str | None = Field(None, description="On `/v1` and `/v2` alone: the detail once more")


@dataclass(eq=False)
class ProblemError(Exception):
    """Raised anywhere below a route; the client gets it as a problem document.

    Attributes:
        detail: Details of this occurrence; they must not repeat values of the request.
        headers: Further headers of the answer.
        errors: Findings with their place in the body.
    """

    kind: ProblemKind
    detail: str
    headers: Mapping[str, str] = field(default_factory=dict)
    errors: Sequence[Mapping[str, str]] = ()


def render_problem(problem: ProblemError, scope: Scope) -> Response:
    """Return the response to a request with a problem."""
    root = scope.get("root_path", "")
    document: dict[str, Any] = {
        "type": root + problem.kind.uri,
        "title": problem.kind.title,
        "status": problem.kind.status,
        "detail": problem.detail,
        "request_id": scope["request_id"],
    }
    if scope["path"].removeprefix(root).startswith(("/v1", "/v2")):
        # Where clients of KServe's protocols look.
        document["error"] = problem.detail
    if problem.errors:
        document["errors"] = list(problem.errors)
    return Response(
        to_json(document), problem.kind.status, dict(problem.headers), media_type=MEDIA_TYPE
    )


async def send_problem(scope: Scope, receive: Receive, send: Send) -> None:
    """Respond with the problem in `scope["problem"]`."""
    await render_problem(scope["problem"], scope)(scope, receive, send)


async def answer_problem(request: Request, error: Exception) -> Response:
    """Handle `ProblemError`."""
    if not isinstance(error, ProblemError):
        raise error
    return render_problem(error, request.scope)


async def answer_http_exception(request: Request, error: Exception) -> Response:
    """Handle HTTP errors of FastAPI's router and of a project's routes."""
    if not isinstance(error, HTTPException):
        raise error
    headers = _add_head(error.headers or {})
    if error.status_code in BODILESS:
        return Response(status_code=error.status_code, headers=headers)
    kind = _ROUTING.get(error.status_code)
    if kind is not None and error.detail == HTTPStatus(error.status_code).phrase:
        return render_problem(_repeat_advice(kind, headers), request.scope)
    # The project's own route raised it, with a status and perhaps words of its own.
    kind = replace(REQUEST_REJECTED, status=error.status_code)
    return render_problem(ProblemError(kind, str(error.detail), headers), request.scope)


def _repeat_advice(kind: ProblemKind, headers: Mapping[str, str]) -> ProblemError:
    return ProblemError(kind, f"{kind.title}. {kind.advice}", headers)


def _add_head(headers: Mapping[str, str]) -> dict[str, str]:
    """Return headers whose `Allow` names HEAD where it names GET."""
    methods = set(re.findall(r"[A-Z]+", headers.get("Allow", "")))
    if "GET" not in methods:
        return dict(headers)
    return {**headers, "Allow": ", ".join(sorted(methods | {"HEAD"}))}
