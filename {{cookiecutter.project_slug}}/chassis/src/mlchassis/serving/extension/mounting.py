"""Mount a team's routes and middleware on the application."""

from dataclasses import replace

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.requests import Request
from starlette.responses import Response

from mlchassis.serving.extension.containment import BodyLimit, ExitGuard
from mlchassis.serving.problems import (
    INTERNAL_ERROR,
    REQUEST_REJECTED,
    ProblemError,
    render_problem,
)
from mlchassis.serving.routes import documented
from mlchassis.serving.service import Service

INVALID_ARGUMENTS = replace(REQUEST_REJECTED, status=422)


def mount(app: FastAPI, service: Service | None, max_body_bytes: int) -> None:
    """Add own routes behind the machinery's, and own middleware inside the machinery's.

    Call it before any other middleware is added: what is added later is further out. So API keys
    and request logging hold for own routes, and own middleware sees accepted requests alone.

    Args:
        app: Application with the machinery's routes.
        service: The project's own routes and middleware.
        max_body_bytes: Largest body of a request.
    """
    if service is None or not (service.routers or service.middleware):
        return
    for router in service.routers:
        app.include_router(router, responses=documented(INVALID_ARGUMENTS, INTERNAL_ERROR))
    app.add_exception_handler(RequestValidationError, reject_arguments)
    app.add_middleware(ExitGuard)
    for entry in reversed(service.middleware):
        kind, options = entry if isinstance(entry, tuple) else (entry, {})
        app.add_middleware(kind, **options)
        app.add_middleware(ExitGuard)
    app.add_middleware(BodyLimit, max_bytes=max_body_bytes)


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
