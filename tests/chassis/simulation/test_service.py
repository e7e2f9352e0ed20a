"""The service of a simulation is a process that ends with it."""

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import ml_service
from ml_service.project import project as own_project
from mlchassis.bundle.bundle import deploy_bundle
from mlchassis.errors import ProjectError
from mlchassis.project import Workspace
from mlchassis.simulation.service import LocalService

pytestmark = pytest.mark.one_python

ROOT = Path(ml_service.__file__).parents[2]
SECONDS = 20.0
PROGRAM = """
import sys, time
from pathlib import Path
from ml_service.project import project
from mlchassis.project import Workspace
from mlchassis.simulation.service import LocalService

root = Path(sys.argv[1])
service = LocalService(Workspace(root, project), root / "service.log")
service.start()
print(service.settings.port, flush=True)
time.sleep(600)
"""


@pytest.fixture
def workspace(tmp_path: Path, bundle_path: Path) -> Workspace:
    """A project with a deployed bundle."""
    paths = Workspace(tmp_path / "project", own_project)
    deploy_bundle(bundle_path, paths.store, "the-model", "3", paths.features)
    shutil.copy(ROOT / "pyproject.toml", paths.root)
    return paths


@pytest.fixture
def parent(workspace: Workspace) -> Iterator[subprocess.Popen[str]]:
    """A process that starts the service and prints its port."""
    command = [sys.executable, "-c", PROGRAM, str(workspace.root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def is_open(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def await_closed(port: int) -> bool:
    """Return True once nothing listens on a port, False if that takes too long."""
    deadline = time.monotonic() + SECONDS
    while is_open(port) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not is_open(port)


def test_the_service_ends_when_the_simulation_is_killed(parent: subprocess.Popen[str]) -> None:
    assert parent.stdout is not None
    port = int(parent.stdout.readline())
    assert is_open(port)
    parent.kill()
    parent.wait()

    assert await_closed(port)


@pytest.mark.parametrize("kill", [False, True])
def test_the_service_stops_and_starts_again(workspace: Workspace, kill: bool) -> None:
    service = LocalService(workspace, workspace.root / "service.log")
    for _ in range(2):
        service.start()
        port = service.settings.port
        assert is_open(port)
        service.stop(kill=kill)
        assert not is_open(port)


def test_a_service_that_dies_is_named_with_its_log(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[subprocess.Popen[bytes]] = []

    class Recorded(subprocess.Popen[bytes]):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            started.append(self)

    monkeypatch.setattr(subprocess, "Popen", Recorded)
    log = workspace.root / "service.log"
    service = LocalService(workspace, log)
    service.start()
    started[0].kill()
    assert await_closed(service.settings.port)
    with pytest.raises(ProjectError) as failure:
        service.predict([{"carrier": "AA"}])
    service.stop()

    assert str(failure.value) == (
        f"The service of the simulation stopped answering (exit code -9); {log} has its last "
        "lines: correct what they name and run `make simulate` again."
    )
