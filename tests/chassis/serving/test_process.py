"""The service as a process of its own, asked over the network of this machine."""

import gc
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
import uvicorn

import ml_service
from ml_service import service as service_module
from ml_service.features import compute_features
from mlchassis import errors
from mlchassis.bundle.bundle import deploy_bundle, write_bundle
from mlchassis.config.settings import ServiceSettings
from mlchassis.features.code import load_feature_code
from mlchassis.serving.loading import LoadedModel
from mlchassis.serving.server import process
from mlchassis.serving.server.server import run_server

FEATURES = load_feature_code(compute_features)

ROOT = Path(ml_service.__file__).parents[2]
TRAINING = {
    "cloudpickle",
    "dask",
    "dill",
    "dvc",
    "joblib",
    "lightgbm",
    "matplotlib",
    "mlflow",
    "onnx",
    "optuna",
    "pandas",
    "pandera",
    "polars",
    "pyarrow",
    "scipy",
    "skl2onnx",
    "sklearn",
    "skops",
    "torch",
    "xgboost",
}


def shipped_packages() -> set[str]:
    """Names of the packages in the server's requirements."""
    text = (ROOT / "requirements" / "serve.txt").read_text(encoding="utf-8")
    return {normalize(name) for name in re.findall(r"(?m)^([\w.-]+)==", text)}


