"""A team's own routes and middleware: mounted beside the service's own, and checked at start-up."""

import hashlib
import io
import json
import os
import re
import subprocess
import sys
import textwrap
import urllib.request
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter, HTTPException, Request
from fastapi.routing import iter_route_contexts
from fastapi.testclient import TestClient
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ml_service.features import compute_features
from mlchassis import ModelDep, Service
from mlchassis.config.settings import ServiceSettings
from mlchassis.errors import ProjectError
from mlchassis.serving.app import create_app
from mlchassis.serving.extension.checks import RESERVED, check_middleware, check_routers
from mlchassis.serving.loading import LoadedModel
from mlchassis.serving.logs.operational import make_logger
from mlchassis.serving.service import load_service
from mlchassis.team_code.errors import FULL_TRACEBACK

router = APIRouter(prefix="/own")


@router.get("/digest")
async def read_digest(model: ModelDep) -> str:
    return model.identity.digest


@router.get("/number/{value}")
async def read_number(value: int) -> int:
    return value


@router.get("/missing")
async def read_missing() -> None:
    raise HTTPException(404, "There is no such airline.")


@router.get("/busy")
async def read_busy() -> None:
    raise HTTPException(429, "Ask later.", {"Retry-After": "9"})


@router.get("/status/{status}")
async def read_status(status: int, words: str | None = None) -> None:
    raise HTTPException(status, words)


@router.post("/size")
async def read_size(request: Request) -> int:
    return len(await request.body())


@router.post("/document")
async def read_document(document: dict[str, int]) -> int:
    return len(document)


@router.api_route("/both", methods=["GET", "POST"], include_in_schema=False)
async def read_both() -> None:
    """Nothing."""


@router.get("/broken")
async def read_broken() -> None:
    raise KeyError("secret")


@router.get("/exit")
async def read_exit() -> None:
    sys.exit(3)


@router.get("/exit-in-thread")
def read_exit_in_thread() -> None:
    sys.exit()


class Stamp:
    """Middleware that adds a header with the order in which it ran."""

    def __init__(self, app: ASGIApp, name: str = "plain") -> None:
        self._app, self._name = app, name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def stamp(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-stamp", self._name.encode())]
            await send(message)

        await self._app(scope, receive, stamp)


SERVICE = Service(compute_features, [router], [Stamp, (Stamp, {"name": "second"})])


class PassOn(BaseHTTPMiddleware):
    """Middleware that runs all below it in a task of its own."""

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        if request.url.query == "exit":
            sys.exit(4)
        return await call_next(request)


IN_TASKS = Service(compute_features, [router], [PassOn, PassOn])


@pytest.fixture(params=[SERVICE], ids=[""])
def client(
    request: pytest.FixtureRequest,
    settings: ServiceSettings,
    model: LoadedModel,
    operational_log: io.StringIO,
) -> TestClient:
    app = create_app(settings, model, make_logger(operational_log), service=request.param)
    return TestClient(app, raise_server_exceptions=False)


with_and_without_tasks = pytest.mark.parametrize(
    "client", [SERVICE, IN_TASKS], ids=["plain", "in tasks"], indirect=True
)


def test_an_own_route_gets_the_model_that_answers(client: TestClient, model: LoadedModel) -> None:
    answer = client.get("/own/digest")

    assert answer.json() == model.identity.digest
    assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["x-request-id"])


def test_own_routes_are_in_openapi_with_their_problems(client: TestClient) -> None:
    document = client.get("/openapi.json").json()

    responses = document["paths"]["/own/number/{value}"]["get"]["responses"]
    assert {"200", "422", "500"} <= responses.keys()
    assert "application/problem+json" in responses["422"]["content"]


def test_own_routes_are_in_metrics_and_request_logs(
    client: TestClient, operational_log: io.StringIO
) -> None:
    client.get("/own/number/3")

    entries = [json.loads(line) for line in operational_log.getvalue().splitlines()]
    assert "/own/number/{value}" in {entry.get("route") for entry in entries}
    assert 'route="/own/number/{value}"' in client.get("/metrics").text


@pytest.mark.parametrize(
    ("path", "status", "detail"),
    [
        ("/own/missing", 404, "There is no such airline."),
        ("/own/busy", 429, "Ask later."),
        ("/own/absent", 404, "There is no such path. See the list of paths on /docs."),
    ],
)
def test_http_exceptions_of_own_routes_are_problem_documents(
    client: TestClient, path: str, status: int, detail: str
) -> None:
    answer = client.get(path)

    assert (answer.status_code, answer.json()["detail"]) == (status, detail)
    assert answer.json()["status"] == status
    assert answer.headers["content-type"] == "application/problem+json"


