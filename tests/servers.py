"""Servers and environments of others, for tests that compare ours with them."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from project_copy import make_environment

WITHIN = 120.0  # seconds in which a server must come up, on any machine


def is_open(port: int) -> bool:
    """True if something listens on the port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def running(
    command: list[str | Path],
    port: int,
    log: Path,
    variables: Mapping[str, str] | None = None,
    environment: Path | None = None,
    folder: Path | None = None,
) -> Iterator[str]:
    """A server in a process group of its own, once its port is open; its address.

    Args:
        command: Command that starts it.
        port: Port that it will listen on.
        log: File for its output.
        variables: Environment variables.
        environment: Environment whose programs come first on its PATH.
        folder: Working directory.
    """
    folders = [environment / "bin"] if environment else []
    with log.open("wb") as output:
        server = subprocess.Popen(
            [*map(str, command)],
            cwd=folder,
            env=make_environment(*folders, **(variables or {})),
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + WITHIN
        while not is_open(port):
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def install(python: Path, requirements: Path) -> None:
    """Install what is pinned; uv does, and pip where uv reaches no index."""
    pinned = ["--require-hashes", "--no-deps", "-r", str(requirements)]
    commands = (
        ["uv", "pip", "install", "--quiet", "--python", str(python), *pinned],
        [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", *pinned],
    )
    said = ""
    for command in commands:
        done = subprocess.run(
            command, env=make_environment(), capture_output=True, text=True, check=False
        )
        if done.returncode == 0:
            return
        said += done.stdout + done.stderr
    pytest.fail(said, pytrace=False)