def normalize(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_nothing_answered_is_lost_when_the_process_is_killed(
    start: Callable[..., Any],
    web: httpx2.Client,
    rows: list[dict[str, Any]],
    read_log: Callable[[], list[dict[str, Any]]],
) -> None:
    service = start()
    url = service.wait_until_serving()
    answered: list[str] = []

    def ask_on() -> None:
        with suppress(httpx2.TransportError):
            while True:
                answer = web.post(f"{url}/predict", json={"records": rows}).json()
                answered.append(answer["request_id"])
                if len(answered) > 50:
                    service.process.kill()

    clients = [threading.Thread(target=ask_on) for _ in range(4)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert service.wait()[0] == -signal.SIGKILL
    logged = {(line["request_id"], line["row"]) for line in read_log()}
    assert logged >= {(request, row) for request in answered for row in range(len(rows))}


def test_a_request_that_was_accepted_is_answered_after_sigterm(
    start: Callable[..., Any], rows: list[dict[str, Any]]
) -> None:
    service = start()
    url = urlsplit(service.wait_until_serving())
    body = json.dumps({"records": rows}).encode()
    connection = http.client.HTTPConnection(url.hostname or "", url.port)
    connection.putrequest("POST", "/predict")
    connection.putheader("Content-Type", "application/json")
    connection.putheader("Content-Length", str(len(body)))
    # The answer 100 proves that the request was accepted.
    connection.putheader("Expect", "100-continue")
    connection.endheaders()
    assert connection.sock.recv(100).startswith(b"HTTP/1.1 100")
    connection.send(body[:10])
    service.process.send_signal(signal.SIGTERM)
    connection.send(body[10:])
    with connection.getresponse() as answer:
        assert answer.status == 200
        assert len(json.load(answer)["predictions"]) == len(rows)
    connection.close()
    code, output, _ = service.wait()
    assert code == 0
    assert '"stopped"' in output


@pytest.mark.one_python
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_orderly_end_is_silent_and_no_failure(
    start: Callable[..., Any], number: signal.Signals
) -> None:
    service = start()
    service.wait_until_serving()
    code, _, problems = service.stop(number)
    assert (code, problems) == (0, "")


def test_sigterm_while_the_service_starts_ends_it(tmp_path: Path) -> None:
    # The kernel ignores a signal without a handler for the first process of a container.
    (tmp_path / "starting.py").write_text(
        "import os, signal, sys\n"
        "sys.stdout.write(str(callable(signal.getsignal(signal.SIGTERM))))\n"
        "sys.stdout.flush()\n"
        "os.kill(os.getpid(), signal.SIGTERM)\n"
    )
    program = "from mlchassis.cli import run; run('starting:project', 'starting:service')"
    found = subprocess.run(
        [sys.executable, "-c", program, "serve"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (found.returncode, found.stdout, found.stderr) == (0, "True", "")


def test_sigterm_just_before_the_server_runs_is_not_lost(
    settings: ServiceSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopping: list[bool] = []

    def run(server: uvicorn.Server, sockets: object) -> None:
        del sockets
        signal.raise_signal(signal.SIGTERM)
        stopping.append(server.should_exit)

    monkeypatch.setattr(uvicorn.Server, "run", run)
    before = signal.getsignal(signal.SIGTERM)
    thresholds = gc.get_threshold()
    try:
        with socket.socket() as listener:
            now = settings.model_copy(update={"shutdown_delay_seconds": 0})
            run_server(now, service_module.service, listener, lambda: None)
    finally:
        signal.signal(signal.SIGTERM, before)
        gc.set_threshold(*thresholds)
        gc.unfreeze()
    assert stopping == [True]


def test_the_server_needs_what_it_ships_with_and_no_more(
    start: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    web: httpx2.Client,
    rows: list[dict[str, Any]],
) -> None:
    shipped = shipped_packages() | {"mlchassis", "ml-service"}
    absent = {
        module
        for module, names in packages_distributions().items()
        if not {normalize(name) for name in names} & shipped
    }
    assert absent >= TRAINING & set(packages_distributions())
    monkeypatch.setenv("ABSENT", " ".join(absent))
    service = start()
    url = service.wait_until_serving()
    answers = [web.post(f"{url}/predict", json={"records": rows})]
    paths = ("/health/live", "/health/ready", "/metrics", "/docs", "/openapi.json")
    answers += [web.get(url + path) for path in paths]
    assert {answer.status_code for answer in answers} == {200}
    _, output, _ = service.stop(signal.SIGTERM)
    found = json.loads(output.splitlines()[-1])
    # Libraries try optional packages; none of training's may be among them.
    wanted = {name.partition(".")[0] for name in found["modules"] + found["refused"]}
    assert not wanted & TRAINING
    # Nothing was unpickled, no connection was opened and no other program was started.
    assert found["seen"] == []


def test_the_server_ships_with_nothing_that_trains_or_unpickles() -> None:
    forbidden = {normalize(name) for name in TRAINING} | {"scikit-learn"}
    assert not shipped_packages() & forbidden


@pytest.mark.parametrize("host", ["a..b", "a" * 64])
def test_a_host_that_is_none_is_one_sentence(settings: ServiceSettings, host: str) -> None:
    changed = settings.model_copy(update={"host": host})
    with pytest.raises(errors.ProjectError, match=f"cannot listen on {host} port .*SERVICE_HOST"):
        process.serve(changed, f"{ml_service.__name__}.service:service")


def test_a_port_in_use_is_one_sentence(settings: ServiceSettings) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        busy = settings.model_copy(update={"port": port})
        with pytest.raises(errors.ProjectError, match=f"cannot listen on 127.0.0.1 port {port}"):
            process.serve(busy, f"{ml_service.__name__}.service:service")


def test_a_refused_bundle_is_one_sentence_and_a_failure(
    start: Callable[..., Any], tmp_path: Path
) -> None:
    code, output, problems = start(STORE=str(tmp_path / "empty")).wait()
    assert (code, output) == (1, "")
    assert re.fullmatch(r"error: .*`make run`.*\n", problems)


def test_a_log_directory_that_cannot_be_made_is_one_sentence_and_a_failure(
    start: Callable[..., Any], tmp_path: Path
) -> None:
    occupied = tmp_path / "file"
    occupied.write_bytes(b"")
    code, _, problems = start(LOG_DIRECTORY=str(occupied)).wait()
    assert (code, problems.count("\n")) == (1, 1)
    assert "SERVICE_LOG_DIRECTORY" in problems


def test_after_sigterm_it_is_not_ready_and_still_answers(
    start: Callable[..., Any], web: httpx2.Client, rows: list[dict[str, Any]]
) -> None:
    service = start(SHUTDOWN_DELAY_SECONDS="30")
    url = service.wait_until_serving()
    assert web.get(f"{url}/health/ready").status_code == 200
    service.process.send_signal(signal.SIGTERM)
    while (ready := web.get(f"{url}/health/ready")).status_code == 200:
        time.sleep(0.01)
    assert ready.json()["type"] == "/docs#stopping"
    assert web.post(f"{url}/predict", json={"records": rows}).status_code == 200
    # The second one is an order.
    assert service.stop(signal.SIGTERM)[0] == 0


def test_a_swap_under_load_loses_nothing_and_mixes_nothing(
    start: Callable[..., Any],
    settings: ServiceSettings,
    model: LoadedModel,
    contract_text: str,
    rows: list[dict[str, Any]],
    tmp_path: Path,
) -> None:
    store = Path(shutil.copytree(settings.store, tmp_path / "deployed"))
    bundle = model.scorer.bundle
    url = start(STORE=str(store), WATCH_SECONDS="0.02").wait_until_serving()
    seen: list[tuple[int, str, str]] = []
    deployed = {model.identity.version: model.identity.digest}

    def ask_until(version: str) -> None:
        with httpx2.Client(trust_env=False) as client:
            while version not in [found for _, found, _ in seen[-4:]]:
                answer = client.post(f"{url}/predict", json={"records": rows})
                served = answer.json().get("model", {})
                seen.append((answer.status_code, served.get("version"), served.get("digest")))

    for version in ("4", "5", "6"):
        changed = bundle.metadata.model_copy(update={"params_hash": version * 64})
        write_bundle(tmp_path / "fresh", bundle.model, contract_text, changed)
        clients = [threading.Thread(target=ask_until, args=(version,)) for _ in range(3)]
        for client in clients:
            client.start()
        deployed[version] = deploy_bundle(
            tmp_path / "fresh", store, "the-model", version, FEATURES
        ).digest
        for client in clients:
            client.join()
    assert {status for status, _, _ in seen} == {200}
    assert {(version, digest) for _, version, digest in seen} <= set(deployed.items())


def test_what_is_no_http_gets_a_problem_and_the_end(start: Callable[..., Any]) -> None:
    url = urlsplit(start().wait_until_serving())
    endless = b"GET / HTTP/1.1\r\nX: " + b"x" * 2_000_000
    for request in (b"no HTTP\r\n\r\n", endless, b"\0" * 100):
        with socket.create_connection((url.hostname or "", url.port or 0), timeout=30) as sent:
            with suppress(ConnectionError):
                sent.sendall(request)
            answer = b""
            with suppress(ConnectionError):
                while part := sent.recv(10_000):
                    answer += part
        head, _, body = answer.partition(b"\r\n\r\n")
        # A reset may overtake the answer to what was never read.
        assert (head.startswith(b"HTTP/1.1 400 ") and json.loads(body)) or request == endless


def test_the_event_loop_is_asyncios_even_where_uvloop_is_installed(
    start: Callable[..., Any],
    web: httpx2.Client,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    imported = tmp_path / "imported"
    (tmp_path / "uvloop.py").write_text(f"open({str(imported)!r}, 'w').close()\n", encoding="utf-8")
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    )
    url = start().wait_until_serving()
    assert web.get(f"{url}/health/ready").status_code == 200
    assert not imported.exists()
