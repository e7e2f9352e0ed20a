"""Several processes behind one port."""

import hashlib
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from ml_service.features import compute_features
from mlchassis.bundle.bundle import deploy_bundle, write_bundle
from mlchassis.config.settings import ServiceSettings
from mlchassis.features.code import load_feature_code
from mlchassis.serving.loading import LoadedModel

FEATURES = load_feature_code(compute_features)

PATIENCE = 60.0  # seconds


def wait_for(condition: Callable[[], Any]) -> Any:
    """Call repeatedly until the result is true."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        with suppress(httpx2.TransportError):
            if found := condition():
                return found
        time.sleep(0.02)
    raise AssertionError("it did not happen")


def ask(url: str, path: str, body: Any = None) -> httpx2.Response:
    """Send a request over a new connection, so that any worker may accept it."""
    method = "GET" if body is None else "POST"
    with httpx2.Client(trust_env=False) as client:
        return client.request(method, url + path, json=body)


def list_workers(settings: ServiceSettings) -> set[int]:
    """The process ids of all that ever answered: each names its log after its own."""
    return {int(path.stem.split("-")[-2]) for path in settings.log_directory.glob("*.jsonl")}


def is_there(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def service(start: Callable[..., Any], settings: ServiceSettings) -> Any:
    running = start(WORKERS="2", WATCH_SECONDS="0.05")
    running.url = running.wait_until_serving()
    return running


def test_all_workers_answer_and_their_metrics_are_one(
    service: Any,
    rows: list[dict[str, Any]],
    settings: ServiceSettings,
    model: LoadedModel,
    read_log: Callable[[], list[dict[str, Any]]],
) -> None:
    ready = ask(service.url, "/health/ready").json()
    assert ready["processes"] == {model.identity.digest: 2}
    count = 0
    while not all(path.stat().st_size for path in settings.log_directory.glob("*.jsonl")):
        assert ask(service.url, "/predict", {"records": rows}).status_code == 200
        count += 1
    assert len(list(settings.log_directory.glob("*.jsonl"))) == 2
    assert len(read_log()) == count * len(rows)
    families = text_string_to_metric_families(ask(service.url, "/metrics").text)
    samples = {s.name: s.value for family in families for s in family.samples}
    assert samples["service_predicted_rows_total"] == count * len(rows)
    assert samples["service_model_info"] == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_one_signal_ends_them_all_orderly(
    service: Any, settings: ServiceSettings, number: signal.Signals
) -> None:
    workers = list_workers(settings)
    assert len(workers) == 2
    code, output, problems = service.stop(number)
    assert (code, problems) == (0, "")
    assert output.count('"stopped"') == 1
    assert not any(map(is_there, workers))


def test_a_worker_that_dies_is_replaced_and_the_others_answer_on(
    service: Any, settings: ServiceSettings, rows: list[dict[str, Any]], model: LoadedModel
) -> None:
    os.kill(min(list_workers(settings)), signal.SIGKILL)
    assert ask(service.url, "/predict", {"records": rows}).status_code == 200
    wait_for(lambda: len(list_workers(settings)) == 3)
    whole = {model.identity.digest: 2}
    wait_for(lambda: ask(service.url, "/health/ready").json()["processes"] == whole)
    assert ask(service.url, "/predict", {"records": rows}).status_code == 200
    assert '"worker ended"' in service.output


def test_workers_end_when_nobody_is_left_to_stop_them(
    service: Any, settings: ServiceSettings
) -> None:
    workers = list_workers(settings)
    assert all(map(is_there, workers))
    service.process.kill()
    service.wait()
    wait_for(lambda: not any(map(is_there, workers)))


@pytest.mark.one_python
def test_a_bundle_that_must_not_be_served_is_one_sentence(
    start: Callable[..., Any], tmp_path: Path
) -> None:
    code, output, problems = start(WORKERS="2", STORE=str(tmp_path / "empty")).wait()
    assert (code, problems.count("\n")) == (1, 1)
    assert "make run" in problems
    assert '"serving"' not in output


@pytest.mark.one_python
def test_every_worker_takes_what_is_deployed_and_none_fails(
    start: Callable[..., Any],
    store: Path,
    model: LoadedModel,
    contract_text: str,
    rows: list[dict[str, Any]],
    tmp_path: Path,
) -> None:
    place = tmp_path / "deployed"
    deploy_bundle(store / "bundles" / model.identity.digest, place, "the-model", "3", FEATURES)
    url = start(WORKERS="2", STORE=str(place), WATCH_SECONDS="0.05").wait_until_serving()
    changed = model.scorer.bundle.metadata.model_copy(update={"params_hash": "4" * 64})
    write_bundle(tmp_path / "fresh", model.scorer.bundle.model, contract_text, changed)
    seen: Counter[tuple[int, str, str]] = Counter()
    done = threading.Event()

    def ask_on() -> None:
        while not done.is_set():
            answer = ask(url, "/predict", {"records": rows})
            served = answer.json().get("model", {})
            seen[answer.status_code, served.get("version"), served.get("digest")] += 1

    clients = [threading.Thread(target=ask_on) for _ in range(3)]
    for client in clients:
        client.start()
    try:
        digest = deploy_bundle(tmp_path / "fresh", place, "the-model", "4", FEATURES).digest
        wait_for(lambda: ask(url, "/health/ready").json()["processes"] == {digest: 2})
    finally:
        done.set()
        for client in clients:
            client.join()
    assert set(seen) <= {(200, "3", model.identity.digest), (200, "4", digest)}
    assert ask(url, "/predict", {"records": rows}).json()["model"]["digest"] == digest


@pytest.mark.one_python
def test_a_replaced_file_of_keys_holds_in_all_workers(
    start: Callable[..., Any], tmp_path: Path
) -> None:
    def write(key: str) -> None:
        fresh = tmp_path / "fresh"
        fresh.write_text(f"{hashlib.sha256(key.encode()).hexdigest()} {key}\n")
        fresh.replace(tmp_path / "keys")

    def send(key: str) -> int:
        with httpx2.Client(trust_env=False) as client:
            return client.get(f"{url}/version", headers={"X-API-Key": key}).status_code

    write("old")
    service = start(WORKERS="2", API_KEYS_FILE=str(tmp_path / "keys"))
    url = service.wait_until_serving()
    assert send("old") == 200
    write("new")
    # Each worker looks by itself, so both have seen it once no answer is of the old file.
    wait_for(lambda: {send("old") for _ in range(20)} == {403})
    assert {send("new") for _ in range(20)} == {200}
    assert service.output.count('"api keys reloaded"') == 2
    assert '"key":"new"' in service.output
