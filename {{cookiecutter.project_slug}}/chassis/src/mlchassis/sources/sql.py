"""SQL source: a query on SQLite, PostgreSQL or any database that SQLAlchemy knows."""

import os
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from mlchassis.config.source_params import SqlParams
from mlchassis.contract.cells import INT64
from mlchassis.contract.partitions import WHOLE
from mlchassis.errors import ProjectError
from mlchassis.masking import mask_address, mask_secrets, mask_text, name_secret
from mlchassis.paths import Paths
from mlchassis.sources.delimited import check_names
from mlchassis.sources.files import NESTED
from mlchassis.sources.location import PLACEHOLDER, SourceMissingError, locate

PASSWORD = "SOURCE_PASSWORD"  # noqa: S105 - its name
"""The environment variable that holds the database's password."""
_NESTED_TYPES = {dict, list, tuple, set}
_BYTES = {bytes, bytearray, memoryview}
_LARGEST_EXACT = 2**53
"""Beyond it a float skips integers."""


def read_rows(
    params: SqlParams, root: Path, _needed: Collection[str] | None = None
) -> list[pd.DataFrame]:
    """Every row of the query; of an incremental one, those since the last month that is stored.

    Raises:
        ProjectError: The database does not answer, or does not understand the query.
    """
    return [query_database(params, _read_query(root / params.query), root)]


def query_database(params: SqlParams, query: str, root: Path) -> pd.DataFrame:
    """Rows of a query that is not in a file yet, like `read_rows`."""
    url = resolve_url(params.url, root)
    try:
        # Without a pool the connection ends here, however the query ends.
        with create_engine(url, poolclass=NullPool).connect() as connection:
            rows = _run_query(connection, query, params, Paths(root))
    # Drivers refuse an odd address with Python's own errors.
    except (SQLAlchemyError, ImportError, pd.errors.DatabaseError, TypeError, ValueError) as error:
        # pandas wraps what SQLAlchemy wraps; the driver says it best.
        cause = error.__cause__ if isinstance(error, pd.errors.DatabaseError) else error
        reason = " ".join(str(getattr(cause, "orig", None) or cause).split())
        reason = mask_text(reason, url.render_as_string(hide_password=False))
        raise ProjectError(
            f"{params.query} at {mask_address(url.render_as_string())} cannot be read "
            f"({reason:.300}); see to the query, to source.url in params.yaml and to {PASSWORD} in "
            "the environment."
        ) from None
    if rows.empty:
        raise ProjectError(f"{params.query} finds no rows; look at what it asks for.")
    return rows.rename(columns=params.rename)


def type_columns(names: Sequence[str], rows: Sequence[Sequence[Any]], query: str) -> pd.DataFrame:
    """Rows of a query with exact types: a decimal, a date and a UUID are text, as is a mixture.

    JSON and arrays are left out, and named in the attribute NESTED.

    Raises:
        ProjectError: A column holds bytes.
    """
    cells = zip(*rows, strict=True) if rows else ([] for _ in names)
    columns = {}
    nested = []
    for name, values in zip(names, cells, strict=True):
        types = {type(value) for value in values if value is not None}
        if types & _BYTES:
            raise ProjectError(
                f"{query} gives bytes in the column '{name}', which no contract can name; convert "
                "the column to text or a number in the query, or leave it out."
            )
        if types & _NESTED_TYPES:
            nested.append(name)
        else:
            columns[name] = _type_column(values, types)
    frame = pd.DataFrame(columns)
    frame.attrs[NESTED] = nested
    return frame


def _type_column(values: Sequence[Any], types: set[type]) -> "pd.Series[Any]":
    if types == {bool}:
        return pd.Series(values, dtype="boolean")
    if types == {int} and all(INT64[0] <= value <= INT64[1] for value in values if value):
        return pd.Series(values, dtype="Int64")
    if types == {float} or (types == {int, float} and all(map(_is_exact, values))):
        return pd.Series(values, dtype="Float64")
    if types == {datetime}:
        return _type_times(values)
    return pd.Series([None if value is None else _write(value) for value in values], dtype="str")


def _is_exact(value: float | None) -> bool:
    return value is None or abs(value) <= _LARGEST_EXACT


def _type_times(values: Sequence[datetime | None]) -> "pd.Series[Any]":
    aware = {value.tzinfo is not None for value in values if value is not None}
    if aware == {True}:
        in_utc = [value and value.astimezone(UTC) for value in values]
        return pd.Series(in_utc, dtype="datetime64[us, UTC]")
    if aware == {False}:
        return pd.Series(values, dtype="datetime64[us]")
    return pd.Series([value and value.isoformat() for value in values], dtype="str")


def _write(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def check_database(params: SqlParams, root: Path, *, connect: bool) -> None:
    """Look whether the file of a database is there, or whether its server answers.

    Raises:
        SourceMissingError: It is not, or it does not.
    """
    url = resolve_url(params.url, root)
    if not connect:
        return
    try:
        create_engine(url, poolclass=NullPool).connect().close()
    except (SQLAlchemyError, ImportError) as error:
        raise SourceMissingError(
            f"{mask_address(url.render_as_string())} does not answer ({type(error).__name__})."
        ) from None


def resolve_url(address: str, root: Path) -> URL:
    """The database's address, with the password from the environment.

    Raises:
        ProjectError: It is not an address, or holds a password where everybody can read it.
    """
    try:
        url = make_url(address)
    except (ArgumentError, ValueError):
        raise ProjectError(
            f"'{mask_secrets(mask_address(address))}' is not an address of a database; write one "
            "as SQLAlchemy does, such as postgresql+psycopg://user@host/name or sqlite:///orders.db."
        ) from None
    secret = name_secret(address)
    if secret or url.password is not None:
        what = "a password" if url.password is not None else f"a secret {secret}"
        raise ProjectError(
            f"The address {mask_address(address)} holds {what}; take it out, and put it into the "
            f"environment variable {PASSWORD}."
        )
    if url.get_backend_name() == "sqlite" and url.database:
        url = url.set(database=str(_find_database(url.database, root)))
    elif url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    password = os.environ.get(PASSWORD)
    return url.set(password=password) if password else url


def _find_database(path: str, root: Path) -> Path:
    """The file of a SQLite database."""
    if path == PLACEHOLDER:
        return locate(path, root)
    if not (root / path).exists():
        raise SourceMissingError(f"{path} is not there; name the file of a SQLite database.")
    return root / path


def _read_query(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip().rstrip(";")
    except FileNotFoundError:
        raise ProjectError(f"{path.name} is not there; write the query into it.") from None
    except UnicodeDecodeError:
        raise ProjectError(
            f"{path.name} is not text in UTF-8; save it again with that encoding."
        ) from None


def _run_query(connection: Connection, query: str, params: SqlParams, paths: Paths) -> pd.DataFrame:
    # A colon in the query is its own: what is bound is ours alone.
    query = query.replace(":", "\\:")
    values = dict[str, str]()
    months = [path.stem for path in paths.raw.glob("*.parquet") if path.stem != WHOLE]
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET TIME ZONE 'UTC'")
    if params.incremental is not None and months:
        column = connection.dialect.identifier_preparer.quote(params.incremental)
        # The query is a file of the project itself, and the name is quoted.
        query = f"SELECT * FROM ({query}) AS source WHERE {column} >= :since"  # noqa: S608
        values = {"since": f"{max(months)}-01"}
    result = connection.execute(text(query), values)
    names = list(map(str, result.keys()))
    check_names(names, Path(params.query))
    return type_columns(names, result.fetchall(), params.query)
