import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from mlchassis.config.settings import ServiceSettings
from mlchassis.errors import ProjectError
from mlchassis.serving.app import create_app
from mlchassis.serving.auth import OPEN_PATHS, load_digests
from mlchassis.serving.loading import ServedModel
from mlchassis.serving.ui import page

KEY = "3f9c" * 16


@pytest.fixture
def guarded(settings: ServiceSettings, model: ServedModel, tmp_path: Path) -> FastAPI:
    path = tmp_path / "keys"
    other = hashlib.sha256(b"other").hexdigest()
    path.write_text(f"# of clients\n{other}\n{hashlib.sha256(KEY.encode()).hexdigest()} shop\n\n")
    return create_app(settings.model_copy(update={"api_keys_file": path}), model)


@pytest.fixture
def client(guarded: FastAPI) -> Iterator[TestClient]:
    with TestClient(guarded) as client:
        yield client


def list_routes(app: FastAPI) -> set[tuple[str, str]]:
    """Every path and method that FastAPI knows, documented or not."""
    found: set[tuple[str, str]] = set()
    routers: list[Any] = [app.router]
    while routers:
        for route in routers.pop().routes:
            if hasattr(route, "methods"):
                found |= {(route.path, method) for method in route.methods or ()}
            else:
                routers.append(getattr(route, "original_router", route))
    return found


def test_every_path_but_health_asks_for_a_key(guarded: FastAPI, client: TestClient) -> None:
    routes = list_routes(guarded)
    assert {path for path, _ in routes} >= {"/predict", "/metrics", "/docs", *OPEN_PATHS}
    for path, method in routes:
        answer = client.request(method, path)
        assert (answer.status_code == 200) if path in OPEN_PATHS else (answer.status_code == 401)
    for path in ("/no-such-path", "/health/other", "/pings"):
        assert client.get(path).status_code == 401


def test_a_key_opens_and_another_does_not(client: TestClient) -> None:
    for headers in ({"Authorization": f"Bearer {KEY}"}, {"X-API-Key": KEY}):
        assert client.get("/metrics", headers=headers).status_code == 200
    missing = client.get("/metrics")
    assert (missing.status_code, missing.headers["www-authenticate"]) == (401, "Bearer")
    for wrong in (KEY[:-1], KEY.upper(), "", "\u00e9"):
        refused = client.get("/metrics", headers={b"X-API-Key": wrong.encode()})
        assert (refused.status_code, refused.json()["type"]) == (403, "/docs#key-refused")
        assert "x-request-id" in refused.headers


def test_a_browser_without_a_key_gets_the_page_without_anything_of_a_model(
    client: TestClient, model: ServedModel
) -> None:
    shut = client.get("/")
    assert (shut.status_code, shut.headers["www-authenticate"]) == (401, "Bearer")
    assert shut.text == Path(page.__file__).with_name("page.html").read_text(encoding="utf-8")
    names = [column.name for column in model.contract.columns if "_" in column.name]
    assert not [name for name in (model.identity.name, *names) if name in shut.text]
    opened = client.get("/", headers={"Authorization": f"Bearer {KEY}"})
    assert opened.status_code == 200
    assert model.identity.name in opened.text
    # What the browser got first must be allowed to run what it gets then, and no more.
    policy = "content-security-policy"
    assert shut.headers[policy] == opened.headers[policy]
    for refused in (client.post("/"), client.get("/docs")):
        assert refused.json()["type"] == "/docs#key-missing"


def test_the_document_says_what_asks_for_a_key(guarded: FastAPI) -> None:
    paths = guarded.openapi()["paths"]
    assert paths["/predict"]["post"]["security"] == [{"key": []}]
    assert set(paths["/predict"]["post"]["responses"]) >= {"401", "403"}
    assert paths["/health/live"]["get"]["security"] == []


@pytest.mark.parametrize("text", ["", "# none\n", "secret\n", "0" * 63, "0" * 64 + "0"])
def test_a_file_that_holds_no_digests_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "keys"
    path.write_text(text)
    with pytest.raises(ProjectError, match="SERVICE_API_KEYS_FILE"):
        load_digests(path)
    with pytest.raises(ProjectError, match="cannot be read"):
        load_digests(tmp_path / "absent")
