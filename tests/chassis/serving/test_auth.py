import hashlib
import io
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pydantic import SecretStr

import ml_service
from mlchassis.config.settings import ServiceSettings
from mlchassis.errors import ProjectError
from mlchassis.serving import auth
from mlchassis.serving.app import create_app
from mlchassis.serving.auth import OPEN_PATHS, KeyStore, load_keys, open_keys
from mlchassis.serving.loading import LoadedModel
from mlchassis.serving.logs.operational import make_logger
from mlchassis.serving.ui import page

KEY = "3f9c" * 16
DOCS = Path(ml_service.__file__).resolve().parents[2] / "docs"


def digest(key: str) -> str:
    """Hexadecimal SHA-256 of a key."""
    return hashlib.sha256(key.encode()).hexdigest()


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    """A file with a key that has a name, and one that has none."""
    path = tmp_path / "keys"
    path.write_text(f"# of clients\n{digest('other')}\n{digest(KEY)} shop\n\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def guarded(
    settings: ServiceSettings, model: LoadedModel, key_file: Path, operational_log: io.StringIO
) -> FastAPI:
    config = settings.model_copy(update={"api_keys_file": key_file})
    return create_app(config, model, make_logger(operational_log))


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
        assert (refused.status_code, refused.json()["type"]) == (403, "/docs#key-rejected")
        assert "x-request-id" in refused.headers


def test_x_api_key_comes_before_another_credential_whatever_their_order(client: TestClient) -> None:
    other = ("Authorization", "Bearer of-a-proxy")
    for key, status in ((KEY, 200), ("wrong", 403)):
        for headers in ([other, ("X-API-Key", key)], [("X-API-Key", key), other]):
            assert client.get("/metrics", headers=headers).status_code == status


