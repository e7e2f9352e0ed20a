"""Checks of own routes and middleware when the service starts."""

import inspect
from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter
from fastapi.routing import RouteContext, iter_route_contexts
from starlette.routing import Route

from mlchassis.errors import ProjectError
from mlchassis.team_code.signatures import describe

RESERVED = frozenset(
    {
        "",
        "docs",
        "health",
        "invocations",
        "metrics",
        "openapi.json",
        "ping",
        "predict",
        "v1",
        "v2",
        "version",
    }
)
"""First parts of the paths that belong to the machinery, whatever follows."""


def check_routers(routers: Sequence[Any], file: str) -> None:
    """Reject what is not a router, and routes that the service cannot have.

    Args:
        routers: Object that the team passed.
        file: The file in which it was passed.

    Raises:
        ProjectError: An object is not an APIRouter, or a path belongs to the machinery.
    """
    for number, router in enumerate(routers):
        if not isinstance(router, APIRouter):
            raise ProjectError(
                f"{file}: routers[{number}] is {describe(router)}; it must be a fastapi.APIRouter."
            )
        for context in iter_route_contexts(router.routes):
            _check_route(context, f"{file}: routers[{number}]")


def _check_route(context: RouteContext, place: str) -> None:
    route = context.original_route
    path = str(context.path or "")
    if not isinstance(route, Route):
        raise ProjectError(
            f"{place} has {type(route).__name__} '{path}'; the service answers plain HTTP routes "
            "alone, as from @router.get or @router.post."
        )
    first = path.removeprefix("/").partition("/")[0]
    if first in RESERVED:
        raise ProjectError(
            f"{place} has the path '{path}', which belongs to the service's own routes; choose a "
            "path that begins otherwise."
        )
    if "{" in first:
        raise ProjectError(
            f"{place} has the path '{path}', which would take requests of the service's own "
            "routes; begin it with a fixed part, such as '/own/{name}'."
        )


def check_middleware(middleware: Sequence[Any], file: str) -> None:
    """Reject middleware that cannot be made as `cls(app, **options)`.

    Args:
        middleware: Object that the team passed.
        file: The file in which it was passed.

    Raises:
        ProjectError: An entry is not a class, or does not take an application and its options.
    """
    for number, entry in enumerate(middleware):
        pair = entry if isinstance(entry, tuple) else (entry, {})
        if not _is_middleware(pair):
            raise ProjectError(
                f"{file}: middleware[{number}] is {entry!r:.100}; it must be a class whose "
                "__init__(self, app, **options) and __call__(self, scope, receive, send) follow "
                "ASGI, or (class, options)."
            )


def _is_middleware(pair: tuple[Any, ...]) -> bool:
    if len(pair) != 2 or not isinstance(pair[0], type) or not isinstance(pair[1], dict):
        return False
    kind, options = pair
    # `kind.__call__` is never missing: it may be the one that makes instances.
    calls = [vars(each)["__call__"] for each in kind.__mro__ if "__call__" in vars(each)]
    if not calls:
        return False
    try:
        inspect.signature(kind).bind(None, **options)
        inspect.signature(calls[0]).bind(None, None, None, None)
    except (TypeError, ValueError):
        return False
    return True
