"""The registry on a server, and the pages over the project's own database: both for real."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from ml_service.features import compute_features
from ml_service.project import project as own_project
from mlchassis.bundle.bundle import load_bundle, read_pointer
from mlchassis.config.params import Params
from mlchassis.features.code import load_feature_code
from mlchassis.project import Workspace
from mlchassis.registry.mlflow_ui import ui_command, ui_environment
from mlchassis.registry.tracking_uri import resolve_tracking_location, sqlite_uri
from mlchassis.workflow import release

FEATURES = load_feature_code(compute_features)

_PATIENCE = 120


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(command: Sequence[str], port: int, log: Path) -> Iterator[str]:
    """Run a server in a process group of its own until it answers, and end that group."""
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with log.open("wb") as output:
        server = subprocess.Popen(
            command, env=environment, stdout=output, stderr=output, start_new_session=True
        )
        try:
            wait_for(f"http://127.0.0.1:{port}/health", server, log)
            yield f"http://127.0.0.1:{port}"
        finally:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def fetch(url: str) -> bytes:
    with urllib.request.urlopen(url) as answer:  # noqa: S310 - an address of our own
        return bytes(answer.read())


def wait_for(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE
    while server.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            fetch(url)
            return
        time.sleep(0.1)
    raise AssertionError(f"the server did not come up:\n{log.read_text()}")


@pytest.mark.one_python
def test_the_verbs_work_with_a_server(
    project: Workspace,
    params: Params,
    empty_database: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shutil.copy(empty_database, tmp_path / "server.db")
    port = free_port()
    command = [
        *(sys.executable, "-m", "mlflow", "server", "--workers", "1"),
        *("--backend-store-uri", sqlite_uri(tmp_path / "server.db")),
        *("--artifacts-destination", (tmp_path / "store").as_uri()),
        *("--default-artifact-root", "mlflow-artifacts:/"),
        *("--host", "127.0.0.1", "--port", str(port)),
    ]
    with running(command, port, tmp_path / "server.log") as uri:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        for expected in (True, False):
            release.judge(project, params)
            assert release.register(project, params).number == "1"
            assert release.promote(project, None, "a test").moved is expected
            assert release.deploy(project).moved is expected
        # Another machine: the same project, and nothing of the first one's state.
        clone = Workspace(tmp_path / "clone", own_project)
        clone.root.mkdir()
        shutil.copy(project.contract, clone.contract)
        release.deploy(clone)
    # Only the server touched its artifacts.
    assert list((tmp_path / "store").rglob("model.onnx"))
    assert not (project.var / "mlartifacts").exists()
    pointer = read_pointer(clone.store)
    assert pointer is not None
    assert pointer.digest == load_bundle(project.bundle, FEATURES).digest


@pytest.mark.one_python
def test_the_pages_show_the_projects_own_runs(
    project: Workspace, params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = release.track(project, params)
    location = resolve_tracking_location(project)
    port = free_port()
    for name, value in ui_environment(location).items():
        monkeypatch.setenv(name, value)
    with running(ui_command(port), port, tmp_path / "ui.log") as uri:
        artifact = f"{uri}/get-artifact?path=params.yaml&run_uuid={run_id}"
        assert fetch(artifact) == project.params.read_bytes()
