"""Start a generated project's service, wait until it is ready, stop it: `make serve` with an end.

As a command, in a project's folder, it exits with 0 when the service got ready, and otherwise as
the service did, whose output it shows. It needs the standard library alone: any Python will do.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

READY_WITHIN = 60.0  # seconds; a service takes two, a machine under load longer
STOP_WITHIN = 15.0  # seconds; as long as a service may drain


class ServiceError(Exception):
    """The service did not do what it was asked; `status` is what it exited with, if it did."""

    def __init__(self, message: str, status: int | None = None) -> None:
        """Keep what happened and, where the service ended, its exit status."""
        super().__init__(message)
        self.status = status


def find_port() -> int:
    """Return a port of the loopback interface that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serve(
    project: Path, output: IO[bytes] | int, environment: Mapping[str, str] | None = None
) -> Iterator[str]:
    """Run `make serve` in the background and stop it afterwards.

    Args:
        project: The generated project.
        output: Output of the service: a file, or a descriptor.
        environment: Environment of the service; this process's own by default.

    Yields:
        The service's address, once it is ready.

    Raises:
        ServiceError: It ended, was not ready in time, or did not stop.
    """
    port = find_port()
    address = f"http://127.0.0.1:{port}"
    service = subprocess.Popen(
        ["make", "--no-print-directory", "serve", f"PORT={port}"],
        cwd=project,
        env=environment,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        await_ready(service, address)
        yield address
    finally:
        stop_service(service)


def await_ready(service: subprocess.Popen[bytes], address: str) -> None:
    """Wait until the service says that it is ready.

    Raises:
        ServiceError: It ended, or was not ready in time.
    """
    deadline = time.monotonic() + READY_WITHIN
    while time.monotonic() < deadline:
        if service.poll() is not None:
            status = service.returncode
            raise ServiceError(f"the service ended with {status} before it was ready", status)
        try:
            with urlopen(f"{address}/health/ready", timeout=5):  # noqa: S310
                return
        except (URLError, OSError):
            time.sleep(0.05)
    raise ServiceError(f"the service was not ready within {READY_WITHIN:.0f} s")


def stop_service(service: subprocess.Popen[bytes]) -> None:
    """End the service and what it started: its process group, by its id, and no other.

    Raises:
        ServiceError: It did not end in time, and was killed.
    """
    if service.poll() is None:
        os.killpg(service.pid, signal.SIGTERM)
    try:
        service.wait(STOP_WITHIN)
    except subprocess.TimeoutExpired:
        os.killpg(service.pid, signal.SIGKILL)
        service.wait()
        raise ServiceError(f"the service did not stop within {STOP_WITHIN:.0f} s") from None


def fetch(address: str, body: object = None) -> Any:
    """GET, or POST a JSON body, and return the JSON answer.

    Raises:
        ServiceError: It was refused; the message says with which status and words.
    """
    data = None if body is None else json.dumps(body).encode()
    request = Request(address, data, {"Content-Type": "application/json"})  # noqa: S310
    try:
        with urlopen(request, timeout=30) as response:  # noqa: S310
            return json.load(response)
    except HTTPError as error:
        detail = error.read().decode(errors="replace")
        raise ServiceError(f"{address} answered {error.code}: {detail}") from None


def main() -> int:
    """Start the service of the project in this folder once, and stop it."""
    try:
        with serve(Path.cwd(), sys.stdout.fileno()):
            pass
    except ServiceError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.status or 1
    print("the service got ready and was stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
