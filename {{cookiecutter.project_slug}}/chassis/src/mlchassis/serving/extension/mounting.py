"""Mount a team's routes and middleware on the application."""

from dataclasses import replace

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.requests import Request
from starlette.responses import Response

from mlchassis.serving.problems import (
    INTERNAL_ERROR,
    REQUEST_REFUSED,
    ProblemError,
    render_problem,
)
from mlchassis.serving.routes import documented
from mlchassis.serving.service import Service

INVALID_ARGUMENTS = replace(REQUEST_REFUSED, status=422)


def mount(app: FastAPI, service: Service | None) -> None:
    """Add own routes behind the machinery's, and own middleware inside the machinery's.

    Call it before any other middleware is added: what is added later is further out. So API keys
    and request logging hold for own routes, and own middleware sees accepted requests alone.
    """
    if service is None:
        return
    for router in service.routers:
        app.include_router(router, responses=documented(INVALID_ARGUMENTS, INTERNAL_ERROR))
    app.add_exception_handler(RequestValidationError, reject_arguments)
    for entry in reversed(service.middleware):
        kind, options = entry if isinstance(entry, tuple) else (entry, {})
        app.add_middleware(kind, **options)


async def reject_arguments(request: Request, error: Exception) -> Response:
    """Answer a request whose arguments an own route does not take, without repeating them."""
    if not isinstance(error, RequestValidationError):
        raise error
    errors = [
        {"pointer": "/" + "/".join(map(str, each["loc"])), "detail": each["msg"]}
        for each in error.errors()
    ]
    detail = f"{errors[0]['pointer']}: {errors[0]['detail']}"
    problem = ProblemError(INVALID_ARGUMENTS, detail, errors=errors)
    return render_problem(problem, request.scope)
