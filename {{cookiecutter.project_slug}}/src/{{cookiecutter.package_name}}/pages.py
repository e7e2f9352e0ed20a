"""MLflow's own pages over the project's registry."""

import os
import sys
from typing import NoReturn

from .address import resolve_address
from .contract import load_contract
from .errors import ProjectError
from .paths import Paths
from .telemetry import silence_telemetry
from .tracking import connect


def open_ui(paths: Paths, port: int = 5000) -> NoReturn:
    """Becomes MLflow's server for the project's own registry, on this machine alone.

    Raises:
        ProjectError: Runs are kept on a server, which has its own pages.
    """
    address = resolve_address(paths)
    if address.is_server:
        raise ProjectError(
            f"Runs and models are kept on the server at {address.shown}; open that address instead."
        )
    connect(paths, load_contract(paths.contract).name)
    command = ui_command(address.uri, str(address.artifacts), port)
    silence_telemetry()
    # As many processes as cores, and more for jobs that nobody starts, take gigabytes otherwise.
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    os.execve(command[0], command, environment)  # noqa: S606


def ui_command(uri: str, artifacts: str, port: int) -> list[str]:
    """The command line of MLflow's server: on the loopback, in one process."""
    return [
        *(sys.executable, "-m", "mlflow", "server"),
        *("--backend-store-uri", uri),
        *("--default-artifact-root", artifacts),
        *("--host", "127.0.0.1", "--port", str(port)),
        *("--workers", "1"),
    ]
