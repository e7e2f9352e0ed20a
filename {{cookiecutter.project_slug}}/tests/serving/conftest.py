"""A service over the small bundle, in this process."""

import io
import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from {{ cookiecutter.package_name }}.bundle import deploy_bundle
from {{ cookiecutter.package_name }}.contract import Contract
from {{ cookiecutter.package_name }}.schemas import generate_rows
from {{ cookiecutter.package_name }}.serving.app import create_app
from {{ cookiecutter.package_name }}.serving.logs import make_logger
from {{ cookiecutter.package_name }}.serving.served import ServedModel, load_served_model
from {{ cookiecutter.package_name }}.settings import ServiceSettings


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("SERVICE_")]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def store(bundle_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("deployed")
    deploy_bundle(bundle_path, place, "the-model", "3")
    return place


@pytest.fixture(scope="session")
def model(store: Path) -> ServedModel:
    return load_served_model(store, max_rows=50)


@pytest.fixture
def settings(store: Path, tmp_path: Path) -> ServiceSettings:
    return ServiceSettings(
        store=store, log_directory=tmp_path / "log", max_rows=50, max_body_bytes=100_000
    )


@pytest.fixture
def operational_log() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def app(settings: ServiceSettings, model: ServedModel, operational_log: io.StringIO) -> FastAPI:
    return create_app(settings, model, make_logger(operational_log))


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="session")
def rows(contract: Contract) -> list[dict[str, Any]]:
    return generate_rows(contract, count=5, seed=11)


@pytest.fixture
def read_log(settings: ServiceSettings) -> Callable[[], list[dict[str, Any]]]:
    """Reads every line of every file of the prediction log."""

    def read() -> list[dict[str, Any]]:
        paths = sorted(settings.log_directory.glob("*.jsonl"))
        return [json.loads(line) for path in paths for line in path.read_bytes().splitlines()]

    return read


class Exchange:
    """One request to an ASGI application, whose body arrives as the test likes."""

    def __init__(self, app: FastAPI, chunks: Sequence[bytes], headers: Sequence[Any] = ()) -> None:
        self._app = app
        self._chunks = list(chunks)
        self._headers = [(b"content-type", b"application/json"), *headers]
        self.received = 0
        self.messages: list[Any] = []

    async def run(self) -> "Exchange":
        """Runs to the end of the answer."""
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/predict",
            "raw_path": b"/predict",
            "query_string": b"",
            "headers": self._headers,
        }
        await self._app(scope, self.receive, self._send)
        return self

    async def receive(self) -> dict[str, Any]:
        """Gives the next part of the body."""
        self.received += 1
        return {
            "type": "http.request",
            "body": self._chunks.pop(0),
            "more_body": bool(self._chunks),
        }

    async def _send(self, message: Any) -> None:
        self.messages.append(message)

    @property
    def status(self) -> int:
        status: int = self.messages[0]["status"]
        return status

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode(): value.decode() for name, value in self.messages[0]["headers"]}

    @property
    def document(self) -> Any:
        return json.loads(b"".join(message["body"] for message in self.messages[1:]))


@pytest.fixture
def exchange() -> type[Exchange]:
    """The class, since a test cannot import what is here."""
    return Exchange