def test_invalid_arguments_are_rejected_without_repeating_them(client: TestClient) -> None:
    answer = client.get("/own/number/4711x")

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/path/value"
    assert "4711x" not in answer.text


def test_an_error_in_an_own_route_is_a_problem_without_its_message(client: TestClient) -> None:
    answer = client.get("/own/broken")

    assert answer.status_code == 500
    assert "secret" not in answer.text


@pytest.mark.parametrize("words", [None, "Own words."])
@pytest.mark.parametrize("status", [401, 403, 409, 503])
def test_an_own_status_stays_with_and_without_words(
    client: TestClient, status: int, words: str | None
) -> None:
    answer = client.get(f"/own/status/{status}", params={"words": words} if words else {})

    document = answer.json()
    assert (answer.status_code, document["status"]) == (status, status)
    assert document["detail"] == (words or HTTPStatus(status).phrase)


def test_an_own_status_may_be_one_without_a_name(client: TestClient) -> None:
    answer = client.get("/own/status/499", params={"words": "Own words."})

    assert (answer.status_code, answer.json()["detail"]) == (499, "Own words.")


@pytest.mark.parametrize("status", [204, 304])
def test_a_status_without_a_body_has_none(client: TestClient, status: int) -> None:
    answer = client.get(f"/own/status/{status}")

    assert (answer.status_code, answer.content) == (status, b"")


def test_allow_names_head_wherever_it_names_get(client: TestClient) -> None:
    assert client.delete("/own/both").headers["allow"] == "GET, HEAD, POST"
    assert client.head("/own/both").status_code == 200


@with_and_without_tasks
@pytest.mark.parametrize("path", ["/own/size", "/own/document"])
@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_a_body_for_an_own_route_is_limited(
    client: TestClient, settings: ServiceSettings, path: str, *, chunked: bool
) -> None:
    def send(size: int) -> Any:
        body = b'{"a": 1' + b" " * (size - 8) + b"}"
        content = iter((body[:9], body[9:])) if chunked else body
        return client.post(path, content=content, headers={"Content-Type": "application/json"})

    assert send(settings.max_body_bytes).status_code == 200
    answer = send(settings.max_body_bytes + 1)
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "/docs#body-too-large"


