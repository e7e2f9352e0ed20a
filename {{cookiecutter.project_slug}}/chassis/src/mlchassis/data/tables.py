"""Parquet files of contract rows: typed on the way out, nullable on the way in."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from mlchassis.config.source_params import ColumnFormat
from mlchassis.contract.cells import CellParser, normalize_text
from mlchassis.contract.checks import name_kind
from mlchassis.contract.model import Contract, Kind
from mlchassis.contract.schemas import PANDAS_TYPES, read_timestamp
from mlchassis.errors import ProjectError
from mlchassis.files import replacing
from mlchassis.printable import describe_refusal

_HELD: Mapping[Kind, str] = {
    "number": "integer floating mixed-integer-float decimal",
    "integer": "integer floating mixed-integer-float decimal",
    "boolean": "boolean",
    "string": "string",
    "timestamp": "string datetime64 datetime date",
}
"""Results of pandas' type inference that a column of each kind may have."""


def coerce(frame: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    """The contract's columns, in its order and types; further columns are left behind.

    Raises:
        ProjectError: A column is missing, or holds what its type cannot.
    """
    columns: dict[str, pd.Series[Any]] = {}
    for column in contract.columns:
        if column.name not in frame.columns:
            raise ProjectError(
                f"The source lacks the column '{column.name}', which the contract lists; add it to "
                "the source, or take it out of contract.yaml."
            )
        try:
            columns[column.name] = _cast(frame[column.name], column.kind)
        except (TypeError, ValueError, OverflowError) as error:
            reason = describe_refusal(error, personal="pii" in column.roles)
            raise ProjectError(
                f"The source's column '{column.name}' is not {name_kind(column.kind)} as the "
                f"contract says{reason}; fix the source, or change the column's logicalType in "
                "contract.yaml."
            ) from None
    return pd.DataFrame(columns)


def _cast(values: "pd.Series[Any]", kind: Kind) -> "pd.Series[Any]":
    """A column in its kind's type; pandas by itself would take true for 1, and 1 for "1"."""
    held = pd.api.types.infer_dtype(values)
    if held not in _HELD[kind].split() and values.notna().any():
        raise ValueError(f"it holds values of type {held}")
    if held == "string":
        values = _normalize(values, CellParser(kind, ColumnFormat()))
    if kind == "timestamp" and held == "string":
        values = values.map(read_timestamp, na_action="ignore")
    return values.astype(cast("Any", PANDAS_TYPES[kind]))


def _normalize(values: "pd.Series[Any]", parser: CellParser) -> "pd.Series[Any]":
    """Text as every way in reads it; None for a missing value."""
    # Each different word is read once; a missing cell has the code -1, which takes the last.
    codes, strings = pd.factorize(values)
    normal = [_read_text(parser, text) for text in strings]
    read = np.array([*normal, None], dtype=object)[codes]
    return pd.Series(read, index=values.index, name=values.name)


def _read_text(parser: CellParser, text: str) -> str | None:
    bare = normalize_text(text)
    return None if parser.is_missing(bare) else bare


def write_table(path: Path, frame: pd.DataFrame) -> None:
    """Write a Parquet file beside its place and rename it there."""
    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    with replacing(path, private=True) as scratch:
        pq.write_table(table, scratch, compression="zstd")


def read_table(path: Path) -> pd.DataFrame:
    """Read one Parquet file with nullable types.

    Raises:
        ProjectError: The file is missing or is not a Parquet file.
    """
    try:
        return pd.read_parquet(path, dtype_backend="numpy_nullable")
    except FileNotFoundError:
        raise ProjectError(f"{path} is missing; run `make repro` or `make pull`.") from None
    except (pa.ArrowInvalid, OSError) as error:
        raise ProjectError(
            f"{path} is not a whole Parquet file ({error}); delete it and run `make repro`."
        ) from None


def read_tables(paths: Iterable[Path]) -> pd.DataFrame:
    """Read several files, one below the other.

    Raises:
        ProjectError: There is none, or one of them is not whole.
    """
    tables = [read_table(path) for path in paths]
    if not tables:
        raise ProjectError("There is no table to read; run `make repro` or `make pull`.")
    return pd.concat(tables, ignore_index=True)


def hash_rows(*parts: pd.DataFrame) -> str:
    """Return the SHA-256 of rows' content, whatever file they lie in."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(pd.util.hash_pandas_object(part, index=False).to_numpy().tobytes())
    return digest.hexdigest()
