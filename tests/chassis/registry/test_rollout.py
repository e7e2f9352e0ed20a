import hashlib
import os
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from pydantic import SecretStr

from ml_service.features import compute_features
from mlchassis.bundle.bundle import Pointer, deploy_bundle, write_bundle
from mlchassis.config.settings import ServiceSettings
from mlchassis.errors import ProjectError
from mlchassis.features.code import load_feature_code
from mlchassis.registry import rollout
from mlchassis.registry.rollout import await_rollout
from mlchassis.serving.loading import LoadedModel

pytestmark = pytest.mark.one_python

FEATURES = load_feature_code(compute_features)

PATIENCE = 60.0  # seconds


@pytest.fixture
def settings(settings: ServiceSettings, store: Path, tmp_path: Path) -> ServiceSettings:
    own = Path(shutil.copytree(store, tmp_path / "deployed"))
    return settings.model_copy(update={"store": own, "host": "0.0.0.0"})  # noqa: S104


@pytest.fixture
def deploy(
    settings: ServiceSettings, model: LoadedModel, contract_text: str, tmp_path: Path
) -> Callable[[], Pointer]:
    """Deploy a bundle that is not served yet."""

    def deploy_changed() -> Pointer:
        bundle = model.scorer.bundle
        changed = bundle.metadata.model_copy(update={"params_hash": "4" * 64})
        write_bundle(tmp_path / "fresh", bundle.model, contract_text, changed)
        return deploy_bundle(tmp_path / "fresh", settings.store, "the-model", "4", FEATURES)

    return deploy_changed


def at(settings: ServiceSettings, url: str) -> ServiceSettings:
    return settings.model_copy(update={"port": urlsplit(url).port})


def test_it_ends_when_the_last_process_has_it_and_says_which_lack_it(
    start: Callable[..., Any],
    web: httpx2.Client,
    settings: ServiceSettings,
    deploy: Callable[[], Pointer],
) -> None:
    url = start(WORKERS="2", WATCH_SECONDS="0.05").wait_until_serving()
    asleep = min(int(path.stem.split("-")[-2]) for path in settings.log_directory.glob("*"))
    os.kill(asleep, signal.SIGSTOP)
    try:
        pointer = deploy()
        while len(web.get(f"{url}/health/ready").json()["processes"]) == 1:
            time.sleep(0.01)
        with pytest.raises(
            ProjectError, match=r"After 0.2 s not all processes .* \(1 with \w+ and 1 with "
        ):
            await_rollout(at(settings, url), pointer, settings.store, 0.2)
    finally:
        os.kill(asleep, signal.SIGCONT)
    said = await_rollout(at(settings, url), pointer, settings.store, PATIENCE)
    assert said.endswith("answer with it: 2.")


def test_a_service_that_does_not_look_or_will_stop_is_a_sentence(
    start: Callable[..., Any],
    web: httpx2.Client,
    settings: ServiceSettings,
    deploy: Callable[[], Pointer],
) -> None:
    service = start(WATCH_SECONDS="0", SHUTDOWN_DELAY_SECONDS="60")
    url = service.wait_until_serving()
    here, pointer = at(settings, url), deploy()
    with pytest.raises(ProjectError, match=r"\(1 with .*SERVICE_WATCH_SECONDS=0"):
        await_rollout(here, pointer, settings.store, 0.2)
    service.process.send_signal(signal.SIGTERM)
    while web.get(f"{url}/health/ready").status_code == 200:
        time.sleep(0.01)
    with pytest.raises(ProjectError, match="it is not ready"):
        await_rollout(here, pointer, settings.store, 0.2)


def test_nobody_there_and_somebody_elses_service_are_no_failures(
    start: Callable[..., Any],
    settings: ServiceSettings,
    deploy: Callable[[], Pointer],
    tmp_path: Path,
) -> None:
    url = start(WATCH_SECONDS="0").wait_until_serving()
    pointer = deploy()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        nobody = settings.model_copy(update={"port": taken.getsockname()[1]})
        assert "No service" in await_rollout(nobody, pointer, settings.store)
    said = await_rollout(at(settings, url), pointer, tmp_path / "other")
    assert "No service of this project" in said


def test_a_service_with_keys_shows_its_processes_to_a_key_alone(
    start: Callable[..., Any],
    settings: ServiceSettings,
    deploy: Callable[[], Pointer],
    tmp_path: Path,
) -> None:
    keys = tmp_path / "keys"
    keys.write_text(f"{hashlib.sha256(b'secret').hexdigest()} deployment\n")
    url = start(WATCH_SECONDS="0.05", API_KEYS_FILE=str(keys)).wait_until_serving()
    here, pointer = at(settings, url), deploy()
    said = await_rollout(here, pointer, settings.store, PATIENCE)
    assert "SERVICE_API_KEY" in said
    wrong = here.model_copy(update={"api_key": SecretStr("wrong")})
    assert await_rollout(wrong, pointer, settings.store, PATIENCE) == said
    known = here.model_copy(update={"api_key": SecretStr("secret")})
    assert "answer with it: 1." in await_rollout(known, pointer, settings.store, PATIENCE)


def reply(listener: socket.socket, content: bytes) -> None:
    """Answer every connection with some bytes, and close it."""
    with suppress(OSError):
        while True:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(content)


@pytest.fixture
def port_of(settings: ServiceSettings) -> Iterator[Callable[[bytes], ServiceSettings]]:
    """Settings whose port belongs to a program that sends some bytes to each client."""
    with ExitStack() as stack:

        def open_port(content: bytes) -> ServiceSettings:
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            # Closing does not wake a thread that waits in `accept`.
            stack.callback(listener.shutdown, socket.SHUT_RDWR)
            threading.Thread(target=reply, args=(listener, content)).start()
            return settings.model_copy(update={"port": listener.getsockname()[1]})

        yield open_port


@pytest.mark.parametrize(
    "content",
    [
        b"SSH-2.0-OpenSSH_9\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}",
        b'HTTP/1.1 200 OK\r\n\r\n{"processes": [[1, 2]]}',
        b'HTTP/1.1 200 OK\r\n\r\n{"processes": {"a": "many"}}',
        b"HTTP/1.1 200 OK\r\n\r\n[]",
    ],
)
def test_a_program_of_another_kind_on_the_port_is_no_failure(
    port_of: Callable[[bytes], ServiceSettings], deploy: Callable[[], Pointer], content: bytes
) -> None:
    settings = port_of(content)
    assert "No service of this project" in await_rollout(settings, deploy(), settings.store, 0.2)


def test_a_service_that_closes_the_connection_is_polled_again_until_time_is_up(
    port_of: Callable[[bytes], ServiceSettings], deploy: Callable[[], Pointer]
) -> None:
    settings = port_of(b"")
    with pytest.raises(ProjectError, match="it is not ready"):
        await_rollout(settings, deploy(), settings.store, 0.2)


def test_a_service_that_does_not_answer_is_not_ready(
    settings: ServiceSettings, deploy: Callable[[], Pointer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollout, "_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        here = settings.model_copy(update={"port": silent.getsockname()[1]})
        with pytest.raises(ProjectError, match="it is not ready"):
            await_rollout(here, deploy(), settings.store, 0.2)
