"""Selection of the rows to erase, and search for them in a table."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mlchassis.contract.model import Column, Contract
from mlchassis.data.forgotten import match_values, spell_cell
from mlchassis.errors import ProjectError
from mlchassis.files import replacing

PARQUET = b"PAR1"


@dataclass(frozen=True, slots=True)
class Selection:
    """Rows with one value of one column.

    Attributes:
        column: The column.
        value: Its value, as `spell_cell` spells it.
        key: The contract's key, or None.
        keys: Keys of the rows, as far as they are known: tables without the column have them.
    """

    column: Column
    value: str
    key: Column | None
    keys: frozenset[str] = frozenset()

    def wanted(self, names: Iterable[str]) -> tuple[Column, frozenset[str]] | None:
        """Return the column to search by and the values to match; None if there is none."""
        if self.column.name in names:
            return self.column, frozenset({self.value})
        if self.key is not None and self.key.name in names and self.keys:
            return self.key, self.keys
        return None


def read_selection(text: str, contract: Contract) -> Selection:
    """Read what a person wrote: a key's value, or COLUMN=VALUE.

    Raises:
        ProjectError: The contract has no key, or the value is none.
    """
    name, equals, value = text.partition("=")
    names = {column.name: column for column in contract.columns}
    if equals and name in names:
        column = names[name]
    elif contract.key is not None:
        column = contract.key
        value = text
    else:
        raise ProjectError(
            "The contract has no column with the tag key, so KEY= names no row; write the column "
            "too: make forget KEY=COLUMN=VALUE."
        )
    spelled = spell_cell(value, column.kind) if value.strip() else None
    if spelled is None:
        raise ProjectError(
            f"KEY= names no value of the column '{column.name}'; write it as the table does."
        )
    return Selection(column, spelled, contract.key)


def find_rows(path: Path, selection: Selection) -> "np.ndarray[Any, np.dtype[np.bool_]] | None":
    """Mask of a Parquet file's selected rows; None if it is not a table with such a column."""
    try:
        with path.open("rb") as file:
            if file.read(len(PARQUET)) != PARQUET:
                return None
        with pq.ParquetFile(path) as table:
            wanted = selection.wanted(table.schema_arrow.names)
            if wanted is None:
                return None
            column, values = wanted
            cells = table.read(columns=[column.name]).column(0).to_pandas()
    except (pa.ArrowInvalid, OSError):
        return None
    selected: np.ndarray[Any, np.dtype[np.bool_]] = match_values(
        cells, column.kind, values
    ).to_numpy()
    return selected


def holds_rows(path: Path, selection: Selection) -> bool:
    """True if a file is a Parquet table with such rows."""
    selected = find_rows(path, selection)
    return selected is not None and bool(selected.any())


def write_rows(path: Path, table: pa.Table) -> None:
    """Replace the rows of one of the project's tables."""
    with replacing(path, private=True) as scratch:
        pq.write_table(table, scratch, compression="zstd")


def remove_rows(
    path: Path,
    selection: Selection,
    *,
    keep_empty: bool,
    write: Callable[[Path, pa.Table], None] = write_rows,
) -> int:
    """Rewrite a Parquet file without the rows, or delete it if none is left; count them."""
    selected = find_rows(path, selection)
    if selected is None or not selected.any():
        return 0
    table = pq.read_table(path)
    left = table.filter(pa.array(~selected))
    if not left.num_rows and not keep_empty:
        path.unlink()
        return int(selected.sum())
    write(path, left)
    return int(selected.sum())


def read_keys(path: Path, selection: Selection) -> frozenset[str]:
    """Keys of the selected rows of a table."""
    selected = find_rows(path, selection)
    if selected is None or not selected.any() or selection.key is None:
        return frozenset()
    names = pq.read_schema(path).names
    if selection.key.name not in names:
        return frozenset()
    cells = pq.read_table(path, columns=[selection.key.name]).column(0).to_pandas()[selected]
    spelled = (spell_cell(cell, selection.key.kind) for cell in cells)
    return frozenset(text for text in spelled if text is not None)
