"""The project's service as a process of its own, and its client."""

import http
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from mlchassis.config.settings import ServiceSettings
from mlchassis.errors import ProjectError
from mlchassis.project import Workspace
from mlchassis.simulation.rows import Records

_ATTACHED = "mlchassis.simulation.attached"
"""Module that runs a verb and ends it with this process."""
_HOST = "127.0.0.1"
_START_SECONDS = 60.0
_ANSWER_SECONDS = 60.0
_STOP_SECONDS = 30.0
_END_SECONDS = 1.0
_ROWS_PER_REQUEST = 50
_SETTINGS = {"SERVICE_WATCH_SECONDS": "0.2", "SERVICE_ACCESS_LOG": "false"}


@dataclass(frozen=True, slots=True)
class Answer:
    """Response to one record.

    Attributes:
        outcome: `unanswered` if the service is down.
        prediction: Predicted value.
        probabilities: Probability by class name; None for regression.
        version: Version of the model that answered.
    """

    outcome: Literal["answered", "rejected", "unanswered"]
    prediction: Any = None
    probabilities: dict[str, float] | None = None
    version: str = ""


class LocalService:
    """The service of a project on a free port of this machine.

    Args:
        workspace: The project.
        log: File for the service's output.
    """

    def __init__(self, workspace: Workspace, log: Path) -> None:
        self._workspace = workspace
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0

    def start(self) -> None:
        """Start the service and wait until it listens.

        Raises:
            ProjectError: It ends, or does not listen in time.
        """
        command = [sys.executable, "-m", _ATTACHED, self._workspace.package, "serve"]
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(
                [*command, "--port", "0", "--host", _HOST],
                cwd=self._workspace.root,
                env={**os.environ, **_SETTINGS},
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
            )
        self._port = urlsplit(self._await_url()).port or 0

    def _await_url(self) -> str:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and self._process is not None:
            for line in self._log.read_text(encoding="utf-8", errors="replace").splitlines():
                if '"serving"' in line:
                    return str(json.loads(line)["url"])
            if self._process.poll() is not None:
                break
            time.sleep(0.05)
        self.stop()
        raise ProjectError(f"The service does not start; {self._log} gives the reason.")

    @property
    def settings(self) -> ServiceSettings:
        """Settings by which `await_rollout` finds the service."""
        return ServiceSettings(host=_HOST, port=self._port)

    def stop(self, *, kill: bool = False) -> None:
        """End the service: after its requests, or at once."""
        if self._process is None:
            return
        with self._process as process:
            process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
            try:
                process.wait(timeout=_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
        self._process = None

    def predict(self, records: Records) -> list[Answer]:
        """Send records in requests of bounded size and return a response per record.

        Raises:
            ProjectError: The service ended, does not answer, or answers with an error.
        """
        if self._process is None:
            return [Answer("unanswered")] * len(records)
        connection = http.client.HTTPConnection(_HOST, self._port, timeout=_ANSWER_SECONDS)
        starts = range(0, len(records), _ROWS_PER_REQUEST)
        chunks = [records[start : start + _ROWS_PER_REQUEST] for start in starts]
        with closing(connection):
            return [answer for chunk in chunks for answer in self._send(connection, chunk)]

    def _send(self, connection: http.client.HTTPConnection, records: Records) -> list[Answer]:
        """Send one request; records of a rejected one are sent again, each by itself."""
        try:
            status, document = _post(connection, records)
        # A response that was cut short is not JSON.
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise ProjectError(self._describe_loss(error)) from None
        if status == http.HTTPStatus.OK:
            return _read_answers(document)
        if status != http.HTTPStatus.UNPROCESSABLE_ENTITY:
            raise ProjectError(
                f"The service answers with status {status}: {document.get('detail', '')} "
                f"{self._log} gives the reason."
            )
        if len(records) == 1:
            return [Answer("rejected")]
        return [answer for record in records for answer in self._send(connection, [record])]

    def _describe_loss(self, error: Exception) -> str:
        """Return a sentence about a request without a response: the service ended or hangs."""
        reason = f"{type(error).__name__}: {error}"
        if self._process is not None:
            # The kernel closes connections a moment before the process can be waited for.
            with suppress(subprocess.TimeoutExpired):
                reason = f"exit code {self._process.wait(timeout=_END_SECONDS)}"
        return (
            f"The service of the simulation stopped answering ({reason}); {self._log} has its last "
            "lines: correct what they name and run `make simulate` again."
        )


def _post(connection: http.client.HTTPConnection, records: Records) -> tuple[int, dict[str, Any]]:
    body = json.dumps({"records": records}, allow_nan=False)
    connection.request("POST", "/predict", body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    document: dict[str, Any] = json.loads(response.read())
    return response.status, document


def _read_answers(document: dict[str, Any]) -> list[Answer]:
    version = str(document["model"]["version"])
    predictions: Sequence[dict[str, Any]] = document["predictions"]
    return [
        Answer("answered", each["prediction"], each.get("probabilities"), version)
        for each in predictions
    ]
