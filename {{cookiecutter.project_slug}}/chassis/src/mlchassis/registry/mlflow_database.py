"""The project's own MLflow database: created atomically, and moved along with the project."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from mlchassis.files import replacing
from mlchassis.registry.tracking_uri import sqlite_uri

# Where MLflow's tables hold artifact URIs, all of them absolute.
_ARTIFACT_COLUMNS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)


def create_database(path: Path, artifact_location: str) -> None:
    """Create MLflow's tables in a scratch file and rename it; do nothing if there is a database.

    MLflow creates its tables in some seventy steps and waits for the disk after each. A process
    that is killed in between would leave a database that no later one can fix. Here it is one
    rename, and the disk is waited for once.

    Args:
        path: The database.
        artifact_location: Root of the artifacts of MLflow's default experiment.
    """
    if path.exists():
        return
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    with replacing(path, private=True) as scratch, _without_disk_waits():
        make_store: Callable[..., Any] = SqlAlchemyStore
        store = make_store(sqlite_uri(scratch), artifact_location)
        store.engine.dispose()


@contextmanager
def _without_disk_waits() -> Iterator[None]:
    """Let SQLite write without flushing to the disk: whoever renames the file flushes it."""
    from sqlalchemy import Engine, event

    def set_pragmas(connection: Any, _record: Any) -> None:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA journal_mode = MEMORY")

    event.listen(Engine, "connect", set_pragmas)
    try:
        yield
    finally:
        event.remove(Engine, "connect", set_pragmas)


def update_artifact_uris(path: Path, artifacts: str) -> None:
    """Rewrite the artifact URIs of a database that was moved together with its artifacts.

    Args:
        path: The database.
        artifacts: Location of the folder of artifacts, as it is now.
    """
    with closing(sqlite3.connect(path, timeout=20)) as connection, connection:
        for (old,) in connection.execute(
            "SELECT DISTINCT artifact_location FROM experiments "
            "WHERE artifact_location LIKE 'file:%/mlartifacts' AND artifact_location <> ?",
            (artifacts,),
        ).fetchall():
            for table, column in _ARTIFACT_COLUMNS:
                connection.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, length(?) + 1) "  # noqa: S608
                    f"WHERE {column} = ? OR substr({column}, 1, length(?) + 1) = ? || '/'",
                    (artifacts, old, old, old, old),
                )


def probe_database(uri: str) -> None:
    """Try to connect, once: MLflow itself would try for a minute and a half."""
    from sqlalchemy import create_engine

    engine = create_engine(uri)
    try:
        engine.connect().close()
    finally:
        engine.dispose()
