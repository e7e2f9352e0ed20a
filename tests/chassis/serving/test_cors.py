import io
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from fastapi import APIRouter
from fastapi.testclient import TestClient

from ml_service.features import compute_features
from mlchassis import Service
from mlchassis.config.settings import ServiceSettings
from mlchassis.serving.app import create_app
from mlchassis.serving.loading import LoadedModel
from mlchassis.serving.logs.operational import make_logger

SHOP = "https://shop.example.org"
PREFLIGHT = {
    "Origin": SHOP,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "content-type, x-api-key",
}


@pytest.fixture
def open_client(settings: ServiceSettings, model: LoadedModel) -> Iterator[TestClient]:
    """A client of a service that allows one origin."""
    config = settings.model_copy(update={"cors_origins": (SHOP,)})
    with TestClient(create_app(config, model, make_logger(io.StringIO()))) as client:
        yield client


def test_an_allowed_page_may_ask_and_read_the_answer(
    open_client: TestClient, rows: list[dict[str, Any]]
) -> None:
    preflight = open_client.options("/predict", headers=PREFLIGHT)
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == SHOP
    bodies: list[dict[str, Any]] = [{"records": rows}, {"records": []}]
    for body in bodies:
        answer = open_client.post("/predict", json=body, headers={"Origin": SHOP})
        assert answer.headers["access-control-allow-origin"] == SHOP
        assert "X-Request-ID" in answer.headers["access-control-expose-headers"]


def test_another_page_may_not(open_client: TestClient) -> None:
    other = {**PREFLIGHT, "Origin": "https://evil.example.org"}
    assert open_client.options("/predict", headers=other).status_code == 400
    answer = open_client.get("/version", headers={"Origin": other["Origin"]})
    assert "access-control-allow-origin" not in answer.headers


def test_by_default_no_page_may(client: TestClient) -> None:
    assert client.options("/predict", headers=PREFLIGHT).status_code == 405
    answer = client.get("/version", headers={"Origin": SHOP})
    assert "access-control-allow-origin" not in answer.headers


def test_a_running_service_answers_an_allowed_page_with_its_headers(
    start: Any, web: httpx2.Client, rows: list[dict[str, Any]]
) -> None:
    url = start(CORS_ORIGINS=f"{SHOP},http://localhost:3000").wait_until_serving()
    for headers in ({"Origin": SHOP}, {}):
        answer = web.post(f"{url}/predict", json={"records": rows}, headers=headers)
        assert answer.status_code == 200
        assert answer.headers.get("access-control-allow-origin") == headers.get("Origin")
    # The server itself leaves the body out, and closes nothing.
    head = web.head(f"{url}/health/ready")
    assert (head.status_code, head.content) == (200, b"")
    assert int(head.headers["content-length"]) > 0


def test_an_allowed_page_can_read_why_its_request_failed(
    settings: ServiceSettings, model: LoadedModel
) -> None:
    router = APIRouter()

    @router.get("/own/broken")
    async def fail() -> None:
        raise KeyError("secret")

    config = settings.model_copy(update={"cors_origins": (SHOP,)})
    service = Service(compute_features, [router])
    app = create_app(config, model, make_logger(io.StringIO()), service=service)
    with TestClient(app, raise_server_exceptions=False) as client:
        failed = client.get("/own/broken", headers={"Origin": SHOP})
        misdirected = client.get("/version", headers={"Origin": SHOP, "Host": "other.example.org"})
        other = client.get("/own/broken", headers={"Origin": "https://evil.example.org"})
    assert (failed.status_code, misdirected.status_code) == (500, 421)
    for answer in (failed, misdirected):
        assert answer.headers["access-control-allow-origin"] == SHOP
        assert "X-Request-ID" in answer.headers["access-control-expose-headers"]
    assert "access-control-allow-origin" not in other.headers
