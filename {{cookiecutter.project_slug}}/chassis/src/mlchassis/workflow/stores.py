"""Shared stores: can another machine read the data, models and versions that a run writes?"""

from dataclasses import dataclass

from mlchassis.masking import mask_address
from mlchassis.paths import Paths
from mlchassis.registry.tracking_uri import TrackingSettings, resolve_tracking_location
from mlchassis.workspace.dvc_remotes import find_stores


@dataclass(frozen=True, slots=True)
class SharedStores:
    """Result of the check.

    Attributes:
        shared: True if DVC's default remote and MLflow's records are outside the project.
        sentence: Places of both, or what to set.
    """

    shared: bool
    sentence: str


def check_stores(paths: Paths) -> SharedStores:
    """Look whether DVC's default remote and MLflow's records are outside the project's folder."""
    remote = _find_remote(paths)
    registry = _find_registry(paths)
    missing = []
    if remote is None:
        missing.append("the default DVC remote is a folder of the project (dvc remote modify)")
    if registry is None:
        missing.append(
            "MLflow's records are in the project (MLFLOW_TRACKING_URI, and for a database "
            "MLFLOW_DEFAULT_ARTIFACT_ROOT)"
        )
    if missing:
        return SharedStores(False, f"No other machine reads this run: {', and '.join(missing)}.")
    return SharedStores(True, f"Data and models are in {remote}, versions in {registry}.")


def _find_remote(paths: Paths) -> str | None:
    """Return the default remote if it is a server, or a folder outside the project."""
    stores = find_stores(paths.root)
    name = stores.default or ""
    if name in stores.servers:
        return mask_address(stores.servers[name])
    folder = stores.folders.get(name)
    if folder is None or folder.resolve().is_relative_to(paths.root.resolve()):
        return None
    return str(folder.resolve())


def _find_registry(paths: Paths) -> str | None:
    """Return MLflow's address if its records and artifacts are outside the project."""
    settings = TrackingSettings()
    location = resolve_tracking_location(paths, settings)
    if location.is_server:
        return location.shown
    if location.database is not None or not settings.mlflow_default_artifact_root:
        return None
    return location.shown
