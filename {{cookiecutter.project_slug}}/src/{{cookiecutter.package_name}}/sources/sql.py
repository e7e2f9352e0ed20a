"""What a query finds in a database that SQLAlchemy knows: SQLite, PostgreSQL and others."""

import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pandas as pd
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from ..batches import WHOLE
from ..errors import ProjectError
from ..masking import mask_address, mask_secrets, mask_text, name_secret
from ..paths import Paths
from ..source_params import SqlParams
from .delimited import check_names
from .files import NESTED

PASSWORD = "SOURCE_PASSWORD"  # noqa: S105 - its name
"""The environment variable that holds the database's password."""
_NESTED_TYPES = (dict, list, tuple, set)
_BYTES = (bytes, bytearray, memoryview)


def read_rows(
    params: SqlParams, root: Path, _needed: Collection[str] | None = None
) -> list[pd.DataFrame]:
    """Every row of the query; of an incremental one, those since the last month that is stored.

    Raises:
        ProjectError: The database does not answer, or does not understand the query.
    """
    return [ask_database(params, _read_query(root / params.query), root)]


def ask_database(params: SqlParams, query: str, root: Path) -> pd.DataFrame:
    """As `read_rows`, for a query that is in no file yet."""
    url = resolve_url(params.url, root)
    try:
        # Without a pool the connection ends here, however the query ends.
        with create_engine(url, poolclass=NullPool).connect() as connection:
            rows = _ask(connection, query, params, Paths(root))
    # Drivers refuse an odd address with Python's own errors.
    except (SQLAlchemyError, ImportError, pd.errors.DatabaseError, TypeError, ValueError) as error:
        # pandas wraps what SQLAlchemy wraps; the driver says it best.
        cause = error.__cause__ if isinstance(error, pd.errors.DatabaseError) else error
        reason = " ".join(str(getattr(cause, "orig", None) or cause).split())
        reason = mask_text(reason, url.render_as_string(hide_password=False))
        raise ProjectError(
            f"{params.query} at {mask_address(url.render_as_string())} cannot be read ({reason:.300}); see to "
            f"the query, to source.url in params.yaml and to {PASSWORD} in the environment."
        ) from None
    check_names([str(name) for name in rows.columns], Path(params.query))
    if rows.empty:
        raise ProjectError(f"{params.query} finds no rows; look at what it asks for.")
    return _name_values(rows, params.query).rename(columns=params.rename)


def _name_values(rows: pd.DataFrame, query: str) -> pd.DataFrame:
    """Rows whose objects are text: decimals exactly, UUIDs, dates. JSON and arrays are left out."""
    nested = [name for name in rows if _holds(rows[name], _NESTED_TYPES)]
    for name in rows.columns.difference(nested):
        if _holds(rows[name], _BYTES):
            raise ProjectError(
                f"{query} gives bytes in the column '{name}', which no contract can name; convert "
                "the column to text or a number in the query, or leave it out."
            )
        if pd.api.types.is_object_dtype(rows[name]):
            rows[name] = rows[name].map(str, na_action="ignore").astype("str")
    kept = rows.drop(columns=nested)
    kept.attrs[NESTED] = [str(name) for name in nested]
    return kept


def _holds(values: "pd.Series[Any]", kinds: tuple[type, ...]) -> bool:
    return bool(pd.api.types.is_object_dtype(values)) and any(
        isinstance(cell, kinds) for cell in values
    )


def resolve_url(address: str, root: Path) -> URL:
    """The database's address, with the password from the environment.

    Raises:
        ProjectError: It is no address, or holds a password where everybody can read it.
    """
    try:
        url = make_url(address)
    except (ArgumentError, ValueError):
        raise ProjectError(
            f"'{mask_secrets(address)}' is no address of a database; write one as SQLAlchemy does, "
            "such as postgresql+psycopg://user@host/name or sqlite:///orders.db."
        ) from None
    secret = name_secret(address)
    if secret or url.password is not None:
        what = "a password" if url.password is not None else f"a secret {secret}"
        raise ProjectError(
            f"The address {mask_address(address)} holds {what}; take it out, and put it into the "
            f"environment variable {PASSWORD}."
        )
    if url.get_backend_name() == "sqlite" and url.database:
        if not (root / url.database).exists():
            raise ProjectError(f"{url.database} is not there; name the file of a SQLite database.")
        url = url.set(database=str(root / url.database))
    elif url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    password = os.environ.get(PASSWORD)
    return url.set(password=password) if password else url


def _read_query(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip().rstrip(";")
    except FileNotFoundError:
        raise ProjectError(f"{path.name} is not there; write the query into it.") from None


def _ask(connection: Connection, query: str, params: SqlParams, paths: Paths) -> pd.DataFrame:
    # A colon in the query is its own: what is bound is ours alone.
    query, values = query.replace(":", "\\:"), dict[str, str]()
    months = [path.stem for path in paths.raw.glob("*.parquet") if path.stem != WHOLE]
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET TIME ZONE 'UTC'")
    if params.incremental is not None and months:
        column = connection.dialect.identifier_preparer.quote(params.incremental)
        # The query is a file of the project itself, and the name is quoted.
        query = f"SELECT * FROM ({query}) AS source WHERE {column} >= :since"  # noqa: S608
        values = {"since": f"{max(months)}-01"}
    return pd.read_sql_query(
        text(query),
        connection,
        params=values,
        dtype_backend="numpy_nullable",
        coerce_float=False,  # A decimal stays exact.
    )
