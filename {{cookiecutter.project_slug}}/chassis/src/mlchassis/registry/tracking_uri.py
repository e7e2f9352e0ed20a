"""MLflow's tracking URI: in the project, or as MLflow's own variables set it."""

from dataclasses import dataclass
from pathlib import Path

from pydantic_settings import BaseSettings

from mlchassis.errors import ProjectError
from mlchassis.masking import mask_address, name_secret
from mlchassis.paths import Paths


class TrackingSettings(BaseSettings):
    """MLflow's own variables: a server or a database, and where a database keeps artifacts."""

    mlflow_tracking_uri: str | None = None
    mlflow_default_artifact_root: str | None = None


@dataclass(frozen=True, slots=True)
class TrackingLocation:
    """Tracking URI and artifact location.

    Attributes:
        tracking_uri: A server, or a database.
        artifact_location: Artifact location of a new experiment; None leaves it to the server.
        database: The project's own SQLite file, or None where another place was named.
    """

    tracking_uri: str
    artifact_location: str | None
    database: Path | None

    @property
    def is_server(self) -> bool:
        """True if it is a tracking server rather than a database."""
        return self.tracking_uri.startswith(("http://", "https://"))

    @property
    def shown(self) -> str:
        """The tracking URI as it may be printed: without a password or a token."""
        return mask_address(self.tracking_uri)


def resolve_tracking_location(
    paths: Paths, settings: TrackingSettings | None = None
) -> TrackingLocation:
    """Return the tracking URI of this project.

    Raises:
        ProjectError: The place of the artifacts holds a secret, which the registry would store.
    """
    settings = settings or TrackingSettings()
    # A URI, since MLflow unquotes plain paths too: a `%` in a folder's name would be lost.
    folder = (paths.var.resolve() / "mlartifacts").as_uri()
    root = settings.mlflow_default_artifact_root or folder
    if name_secret(root):
        raise ProjectError(
            f"MLFLOW_DEFAULT_ARTIFACT_ROOT is {mask_address(root)} and holds a secret "
            f"{name_secret(root)}, which the registry would store; take it out, and give the "
            "credentials to the storage's own variables, such as AWS_SECRET_ACCESS_KEY."
        )
    if not settings.mlflow_tracking_uri:
        database = paths.var.resolve() / "mlflow.db"
        return TrackingLocation(sqlite_uri(database), root, database)
    named = TrackingLocation(settings.mlflow_tracking_uri, root, None)
    return TrackingLocation(named.tracking_uri, None, None) if named.is_server else named


def sqlite_uri(database: Path) -> str:
    """The SQLAlchemy URI of a SQLite file: SQLAlchemy unquotes it, and takes `?` for its end."""
    return "sqlite:///" + str(database).replace("%", "%25").replace("?", "%3F")
