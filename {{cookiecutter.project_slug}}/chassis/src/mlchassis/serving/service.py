"""The objects that a team passes to the service."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlchassis.features.code import FEATURE_SIGNATURE, FeatureFunction, load_feature_code
from mlchassis.team_code.importing import find_file, load_object
from mlchassis.team_code.signatures import check_function, check_list

if TYPE_CHECKING:
    from fastapi import APIRouter
    from starlette.types import ASGIApp

    MiddlewareClass = type[ASGIApp]


@dataclass(frozen=True, slots=True)
class Service:
    """The composition root of serving.

    Attributes:
        features: The function from columns to features.
        routers: Own routes, beside those of the machinery.
        middleware: ASGI middleware classes around all routes, the first outermost; one with
            options is a pair of the class and a mapping of keyword arguments.
    """

    features: FeatureFunction
    routers: "Sequence[APIRouter]" = ()
    middleware: "Sequence[MiddlewareClass | tuple[MiddlewareClass, Mapping[str, Any]]]" = ()


def load_service(reference: str) -> Service:
    """Import a project's service and check its objects.

    Args:
        reference: Import string "package.module:name".

    Raises:
        ProjectError: It is not there, is something else, or holds an object of another shape.
    """
    service = load_object(reference, Service)
    file = find_file(reference)
    check_function(service.features, f"{file}: features", "features", FEATURE_SIGNATURE)
    load_feature_code(service.features)
    check_list(service.routers, f"{file}: routers")
    check_list(service.middleware, f"{file}: middleware")
    if service.routers or service.middleware:
        from mlchassis.serving.extension.checks import check_middleware, check_routers

        check_routers(service.routers, file)
        check_middleware(service.middleware, file)
    return service
