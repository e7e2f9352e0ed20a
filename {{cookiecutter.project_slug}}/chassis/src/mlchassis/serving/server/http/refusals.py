"""Responses of the server itself: to what is not HTTP, and to one connection too many."""

import os
from http import HTTPStatus

from mlchassis.serving.problems import (
    OVERLOADED,
    REQUEST_REJECTED,
    RETRY_SOON,
    ProblemError,
    render_problem,
)

_STATUS_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus
}


def write_status(status: int) -> bytes:
    """Return the first line of a response."""
    return _STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status


def write_refusal(problem: ProblemError, root_path: str) -> bytes:
    """Return a problem as a whole response, the last one of its connection."""
    request_id = os.urandom(16).hex()
    scope = {"request_id": request_id, "path": "", "root_path": root_path}
    response = render_problem(problem, scope)
    lines = [b": ".join(pair) for pair in response.raw_headers]
    lines += [b"connection: close", b"x-request-id: " + request_id.encode()]
    head = write_status(response.status_code) + b"\r\n".join(lines)
    return head + b"\r\n\r\n" + bytes(response.body)


def refuse_request(detail: str) -> ProblemError:
    """Return the problem with a request that cannot be read."""
    return ProblemError(REQUEST_REJECTED, detail)


def refuse_connection() -> ProblemError:
    """Return the problem with one connection too many."""
    return ProblemError(OVERLOADED, "Too many connections are open.", RETRY_SOON)
