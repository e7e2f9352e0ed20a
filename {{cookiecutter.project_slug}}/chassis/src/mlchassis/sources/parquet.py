"""Parquet files as columns that a contract can name: exact integers, text, UTC times."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mlchassis.contract.cells import INT64
from mlchassis.errors import ProjectError
from mlchassis.sources.delimited import CHUNK_ROWS, check_names, name_file


@dataclass(frozen=True, slots=True)
class ParquetShape:
    """Columns of a Parquet file.

    Attributes:
        names: Those that can be read.
        nested: Lists and structs, which are not read.
    """

    names: tuple[str, ...]
    nested: tuple[str, ...]


def read_shape(path: Path) -> ParquetShape:
    """The columns of a Parquet file.

    Raises:
        ProjectError: A name is there twice.
    """
    schema = pq.read_schema(path)
    check_names(schema.names, path)
    nested = tuple(field.name for field in schema if pa.types.is_nested(field.type))
    read = [name for name in schema.names if name not in nested and not _is_unnamed_index(name)]
    return ParquetShape((*read, *(index["name"] for index in _range_indexes(schema))), nested)


def read_parquet(path: Path, rows: int = CHUNK_ROWS) -> Iterator[pa.Table]:
    """Chunks of a Parquet file in its order.

    Raises:
        ProjectError: A column has a type or a value that no contract can name.
    """
    shape = read_shape(path)
    done = 0
    with pq.ParquetFile(path, coerce_int96_timestamp_unit="us") as file:
        indexes = _range_indexes(file.schema_arrow)
        uuids = _uuid_columns(file)
        stored = [name for name in shape.names if name in file.schema_arrow.names]
        for batch in file.iter_batches(batch_size=rows, columns=stored):
            columns = {
                name: _convert(batch.column(name), name, path, is_uuid=name in uuids)
                for name in stored
            }
            for index in indexes:
                columns[index["name"]] = _make_index(index, done, batch.num_rows)
            done += batch.num_rows
            yield pa.table(columns)
    if not done:
        yield pa.table({name: pa.array([], pa.string()) for name in shape.names})


def _is_unnamed_index(name: str) -> bool:
    """True if pandas wrote the column for an unnamed index."""
    return name.startswith("__index_level_") and name.endswith("__")


def _range_indexes(schema: pa.Schema) -> list[dict[str, Any]]:
    """Indexes with a name that pandas keeps as start and step alone."""
    indexes = (schema.pandas_metadata or {}).get("index_columns", [])
    return [index for index in indexes if isinstance(index, dict) and index.get("name")]


def _make_index(index: dict[str, Any], done: int, rows: int) -> pa.Array:
    positions = np.arange(done, done + rows, dtype=np.int64)
    return pa.array(index["start"] + index["step"] * positions)


def _uuid_columns(file: pq.ParquetFile) -> frozenset[str]:
    columns = (file.schema.column(position) for position in range(len(file.schema)))
    return frozenset(c.name for c in columns if c.logical_type.type == "UUID")


def _convert(values: pa.Array, name: str, path: Path, *, is_uuid: bool) -> pa.Array:
    """A column as int64, double, bool, string or timestamp."""
    kind = values.type
    if pa.types.is_dictionary(kind):
        return _convert(values.dictionary_decode(), name, path, is_uuid=is_uuid)
    if is_uuid or isinstance(kind, pa.UuidType):
        return _uuids_to_text(values)
    if pa.types.is_integer(kind):
        return _to_int64(values, name, path)
    if pa.types.is_floating(kind):
        return values.cast(pa.float64())
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return values.cast(pa.timestamp("us", getattr(kind, "tz", None)), safe=False)
    if pa.types.is_boolean(kind) or pa.types.is_string(kind):
        return values
    if _is_written_as_text(kind):
        return values.cast(pa.string())
    raise ProjectError(
        f"{name_file(path)} has the column '{name}' of type {kind}, which no contract can "
        "name; write it as numbers or words, or leave it out."
    )


def _is_written_as_text(kind: pa.DataType) -> bool:
    """True if values are kept as text; decimals stay exact and are parsed later."""
    return bool(
        pa.types.is_large_string(kind)
        or pa.types.is_string_view(kind)
        or pa.types.is_decimal(kind)
        or pa.types.is_time(kind)
        or pa.types.is_null(kind)
    )


def _to_int64(values: pa.Array, name: str, path: Path) -> pa.Array:
    if pa.types.is_uint64(values.type):
        largest = pc.max(values).as_py()
        if largest is not None and largest > INT64[1]:
            raise ProjectError(
                f"{name_file(path)} has {largest} in the column '{name}', which is beyond the "
                "integers of 64 bits; write the column as strings."
            )
    return values.cast(pa.int64())


def _uuids_to_text(values: pa.Array) -> pa.Array:
    from uuid import UUID

    stored = values.storage if isinstance(values.type, pa.UuidType) else values
    written = [None if cell is None else str(UUID(bytes=cell)) for cell in stored.to_pylist()]
    return pa.array(written, pa.string())