@with_and_without_tasks
@pytest.mark.parametrize("path", ["/own/exit", "/own/exit-in-thread"])
def test_an_own_route_that_ends_the_process_fails_alone(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 500
    assert client.get("/own/number/3").json() == 3


@pytest.mark.parametrize("client", [IN_TASKS], indirect=True)
def test_own_middleware_that_ends_the_process_fails_alone(
    client: TestClient, operational_log: io.StringIO
) -> None:
    assert client.get("/own/number/3?exit").status_code == 500
    assert client.get("/own/number/3").json() == 3
    entries = [json.loads(line) for line in operational_log.getvalue().splitlines()]
    (failure,) = [entry for entry in entries if entry["event"] == "failure"]
    assert failure["error"] == "ProcessExitError"
    assert failure["stack"][-1].endswith(" dispatch")


def test_the_log_of_a_failure_has_the_frames_of_the_own_route_alone(
    client: TestClient, operational_log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.get("/own/broken")
    monkeypatch.setenv(FULL_TRACEBACK, "1")
    client.get("/own/broken")

    entries = [json.loads(line) for line in operational_log.getvalue().splitlines()]
    short, full = [entry["stack"] for entry in entries if entry["event"] == "failure"]
    assert short[-1].endswith(" read_broken")
    assert all("test_extension.py:" in frame for frame in short)
    assert full[: len(short)] == short
    assert len(full) > 2 * len(short)


def test_own_middleware_runs_in_its_order_around_predictions_too(
    client: TestClient, rows: list[dict[str, Any]]
) -> None:
    answer = client.post("/predict", json={"records": rows})

    assert answer.status_code == 200
    assert answer.headers.get_list("x-stamp") == ["second", "plain"]


def test_own_routes_ask_for_a_key_where_the_service_does(
    settings: ServiceSettings, model: LoadedModel, tmp_path: Path
) -> None:
    keys = tmp_path / "keys"
    keys.write_text(hashlib.sha256(b"the key").hexdigest())
    guarded = settings.model_copy(update={"api_keys_file": keys})
    client = TestClient(create_app(guarded, model, service=SERVICE))

    assert client.get("/own/digest").status_code == 401
    assert client.get("/own/digest", headers={"X-API-Key": "the key"}).status_code == 200
    document = client.get("/openapi.json", headers={"X-API-Key": "the key"}).json()
    assert document["paths"]["/own/digest"]["get"]["security"] == [{"key": []}, {"header": []}]


def test_the_first_part_of_every_built_in_path_is_reserved(
    settings: ServiceSettings, model: LoadedModel
) -> None:
    app = create_app(settings, model)
    paths = {str(context.path) for context in iter_route_contexts(app.routes)}

    assert {"/", "/predict", "/metrics", "/health/live"} <= paths
    assert {path.split("/")[1] for path in paths} == RESERVED


def make_router(path: str) -> APIRouter:
    inner = APIRouter()
    inner.add_api_route(path, read_missing)
    outer = APIRouter()
    outer.include_router(inner)
    return outer


@pytest.mark.parametrize(
    "path",
    ["/", "/predict", "/predict/more", "/v2/models/mine", "/metrics", "/{name}", "/{x:path}"],
)
def test_a_path_of_the_service_is_refused_by_its_name(path: str) -> None:
    with pytest.raises(ProjectError, match=re.escape(f"here.py: routers[1] has the path '{path}'")):
        check_routers([router, make_router(path)], "here.py")


class NotCalled:
    """A class that takes an application, and cannot be called with a request."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app


def test_what_is_no_router_is_refused() -> None:
    with pytest.raises(
        ProjectError, match=r"here.py: routers\[0\] is read_missing\(\) .*APIRouter"
    ):
        check_routers([read_missing], "here.py")


def test_a_websocket_is_refused() -> None:
    sockets = APIRouter()
    sockets.add_api_websocket_route("/own/socket", read_missing)

    with pytest.raises(ProjectError, match="'/own/socket'; the service answers plain HTTP"):
        check_routers([sockets], "here.py")


@pytest.mark.parametrize(
    "entry",
    [
        read_missing,
        Stamp(router),
        (Stamp, {"unknown": 1}),
        (Stamp, "name"),
        dict,
        "Stamp",
        NotCalled,
    ],
)
def test_what_is_no_middleware_is_refused(entry: Any) -> None:
    with pytest.raises(ProjectError, match=r"here.py: middleware\[1\] is .*ASGI"):
        check_middleware([Stamp, entry], "here.py")


OWN_SERVICE = """
from fastapi import APIRouter
from mlchassis.serving import ModelDep, Service
from ml_service.features import compute_features

router = APIRouter()

@router.get("/digest")
async def read_digest(model: ModelDep) -> str:
    return model.identity.digest

service = Service(features=compute_features, routers={routers})
"""


@pytest.fixture
def own_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Write a module with a service; return the reference to it."""

    def write(routers: str) -> str:
        name = f"own_{hashlib.sha256(f'{tmp_path} {routers}'.encode()).hexdigest()[:8]}"
        (tmp_path / f"{name}.py").write_text(OWN_SERVICE.format(routers=routers))
        monkeypatch.syspath_prepend(tmp_path)
        return f"{name}:service"

    return write


def test_a_service_is_checked_when_it_is_loaded(own_service: Callable[[str], str]) -> None:
    assert len(load_service(own_service("[router]")).routers) == 1
    with pytest.raises(ProjectError, match=r"own_\w+.py: routers\[0\] is 'router'"):
        load_service(own_service("['router']"))


@pytest.mark.parametrize("routers", ["router", "None", "'router'", "{1: router}"])
def test_routers_and_middleware_are_lists(own_service: Callable[[str], str], routers: str) -> None:
    for arguments in (routers, f"(), middleware={routers}"):
        with pytest.raises(ProjectError, match=r"own_\w+.py: \w+ is .+; pass a list"):
            load_service(own_service(arguments))


START = """
import socket
from pathlib import Path
from mlchassis.config.settings import load_service_settings
from mlchassis.serving.server.process import serve

if __name__ == "__main__":
    serve(load_service_settings(), "{reference}")
"""


@pytest.mark.one_python
def test_every_worker_has_the_own_routes(
    own_service: Callable[[str], str],
    settings: ServiceSettings,
    model: LoadedModel,
    tmp_path: Path,
) -> None:
    reference = own_service("[router]")
    program = tmp_path / "start.py"
    program.write_text(textwrap.dedent(START.format(reference=reference)))
    environment = {
        **os.environ,
        "SERVICE_STORE": str(settings.store),
        "SERVICE_LOG_DIRECTORY": str(settings.log_directory),
        "SERVICE_PORT": "0",
        "SERVICE_WORKERS": "2",
    }
    with subprocess.Popen(
        [sys.executable, str(program)], env=environment, stdout=subprocess.PIPE, encoding="utf-8"
    ) as process:
        assert process.stdout is not None
        url = next(
            entry["url"] for entry in map(json.loads, process.stdout) if entry["event"] == "serving"
        )
        # Each request has a connection of its own, so both workers get some.
        answers = []
        for _ in range(20):
            with urllib.request.urlopen(f"{url}/digest", timeout=60) as response:  # noqa: S310
                answers.append(json.load(response))
        process.terminate()
        process.communicate()
    assert answers == [model.identity.digest] * 20
