"""CSV and Parquet files, packed or not, alone or in a folder.

CSV cells are read as text, which becomes the contract's kinds later (`parsing`).
"""

import csv
import lzma
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from mlchassis.config.source_params import FilesParams, TableFormat
from mlchassis.errors import ProjectError
from mlchassis.sources.delimited import (
    CHUNK_ROWS,
    PACKED_SUFFIXES,
    Layout,
    check_names,
    name_file,
    read_csv,
    read_layout,
)
from mlchassis.sources.location import locate
from mlchassis.sources.parquet import read_parquet, read_shape
from mlchassis.sources.parsing import FILE

NESTED = "nested"
"""Attribute of a frame: the columns of lists or structs, which are not read."""
NOTES = "notes"
"""Attribute of a frame: sentences on what was left out."""
MISSING_COLUMNS = "missing_columns"
"""Attribute of a frame: by column that other files have, a file that lacks it."""
CSV_SUFFIXES = (".csv", ".tsv", ".txt")
_PARQUET_SUFFIXES = (".parquet", ".pq")
_NULL_PARTITION = "__HIVE_DEFAULT_PARTITION__"
_UNPACKING = (zlib.error, lzma.LZMAError)


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file of a table.

    Attributes:
        path: The file.
        names: Its columns by their names in the contract, those of partition folders included.
        partitions: Columns that its folders name, such as region=1, with their text.
        nested: Columns of lists or structs, which are not read.
        notes: Sentences on what was left out.
    """

    path: Path
    names: tuple[str, ...]
    partitions: tuple[tuple[str, str], ...] = ()
    nested: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def read_files(
    params: FilesParams, root: Path, needed: Collection[str] | None = None
) -> list[pd.DataFrame]:
    """Every row as it is written, a frame for each file: CSV cells as text, Parquet in its types.

    The first frame's attributes NESTED and NOTES say what was left out of any.

    Args:
        params: Location and format of the files.
        root: The project's folder.
        needed: Names of columns; None for those that every file has.

    Raises:
        ProjectError: A file is missing, empty or broken, or lacks a column.
    """
    place = locate(params.path, root)
    files = [open_file(path, place, params) for path in list_files(place)]
    names = choose_columns(files, needed)
    frames = []
    for file in files:
        chunks = (chunk.select(names) for chunk in read_chunks(file, params))
        frames.append(to_frame(pa.concat_tables(chunks)))
        frames[-1].attrs[FILE] = name_file(file.path)
    if len(files) == 1:
        del frames[0].attrs[FILE]  # Everybody knows which.
    if not any(map(len, frames)):
        raise ProjectError(f"{params.path} holds no rows; export the table again.")
    frames[0].attrs[NESTED] = sorted({name for file in files for name in file.nested})
    notes = [note for file in files for note in file.notes]
    frames[0].attrs[NOTES] = [*notes, *note_further_columns(files, names)]
    frames[0].attrs[MISSING_COLUMNS] = find_missing_columns(files)
    return frames


def list_files(path: Path) -> list[Path]:
    """The files of a table, in the order of their names.

    Raises:
        ProjectError: There are none.
    """
    if not path.exists():
        raise ProjectError(f"{path} is not there; name a file or a folder of CSV or Parquet files.")
    if (path / "_delta_log").is_dir():
        raise ProjectError(
            f"{path} is a Delta table, whose folder holds deleted rows too; export the table to "
            "Parquet files of its own."
        )
    files = [path] if path.is_file() else sorted(_walk(path))
    if not files:
        raise ProjectError(f"{path} holds no CSV or Parquet file (looked for {_known()}).")
    return files


def is_csv(path: Path) -> bool:
    """True if the file is read as CSV; every name that does not end as Parquet is."""
    return path.suffix.lower() not in _PARQUET_SUFFIXES


def is_table(path: Path) -> bool:
    """True if the file name is that of a CSV or Parquet file."""
    suffixes = [s.lower() for s in path.suffixes if s.lower() not in PACKED_SUFFIXES]
    return bool(suffixes) and suffixes[-1] in (*CSV_SUFFIXES, *_PARQUET_SUFFIXES)


def _walk(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        hidden = any(part.startswith((".", "_")) for part in path.relative_to(folder).parts)
        if is_table(path) and path.is_file() and not hidden:
            yield path


def _known() -> str:
    return ", ".join((*CSV_SUFFIXES, *_PARQUET_SUFFIXES, *PACKED_SUFFIXES))


def open_file(path: Path, place: Path, form: TableFormat) -> SourceFile:
    """The columns of a file; its rows are not read yet, except where its header does not fit.

    Args:
        path: The file.
        place: The table's folder, below which folders may name partitions; or the file.
        form: Format of the table.

    Raises:
        ProjectError: The file is broken, or its header is.
    """
    notes: tuple[str, ...] = ()
    nested: tuple[str, ...] = ()
    with readable(path):
        if is_csv(path):
            layout = read_layout(path, form)
            stored = layout.names
            notes = _note_surplus(path, layout)
        else:
            shape = read_shape(path)
            stored = shape.names
            nested = shape.nested
    names = [form.rename.get(name, name) for name in stored]
    partitions = _partitions(path, place, form, names)
    check_names([*names, *(name for name, _ in partitions)], path)
    return SourceFile(path, (*names, *dict(partitions)), partitions, nested, notes)


def _note_surplus(path: Path, layout: Layout) -> tuple[str, ...]:
    if layout.surplus is None:
        return ()
    column = {"first": "first cell, taken for an index", "last": "last cell, which is empty"}
    left_out = f"the {column[layout.surplus]}, was left out"
    return (f"{name_file(path)}: every row has one cell more than the header; {left_out}",)


def _partitions(
    path: Path, place: Path, form: TableFormat, names: Sequence[str]
) -> tuple[tuple[str, str], ...]:
    """Columns that folders name as Hive, Spark and pandas write them, unless the file has them."""
    folders = path.relative_to(place).parts[:-1] if path != place else ()
    partitions = []
    for folder in folders:
        name, equals, value = map(unquote, folder.partition("="))
        name = form.rename.get(name, name)
        if equals and name and name not in names:
            partitions.append((name, "" if value == _NULL_PARTITION else value))
    return tuple(partitions)


def read_chunks(file: SourceFile, form: TableFormat, rows: int = CHUNK_ROWS) -> Iterator[pa.Table]:
    """Chunks of a file in its order; an empty cell is missing.

    Raises:
        ProjectError: The file is broken, or holds what cannot be read.
    """
    with readable(file.path):
        for chunk in _read_stored(file.path, form, rows):
            yield _complete(chunk, file)


def _read_stored(path: Path, form: TableFormat, rows: int) -> Iterator[pa.Table]:
    return read_csv(path, form, rows) if is_csv(path) else read_parquet(path, rows)


def _complete(chunk: pa.Table, file: SourceFile) -> pa.Table:
    """A chunk under the contract's names, with the columns of its folders."""
    columns = list(chunk.columns)
    columns += [pa.repeat(value, chunk.num_rows) for _, value in file.partitions]
    return pa.table(dict(zip(file.names, map(_without_empty, columns), strict=True)))


