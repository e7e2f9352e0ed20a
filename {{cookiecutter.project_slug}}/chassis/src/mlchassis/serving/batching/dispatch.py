"""Predictions by their exact path, past FastAPI's router, which costs as much as the model."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from fastapi.routing import APIRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from mlchassis.serving.problems import ProblemError, render_problem
from mlchassis.serving.protocols.messages import ModelIdentity


@dataclass(frozen=True, slots=True)
class Target:
    """A route, and the values in its path for the loaded model."""

    route: APIRoute
    path_params: Mapping[str, str]


@dataclass(slots=True)
class PredictionPaths:
    """Targets by their exact path; replaced when a model is swapped."""

    targets: Mapping[str, Target]


def list_targets(
    routes: Iterable[APIRoute], identity: ModelIdentity, root_path: str
) -> dict[str, Target]:
    """Return the exact paths of predictions for a model, with and without the proxy's prefix."""
    known = {"name": identity.name, "version": identity.version}
    targets = {}
    for route in routes:
        values = {name: known[name] for name in route.param_convertors}
        path = route.path.format(**values)
        targets[path] = targets[root_path + path] = Target(route, values)
    return targets


class PredictionDispatcher:
    """ASGI middleware that calls the endpoint of a prediction; the innermost one.

    All else takes FastAPI's router, and so does a path that names another model.
    """

    def __init__(self, app: ASGIApp, paths: PredictionPaths) -> None:
        self._app = app
        self._paths = paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the endpoint, or pass the request on."""
        target = self._paths.targets.get(scope["path"]) if scope["type"] == "http" else None
        if target is None or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        scope["route"] = target.route
        scope["path_params"] = target.path_params
        try:
            await target.route.app(scope, receive, send)
        except ProblemError as problem:
            await render_problem(problem, scope)(scope, receive, send)
