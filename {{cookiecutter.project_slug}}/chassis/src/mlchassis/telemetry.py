"""Switches that turn off the telemetry of dependencies, set before they are imported."""

import os

_SILENT = {
    "DO_NOT_TRACK": "true",
    "DVC_NO_ANALYTICS": "1",
    # MLflow accepts the literal `true` alone.
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "ORT_DISABLE_TELEMETRY": "1",
}


def silence_telemetry() -> None:
    """Set the opt-out variables of all dependencies, for this process and its children."""
    os.environ.update(_SILENT)