def _without_empty(values: pa.ChunkedArray) -> pa.ChunkedArray:
    if not pa.types.is_string(values.type):
        return values
    return pc.if_else(pc.equal(values, ""), pa.scalar(None, pa.string()), values)


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Word what libraries raise about a broken file.

    Raises:
        ProjectError: The block met a broken file.
    """
    try:
        yield
    except (OSError, EOFError, ValueError, pa.ArrowException, *_UNPACKING, csv.Error) as error:
        reason = " ".join(str(error).split())
        raise ProjectError(
            f"{path} cannot be read ({reason:.300}); it may be empty, cut short or of another "
            "format."
        ) from None


def choose_columns(files: Sequence[SourceFile], needed: Collection[str] | None) -> list[str]:
    """The columns to read: those that are needed; else those that every file has.

    Raises:
        ProjectError: A file lacks a column that is needed and that another file has.
    """
    every = list(dict.fromkeys(name for file in files for name in file.names))
    if needed is None:
        return [name for name in every if all(name in file.names for file in files)]
    chosen = [name for name in every if name in needed]
    for file in files:
        absent = [name for name in chosen if name not in file.names]
        if absent:
            raise ProjectError(
                f"{name_file(file.path)} lacks the column '{absent[0]}', which other files of "
                "the folder have; add it to the file, or take the file out of the folder."
            )
    return chosen


def find_missing_columns(files: Sequence[SourceFile]) -> dict[str, str]:
    """Map each column that is missing from some file to one such file."""
    every = {name for file in files for name in file.names}
    return {
        name: name_file(file.path)
        for file in files
        for name in sorted(every.difference(file.names))
    }


def note_further_columns(files: Sequence[SourceFile], names: Collection[str]) -> list[str]:
    """One sentence for each column that is not read, naming the files."""
    further = dict.fromkeys(name for file in files for name in file.names if name not in names)
    notes = []
    for name in further:
        holders = [name_file(file.path) for file in files if name in file.names]
        where = "every file" if len(holders) == len(files) else _list_names(holders)
        without_column = [name_file(file.path) for file in files if name not in file.names]
        but = f" and not in {_list_names(without_column)}" if without_column else ""
        way_in = "add it to every file and run" if without_column else "run"
        notes.append(
            f"'{name}' is in {where}{but}; it was left out: to use it, {way_in} `make adopt` again"
        )
    return notes


def _list_names(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3} more files" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def to_frame(table: pa.Table) -> pd.DataFrame:
    """A frame whose types keep missing values apart; integers would become floats otherwise."""
    frame: pd.DataFrame = table.to_pandas(types_mapper=_FRAME_TYPES.get, ignore_metadata=True)
    return frame


_FRAME_TYPES: Mapping[pa.DataType, Any] = {
    pa.int64(): pd.Int64Dtype(),
    pa.float64(): pd.Float64Dtype(),
    pa.bool_(): pd.BooleanDtype(),
}
