"""The project's own MLflow database: made whole or not at all, and moved along with the project."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlchassis.files import replacing
from mlchassis.registry.tracking_uri import sqlite_uri

if TYPE_CHECKING:
    from sqlalchemy import Engine

# Where MLflow's tables hold artefact addresses, all of them absolute.
_ADDRESSES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)


def create_database(path: Path, build_tables: "Callable[[Engine], Any]") -> None:
    """Makes the database beside its place and renames it there; does nothing where one is.

    MLflow makes its tables in some seventy steps and waits for the disk after each. A process that
    is killed in between would leave a database that no later one can fix. Here it is one rename,
    and the disk is waited for once.
    """
    if path.exists():
        return
    from sqlalchemy import create_engine, event

    with replacing(path, private=True) as scratch:
        engine = create_engine(sqlite_uri(scratch))

        @event.listens_for(engine, "connect")
        def _do_not_wait(connection: Any, _record: Any) -> None:
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute("PRAGMA journal_mode = MEMORY")

        build_tables(engine)
        engine.dispose()


def mend_addresses(path: Path, artifacts: str) -> None:
    """Lets a database that was moved together with its artefacts find them again.

    Args:
        path: The database.
        artifacts: Address of the folder of artefacts, as it is now.
    """
    with closing(sqlite3.connect(path, timeout=20)) as connection, connection:
        for (old,) in connection.execute(
            "SELECT DISTINCT artifact_location FROM experiments "
            "WHERE artifact_location LIKE 'file:%/mlartifacts' AND artifact_location <> ?",
            (artifacts,),
        ).fetchall():
            for table, column in _ADDRESSES:
                connection.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, length(?) + 1) "  # noqa: S608
                    f"WHERE {column} = ? OR substr({column}, 1, length(?) + 1) = ? || '/'",
                    (artifacts, old, old, old, old),
                )


def probe_database(uri: str) -> None:
    """Tries to connect, once: MLflow itself would try for a minute and a half."""
    from sqlalchemy import create_engine

    engine = create_engine(uri)
    try:
        engine.connect().close()
    finally:
        engine.dispose()
