"""MLflow's own pages over the project's registry."""

import os
import sys
from typing import NoReturn

from mlchassis.contract.model import load_contract
from mlchassis.errors import ProjectError
from mlchassis.paths import Paths
from mlchassis.registry.tracking import connect
from mlchassis.registry.tracking_uri import TrackingLocation, resolve_tracking_location
from mlchassis.telemetry import silence_telemetry


def open_ui(paths: Paths, port: int = 5000) -> NoReturn:
    """Replace this process by MLflow's server for the project's own registry, on loopback.

    Raises:
        ProjectError: The runs are on a server, which has its own pages.
    """
    location = resolve_tracking_location(paths)
    if location.is_server:
        raise ProjectError(
            f"Runs and models are kept on the server at {location.shown}; open its UI instead."
        )
    connect(paths, load_contract(paths.contract).name)
    command = ui_command(port)
    silence_telemetry()
    environment = {**os.environ, **ui_environment(location)}
    os.execve(command[0], command, environment)  # noqa: S606


def ui_environment(location: TrackingLocation) -> dict[str, str]:
    """Variables of MLflow's server.

    Its database is one of them: every user of the machine sees a command line, and a tracking URI
    may hold a password.
    """
    return {
        "MLFLOW_BACKEND_STORE_URI": location.tracking_uri,
        "MLFLOW_DEFAULT_ARTIFACT_ROOT": str(location.artifact_location),
        # Further processes, for jobs that nobody starts, take gigabytes otherwise.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }


def ui_command(port: int) -> list[str]:
    """Command line of MLflow's server: on the loopback, in one process."""
    return [
        *(sys.executable, "-m", "mlflow", "server"),
        *("--host", "127.0.0.1", "--port", str(port)),
        *("--workers", "1"),
    ]