def test_a_browser_without_a_key_gets_the_page_without_anything_of_a_model(
    client: TestClient, model: LoadedModel
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
    for refused in (client.post("/"), client.get("/openapi.json")):
        assert refused.json()["type"] == "/docs#key-missing"


def test_the_documentation_page_is_the_same_with_and_without_keys(
    client: TestClient, app: FastAPI
) -> None:
    page = client.get("/docs")
    assert page.status_code == 200
    assert page.text == TestClient(app).get("/docs").text


def test_the_document_says_what_asks_for_a_key(guarded: FastAPI) -> None:
    paths = guarded.openapi()["paths"]
    assert paths["/predict"]["post"]["security"] == [{"key": []}, {"header": []}]
    assert set(paths["/predict"]["post"]["responses"]) >= {"401", "403"}
    assert paths["/health/live"]["get"]["security"] == []


@pytest.mark.parametrize("text", ["", "# none\n", "secret\n", "0" * 63, "0" * 64 + "0"])
def test_a_file_that_holds_no_digests_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "keys"
    path.write_text(text)
    with pytest.raises(ProjectError, match="SERVICE_API_KEYS_FILE"):
        load_keys(path)
    with pytest.raises(ProjectError, match="cannot be read"):
        load_keys(tmp_path / "absent")


def test_a_file_of_another_system_is_read(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_bytes(f"\ufeff# keys\r\n{digest(KEY).upper()} shop\r\n".encode())
    assert load_keys(path) == (auth.ApiKey(digest(KEY), "shop"),)


def test_a_line_as_sha256sum_prints_it_is_named_by_its_digest(tmp_path: Path) -> None:
    # Its `-` stands for the standard input: as a name, it would be that of every key.
    path = tmp_path / "keys"
    path.write_text(f"{digest('other')}  -\n{digest(KEY)}  -\n")
    assert [key.name for key in load_keys(path)] == [digest("other")[:8], digest(KEY)[:8]]


def test_the_runbook_appends_a_key_with_a_name(tmp_path: Path) -> None:
    page = (DOCS / "runbooks.md").read_text(encoding="utf-8")
    (block,) = (b for b in re.findall(r"```\n(.*?)```", page, re.DOTALL) if "sha256sum" in b)
    (tmp_path / "var").mkdir()
    path = tmp_path / "var" / "api-keys"
    path.write_text(f"{digest(KEY)} old\n")
    subprocess.run(["sh", "-euc", block], cwd=tmp_path, check=True)
    key = (tmp_path / "var" / "new-key").read_text(encoding="utf-8").strip()
    assert load_keys(path) == (auth.ApiKey(digest(KEY), "old"), auth.ApiKey(digest(key), "shop-2"))


def test_the_digest_of_an_empty_key_is_refused(tmp_path: Path) -> None:
    # As `printf %s "$KEY" | sha256sum` gives it where the variable is not set.
    path = tmp_path / "keys"
    path.write_text(f"{digest(KEY)} shop\n{digest('')} -\n")
    with pytest.raises(ProjectError, match="line 2, is the digest of an empty key"):
        load_keys(path)


def test_a_file_that_vanishes_while_it_is_read_fails_no_request(
    key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = io.StringIO()
    store = KeyStore(key_file, make_logger(log))
    monkeypatch.setattr(auth, "RELOAD_SECONDS", 0.0)
    replace_file(key_file, f"{digest('new')} partner\n")

    def load_and_lose(path: Path) -> tuple[auth.ApiKey, ...]:
        keys = load_keys(path)
        path.unlink()
        return keys

    monkeypatch.setattr(auth, "load_keys", load_and_lose)
    assert store.find(b"new") is not None
    assert "api keys reloaded" in log.getvalue()


def read_events(operational_log: io.StringIO) -> list[dict[str, Any]]:
    """Lines of the log."""
    return [json.loads(line) for line in operational_log.getvalue().splitlines()]


def replace_file(path: Path, text: str) -> None:
    """Replace the file as an editor or a secret store does."""
    fresh = path.with_name("fresh")
    fresh.write_text(text)
    fresh.chmod(0o600)
    fresh.replace(path)


def ask(client: TestClient, key: str) -> int:
    """Status of a request with this key."""
    return client.get("/metrics", headers={"X-API-Key": key}).status_code


def test_a_replaced_file_holds_for_the_next_requests(
    client: TestClient,
    key_file: Path,
    operational_log: io.StringIO,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(auth, "RELOAD_SECONDS", 0.0)
    assert (ask(client, KEY), ask(client, "new")) == (200, 403)
    replace_file(key_file, f"{digest('new')} partner\n")
    assert (ask(client, KEY), ask(client, "new")) == (403, 200)
    assert [
        e["keys"] for e in read_events(operational_log) if e["event"] == "api keys reloaded"
    ] == [1]


@pytest.mark.parametrize("text", ["", "no digest\n"])
def test_an_unusable_file_leaves_the_keys_as_they_were(
    client: TestClient,
    key_file: Path,
    operational_log: io.StringIO,
    monkeypatch: pytest.MonkeyPatch,
    text: str,
) -> None:
    monkeypatch.setattr(auth, "RELOAD_SECONDS", 0.0)
    replace_file(key_file, text)
    assert [ask(client, KEY) for _ in range(3)] == [200] * 3
    key_file.unlink()
    assert [ask(client, KEY) for _ in range(3)] == [200] * 3
    refused = [e for e in read_events(operational_log) if e["event"] == "api keys rejected"]
    # Reported once for each state of the file, and not by every request.
    assert [str(key_file) in each["reason"] for each in refused] == [True, True]


def test_the_file_is_looked_at_once_a_second_at_most(
    key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = KeyStore(key_file, make_logger(io.StringIO()))
    looks: list[Path] = []
    monkeypatch.setattr(auth, "_identify", looks.append)
    for _ in range(100):
        store.find(b"key")
    assert looks == []


def test_a_file_that_others_can_write_is_reported(key_file: Path) -> None:
    log = io.StringIO()
    key_file.chmod(0o666)
    KeyStore(key_file, make_logger(log))
    assert json.loads(log.getvalue())["event"] == "api keys writable by others"
    key_file.chmod(0o600)
    log = io.StringIO()
    KeyStore(key_file, make_logger(log))
    assert log.getvalue() == ""


def test_the_access_log_names_the_key_and_a_rejected_client(
    client: TestClient, operational_log: io.StringIO
) -> None:
    client.get("/version", headers={"X-API-Key": KEY})
    client.get("/version", headers={"X-API-Key": "other"})
    client.get("/version", headers={"X-API-Key": "wrong"})
    client.get("/version")
    client.head("/version", headers={"X-API-Key": KEY})
    events = read_events(operational_log)
    assert [event.get("key") for event in events] == [
        "shop",
        digest("other")[:8],
        None,
        None,
        "shop",
    ]
    assert [event.get("client") for event in events] == [
        None,
        None,
        "testclient",
        "testclient",
        None,
    ]
    assert [event["status"] for event in events] == [200, 200, 403, 401, 200]
    assert KEY not in operational_log.getvalue()
    assert "wrong" not in operational_log.getvalue()


def test_health_without_a_key_reports_a_status_alone(
    client: TestClient, model: LoadedModel
) -> None:
    assert client.get("/health/ready").json() == {"status": "ready"}
    assert client.get("/health/ready", headers={"X-API-Key": "wrong"}).json() == {"status": "ready"}
    secrets = (model.identity.name, model.identity.digest, model.contract.version)
    for path in auth.HEALTH_PATHS:
        text = client.get(path).text
        assert not [secret for secret in secrets if secret in text]
    known = client.get("/health/ready", headers={"X-API-Key": KEY}).json()
    assert known["model"]["digest"] == model.identity.digest


def test_health_without_a_key_names_no_folder(
    client: TestClient, settings: ServiceSettings
) -> None:
    for file in settings.log_directory.iterdir():
        file.unlink()
    settings.log_directory.rmdir()
    settings.log_directory.write_text("no folder")
    refused = client.get("/health/ready")
    assert refused.status_code == 503
    assert str(settings.log_directory) not in refused.text
    named = client.get("/health/ready", headers={"X-API-Key": KEY})
    assert str(settings.log_directory) in named.text


def test_digests_in_the_variable_open_and_another_key_does_not(
    settings: ServiceSettings, model: LoadedModel, operational_log: io.StringIO
) -> None:
    lines = SecretStr(f"{digest('other')}\r\n{digest(KEY)} shop\n")
    config = settings.model_copy(update={"api_keys": lines})
    with TestClient(create_app(config, model, make_logger(operational_log))) as client:
        assert client.get("/metrics").status_code == 401
        assert client.get("/metrics", headers={"X-API-Key": KEY[:-1]}).status_code == 403
        assert client.get("/metrics", headers={"X-API-Key": KEY}).status_code == 200


def test_an_empty_variable_asks_for_no_key(
    settings: ServiceSettings, operational_log: io.StringIO
) -> None:
    # As compose passes a variable that is not set.
    config = settings.model_copy(update={"api_keys": SecretStr("")})
    assert open_keys(config, make_logger(operational_log)) is None


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("# none\n", "SERVICE_API_KEYS holds no API key"),
        ("my-password", "SERVICE_API_KEYS, line 1, is not a SHA-256 digest"),
        (digest(""), "SERVICE_API_KEYS, line 1, is the digest of an empty key"),
    ],
    ids=["comment", "password", "empty"],
)
def test_a_variable_without_a_digest_is_rejected_without_its_value(
    value: str, reason: str, settings: ServiceSettings, operational_log: io.StringIO
) -> None:
    config = settings.model_copy(update={"api_keys": SecretStr(value)})
    with pytest.raises(ProjectError, match=reason) as caught:
        open_keys(config, make_logger(operational_log))
    assert "my-password" not in str(caught.value)


def test_keys_in_a_file_and_in_the_variable_are_rejected(
    settings: ServiceSettings, key_file: Path, operational_log: io.StringIO
) -> None:
    both = {"api_keys": SecretStr(digest(KEY)), "api_keys_file": key_file}
    config = settings.model_copy(update=both)
    with pytest.raises(ProjectError, match="both set; unset one of them"):
        open_keys(config, make_logger(operational_log))
