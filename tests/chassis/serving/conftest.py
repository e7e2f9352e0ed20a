"""A service over the small bundle, in this process."""

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from ml_service import service as service_module
from mlchassis.bundle.bundle import Bundle, deploy_bundle
from mlchassis.bundle.scorer import load_pyfunc
from mlchassis.config.settings import ServiceSettings
from mlchassis.contract.model import Contract
from mlchassis.contract.schemas import generate_rows
from mlchassis.features.code import FeatureCode, load_feature_code
from mlchassis.serving.app import create_app
from mlchassis.serving.loading import ServedModel, load_served_model
from mlchassis.serving.logs.operational import make_logger

FEATURES = load_feature_code(service_module.service.features)
PACKAGE = service_module.__name__.partition(".")[0]

# Serves as the image does, and says at the end what was loaded and what an auditor saw.
PROGRAM = f"""
import json, os, sys

watched = ("pickle.find_class", "socket.connect", "subprocess.Popen", "os.system")
seen, refused = [], []
sys.addaudithook(lambda event, arguments: seen.append(event) if event in watched else None)

class Absent:
    names = frozenset(os.environ.get("ABSENT", "").split())

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.names:
            refused.append(name)
            raise ModuleNotFoundError(name, name=name)

sys.meta_path.insert(0, Absent())
sys.argv[1:] = ["serve"]
import runpy
runpy.run_module("{PACKAGE}", run_name="__main__", alter_sys=True)
print(json.dumps(dict(modules=sorted(sys.modules), refused=refused, seen=seen)))
"""


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("SERVICE_")]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def store(bundle_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("deployed")
    deploy_bundle(bundle_path, place, "the-model", "3", FEATURES)
    return place


@pytest.fixture(scope="session")
def model(store: Path) -> ServedModel:
    return load_served_model(store, FEATURES, max_rows=50)


@pytest.fixture
def mixed_model(mixed_bundle: Bundle, mixed_features: FeatureCode, tmp_path: Path) -> ServedModel:
    """The model for the mixed contract, deployed."""
    deploy_bundle(mixed_bundle.path, tmp_path / "mixed", "the-model", "3", mixed_features)
    return load_served_model(tmp_path / "mixed", mixed_features, max_rows=50)


@pytest.fixture
def mixed_client(mixed_model: ServedModel, settings: ServiceSettings) -> Iterator[TestClient]:
    """A client of a service for the mixed contract."""
    app = create_app(settings, mixed_model, make_logger(io.StringIO()))
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def mixed_rows() -> list[dict[str, Any]]:
    """Two rows of the mixed contract in which nothing is missing."""
    first = {"size": 12.5, "price": 3.0, "pieces": 4, "shop": "north", "color": "red"}
    second = {"size": 7.0, "price": -1.5, "pieces": 1, "shop": "south", "color": "blue"}
    return [{**first, "gift": True}, {**second, "gift": False}]


@pytest.fixture
def settings(store: Path, tmp_path: Path) -> ServiceSettings:
    # A body may be as large as by default: some rows of a wide table do not fit into less.
    return ServiceSettings(store=store, log_directory=tmp_path / "log", max_rows=50)


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
        # A kill can cut the last line short, between two pages; its request was not answered then.
        lines = [line for path in paths for line in path.read_bytes().splitlines(keepends=True)]
        return [json.loads(line) for line in lines if line.endswith(b"\n")]

    return read


@pytest.fixture(scope="session")
def load_registered() -> Callable[..., Any]:
    """The function below, since a test cannot import what is here."""
    return load_as_mlflow


def load_as_mlflow(bundle: Path, features: FeatureCode, signature: Any, path: Path) -> Any:
    """A bundle saved as an MLflow model with a signature, and loaded by MLflow."""
    import mlflow.pyfunc

    loader: Any = ModuleType(f"loader_{features.digest[:12]}_{features.compute.__name__}")
    loader._load_pyfunc = lambda data: load_pyfunc(data, features)
    sys.modules[loader.__name__] = loader
    with warnings.catch_warnings():
        # That there is no example, or that whole numbers cannot be missing.
        warnings.simplefilter("ignore")
        mlflow.pyfunc.save_model(
            path,
            loader_module=loader.__name__,
            data_path=str(bundle),
            signature=signature,
            pip_requirements=[],
        )
    return mlflow.pyfunc.load_model(str(path))


class Exchange:
    """One request to an ASGI application, whose body arrives as the test likes."""

    def __init__(
        self,
        app: FastAPI,
        chunks: Sequence[bytes],
        headers: Sequence[Any] = (),
        *,
        method: str = "POST",
        path: str = "/predict",
    ) -> None:
        self._app = app
        self._method, self._path = method, path
        self._chunks = list(chunks)
        self._headers = [(b"content-type", b"application/json"), *headers]
        self.received = 0
        self.messages: list[Any] = []

    async def run(self) -> "Exchange":
        """Runs to the end of the answer."""
        scope = {
            "type": "http",
            "method": self._method,
            "path": self._path,
            "raw_path": self._path.encode(),
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


class Service:
    """A running process, whose output goes to files: a pipe that nobody reads would fill up."""

    def __init__(self, environment: dict[str, str], place: Path) -> None:
        place.mkdir(parents=True)
        self._output, self._errors = place / "output", place / "errors"
        with self._output.open("wb") as output, self._errors.open("wb") as problems:
            self.process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM], env=environment, stdout=output, stderr=problems
            )
        # No test waits for ever: a service that hangs is killed, and the test fails.
        self._guard = threading.Timer(900, self.process.kill)
        self._guard.start()

    @property
    def output(self) -> str:
        """Standard output so far."""
        return self._output.read_text(encoding="utf-8")

    @property
    def errors(self) -> str:
        """Standard error so far."""
        return self._errors.read_text(encoding="utf-8")

    def wait_until_serving(self) -> str:
        """Waits for the log's line with the address."""
        while True:
            ended = self.process.poll() is not None
            for line in self.output.splitlines(keepends=True):
                if line.endswith("\n") and (entry := json.loads(line))["event"] == "serving":
                    return str(entry["url"])
            assert not ended, self.errors
            time.sleep(0.01)

    def stop(self, number: signal.Signals) -> tuple[int, str, str]:
        """Sends a signal and waits: exit code, output, errors."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> tuple[int, str, str]:
        """Waits for the end."""
        code = self.process.wait()
        self._guard.cancel()
        return code, self.output, self.errors


@pytest.fixture
def start(settings: ServiceSettings, tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Starts services on free ports, and ends what is left of them."""
    services: list[Service] = []

    def start(**changes: str) -> Service:
        places = {"STORE": str(settings.store), "LOG_DIRECTORY": str(settings.log_directory)}
        values = {"PORT": "0", "LINGER_SECONDS": "0", **places, **changes}
        environment = {**os.environ, **{f"SERVICE_{name}": v for name, v in values.items()}}
        services.append(Service(environment, tmp_path / f"service-{len(services)}"))
        return services[-1]

    yield start
    for service in services:
        if service.process.poll() is None:
            service.process.kill()
            service.wait()


@pytest.fixture
def web() -> Iterator[httpx2.Client]:
    with httpx2.Client(trust_env=False) as client:
        yield client
