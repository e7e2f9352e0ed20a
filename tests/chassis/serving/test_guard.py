"""Heads of requests: the Host header, framing and size."""

import asyncio
import io
import json
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from mlchassis.config.settings import ServiceSettings, load_service_settings
from mlchassis.errors import ProjectError
from mlchassis.serving.app import create_app
from mlchassis.serving.auth import HEALTH_PATHS
from mlchassis.serving.loading import LoadedModel
from mlchassis.serving.logs.operational import make_logger
from mlchassis.serving.middleware.guard import MAX_HEADER_BYTES, RequestGuard
from mlchassis.serving.problems import ProblemError

Headers = list[tuple[bytes, bytes]]
HOST = (b"host", b"localhost:8000")


@pytest.fixture
def guard(app: FastAPI) -> RequestGuard:
    """A guard for two names and the subdomains of a third."""
    return RequestGuard(app, ("localhost", "[::1]", "*.example.org"))


def make_scope(headers: Headers, version: str = "1.1", path: str = "/predict") -> dict[str, Any]:
    """Scope of a request."""
    return {"headers": headers, "http_version": version, "path": path, "method": "POST"}


@pytest.mark.parametrize(
    "host",
    [
        b"localhost",
        b"LOCALHOST:8000",
        b"[::1]:8000",
        b"[::1]",
        b"a.example.org",
        b"a.b.example.org:1",
    ],
)
def test_an_allowed_host_passes(guard: RequestGuard, host: bytes) -> None:
    scope = make_scope([(b"host", host)])
    guard.check(scope)
    assert "anonymous" not in scope


@pytest.mark.parametrize(
    "host",
    [
        *(b"", b"evil.example.com", b"localhost.evil.com", b"example.org", b"badexample.org"),
        *(b"evil@localhost", b"localhost@evil", b"[::1", b"[::2]", b"127.0.0.1", b"*"),
        *(b"*.example.org", b"localhost:80:80", b"localhost:x", b"localhost[::1]"),
    ],
)
def test_another_host_is_misdirected(guard: RequestGuard, host: bytes) -> None:
    with pytest.raises(ProblemError) as caught:
        guard.check(make_scope([(b"host", host)]))
    assert caught.value.kind.status == 421
    assert "SERVICE_ALLOWED_HOSTS" in caught.value.detail


def test_a_star_allows_every_host(app: FastAPI) -> None:
    RequestGuard(app, ("*",)).check(make_scope([(b"host", b"anything.example.com")]))


@pytest.mark.parametrize("path", sorted(HEALTH_PATHS))
def test_health_answers_to_every_host_without_details(guard: RequestGuard, path: str) -> None:
    scope = make_scope([(b"host", b"10.1.2.3:8000")], path=path)
    guard.check(scope)
    assert scope["anonymous"] is True


@pytest.mark.parametrize(
    ("headers", "version"),
    [
        ([], "1.1"),
        ([HOST, HOST], "1.1"),
        ([HOST, (b"host", b"evil.example.com")], "1.0"),
        ([HOST, (b"transfer-encoding", b"chunked")], "1.0"),
        ([HOST, (b"transfer-encoding", b"gzip, chunked")], "1.1"),
        ([HOST, (b"transfer-encoding", b"identity")], "1.1"),
        ([HOST, (b"x", b"v" * MAX_HEADER_BYTES)], "1.1"),
        ([HOST, *[(b"x", b"")] * (MAX_HEADER_BYTES // 5)], "1.1"),
    ],
)
def test_an_ambiguous_or_large_head_is_refused(
    guard: RequestGuard, headers: Headers, version: str
) -> None:
    with pytest.raises(ProblemError) as caught:
        guard.check(make_scope(headers, version))
    assert caught.value.kind.status == 400
    assert caught.value.headers == {"Connection": "close"}


def test_chunked_bodies_and_long_headers_pass(guard: RequestGuard) -> None:
    headers = [HOST, (b"transfer-encoding", b"Chunked"), (b"x", b"v" * (MAX_HEADER_BYTES - 200))]
    guard.check(make_scope(headers))


@pytest.mark.parametrize(
    "path", ["/predict", "/v2/models/the-model/infer", "/metrics", "/", "/nothing"]
)
def test_every_path_refuses_a_foreign_host(
    client: TestClient, operational_log: io.StringIO, path: str
) -> None:
    answer = client.post(path, json={}, headers={"Host": "rebound.example.com"})
    assert answer.status_code == 421
    assert answer.json()["type"] == "/docs#misdirected"
    assert "rebound" not in operational_log.getvalue() + answer.text
    assert json.loads(operational_log.getvalue().splitlines()[-1])["status"] == 421


def test_without_a_host_nothing_is_answered(app: FastAPI, exchange: type[Any]) -> None:
    answer = asyncio.run(exchange(app, [b"{}"], [], hosts=[]).run())
    assert answer.status == 400


def test_the_model_stays_hidden_from_a_foreign_host(client: TestClient) -> None:
    hidden = client.get("/health/ready", headers={"Host": "rebound.example.com"})
    assert hidden.json() == {"status": "ready"}
    assert "model" in client.get("/health/ready").json()


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("0.0.0.0", ()),  # noqa: S104
        ("::", ()),
        ("192.0.2.7", ("192.0.2.7",)),
        ("2001:db8::7", ("[2001:db8::7]",)),
    ],
)
def test_the_address_that_is_listened_on_is_allowed(host: str, expected: tuple[str, ...]) -> None:
    settings = load_service_settings(host=host)
    assert settings.hosts == ("localhost", "127.0.0.1", "[::1]", *expected)


@pytest.mark.parametrize("value", ["http://a", "a:80", "a b", "*a", "a.*"])
def test_a_name_that_is_no_host_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("SERVICE_ALLOWED_HOSTS", f"localhost,{value}")
    with pytest.raises(ProjectError, match="SERVICE_ALLOWED_HOSTS"):
        load_service_settings()


def make_client(settings: ServiceSettings, model: LoadedModel, log: io.StringIO) -> TestClient:
    """A client whose address is 192.0.2.1."""
    app = create_app(settings, model, make_logger(log))
    return TestClient(app, client=("192.0.2.1", 50000))


@pytest.mark.parametrize(
    ("proxies", "expected"),
    [((), "192.0.2.1"), (("192.0.2.1",), "198.51.100.9"), (("10.0.0.0/8",), "192.0.2.1")],
)
def test_forwarded_addresses_come_from_trusted_proxies_alone(
    settings: ServiceSettings,
    model: LoadedModel,
    tmp_path: Any,
    proxies: tuple[str, ...],
    expected: str,
) -> None:
    keys = tmp_path / "keys"
    keys.write_text("0" * 64)
    log = io.StringIO()
    config = settings.model_copy(update={"trusted_proxies": proxies, "api_keys_file": keys})
    client = make_client(config, model, log)
    client.get("/version", headers={"X-Forwarded-For": "198.51.100.9"})
    line = json.loads(log.getvalue().splitlines()[-1])
    assert (line["event"], line["client"]) == ("request", expected)


@pytest.mark.parametrize("value", ["*", "proxy.example.org", "10.0.0.0/33"])
def test_a_proxy_that_is_no_address_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("SERVICE_TRUSTED_PROXIES", value)
    with pytest.raises(ProjectError, match="SERVICE_TRUSTED_PROXIES"):
        load_service_settings()
