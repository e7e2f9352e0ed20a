"""CSV and Parquet files, packed or not, alone or in a folder.

CSV cells are read as words, which become the contract's kinds later (`parsing`).
"""

import bz2
import csv
import gzip
import lzma
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from io import TextIOWrapper
from pathlib import Path
from statistics import mode
from typing import IO, Any, cast

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import ProjectError
from ..source_params import FilesParams

NESTED = "nested"
"""Attribute of a frame: the columns of lists or structs, which are not read."""
CSV_SUFFIXES = (".csv", ".tsv", ".txt")
_PARQUET_SUFFIXES = (".parquet", ".pq")
_OPENERS: Mapping[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
_MISSING = ["?"]
"""Read as missing beside what pandas reads so: an empty cell, NA, NaN, null, None and the like."""

_NAMED_DELIMITER = re.compile(r'"?sep=(.)"? *\r?\n')


def read_files(params: FilesParams, root: Path) -> pd.DataFrame:
    """Every row as it is written: CSV cells as strings, Parquet columns in their own types.

    Raises:
        ProjectError: A file is missing, empty or broken.
    """
    files = list_files(root / params.path)
    frames = [_read_file(file, params) for file in files]
    first = list(frames[0].columns)
    for file, frame in zip(files, frames, strict=True):
        odd = sorted(set(first).symmetric_difference(frame.columns), key=str)
        if odd:
            raise ProjectError(
                f"{file.name} and {files[0].name} do not have the same columns ('{odd[0]}' is in "
                "one of them alone); a folder holds files of one table."
            )
    nested = {name for frame in frames for name in frame.attrs.get(NESTED, ())}
    rows = pd.concat(frames, ignore_index=True) if len(frames) > 1 else frames[0]
    rows.attrs[NESTED] = sorted(nested)
    if rows.empty:
        raise ProjectError(f"{params.path} holds no rows; give it the table with its header.")
    return rows.rename(columns=params.rename)


def list_files(path: Path) -> list[Path]:
    """The files of a table, in the order of their names.

    Raises:
        ProjectError: There are none.
    """
    if not path.exists():
        raise ProjectError(f"{path} is not there; name a file or a folder of CSV or Parquet files.")
    files = [path] if path.is_file() else sorted(_walk(path))
    if not files:
        raise ProjectError(f"{path} holds no CSV or Parquet file (looked for {_known()}).")
    return files


def is_csv(path: Path) -> bool:
    """Whether a file is read as CSV; anything that does not end as Parquet does."""
    return path.suffix.lower() not in _PARQUET_SUFFIXES


def _walk(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        suffixes = [s.lower() for s in path.suffixes if s.lower() not in _OPENERS]
        known = bool(suffixes) and suffixes[-1] in (*CSV_SUFFIXES, *_PARQUET_SUFFIXES)
        if known and path.is_file() and not path.name.startswith((".", "_")):
            yield path


def _known() -> str:
    return ", ".join((*CSV_SUFFIXES, *_PARQUET_SUFFIXES, *_OPENERS))


def _read_file(path: Path, params: FilesParams) -> pd.DataFrame:
    read = _read_csv if is_csv(path) else _read_parquet
    try:
        frame = read(path, params)
    except (OSError, EOFError, UnicodeError, ValueError, pa.ArrowInvalid) as error:
        reason = " ".join(str(error).split())
        raise ProjectError(
            f"{path} cannot be read ({reason}); it may be empty, cut short or of another format."
        ) from None
    check_names([str(name) for name in frame.columns], path)
    return frame


def _read_csv(path: Path, params: FilesParams) -> pd.DataFrame:
    options: dict[str, Any] = {
        "sep": params.delimiter,
        "skiprows": 1 if read_sep(path, params.encoding) else 0,
        "encoding": params.encoding,
        "dtype": "str",
        "skipinitialspace": True,
    }
    # pandas would number the second of two equal names; the caller must see them.
    header = pd.read_csv(path, header=None, nrows=1, keep_default_na=False, **options)
    names = [str(name).strip() for name in header.iloc[0]]
    check_names(names, path)
    cells: pd.DataFrame = pd.read_csv(
        path, header=0, names=names, index_col=False, na_values=_MISSING, **options
    )
    _check_end(path, params, len(names))
    return cells


def read_sep(path: Path, encoding: str) -> str | None:
    """The delimiter that a line before the header names for Excel, such as `sep=;`; else None."""
    with open_packed(path) as stream:
        found = _NAMED_DELIMITER.match(stream.read(64).decode(encoding, errors="replace"))
    return found and found[1]


def _check_end(path: Path, params: FilesParams, width: int) -> None:
    """Refuses a file that ends within a row: pandas would take its last cells for missing ones."""
    with open_packed(path) as stream:
        text = TextIOWrapper(stream, params.encoding, errors="replace", newline="")
        lines = deque(text, maxlen=1)
    last = next(csv.reader(lines, delimiter=params.delimiter))
    if len(last) < width and not lines[-1].endswith(("\n", "\r")):
        raise ValueError(f"its last row has {len(last)} of {width} cells and no end")


def open_packed(path: Path) -> IO[bytes]:
    """The bytes of a file, unpacked where its name says that it is packed."""
    opened: Any = _OPENERS.get(path.suffix.lower(), Path.open)(path, mode="rb")
    return cast("IO[bytes]", opened)


def _read_parquet(path: Path, _params: FilesParams) -> pd.DataFrame:
    table = pq.read_table(path)
    check_names(table.column_names, path)
    for field in table.schema:
        if pa.types.is_duration(field.type) or field.type in (pa.binary(), pa.large_binary()):
            raise ProjectError(
                f"{path.name} has the column '{field.name}' of type {field.type}, which no "
                "contract can name; write it as numbers or words, or leave it out."
            )
    nested = [field.name for field in table.schema if pa.types.is_nested(field.type)]
    frame: pd.DataFrame = table.drop_columns(nested).to_pandas(types_mapper=_map_type)
    frame = frame.reset_index() if _has_index(frame) else frame
    frame.attrs[NESTED] = nested
    return frame


def _map_type(kind: pa.DataType) -> Any:
    """Types that keep a missing value apart; an integer column of pandas would become floats."""
    if pa.types.is_integer(kind):
        return pd.Int64Dtype()
    if pa.types.is_floating(kind):
        return pd.Float64Dtype()
    return pd.BooleanDtype() if pa.types.is_boolean(kind) else None


def _has_index(frame: pd.DataFrame) -> bool:
    return any(name is not None for name in frame.index.names)


def check_names(names: Sequence[str], path: Path) -> None:
    """Refuses a table in which a name is there twice.

    Raises:
        ProjectError: It is; which of the columns is meant cannot be told.
    """
    for name in names:
        if names.count(name) > 1:
            raise ProjectError(
                f"{path.name} has {names.count(name)} columns named '{name}'; rename all but one, "
                "since it cannot be told which is meant."
            )


def check_beginning(path: Path, lines: Sequence[str], delimiters: str) -> None:
    """Refuses a CSV file that has a title or notes above its header.

    Args:
        path: The file.
        lines: Its first ones.
        delimiters: What may part its cells.

    Raises:
        ProjectError: Its first line names fewer columns than the lines below have.
    """
    found = []
    for delimiter in delimiters:
        reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True)
        rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if row]
        width = mode(len(row) for _, row in rows) if rows else 0
        usual = [(number, row) for number, row in rows if len(row) == width]
        first = rows[0][1] if rows else []
        # One name less is no title: tools write an index without any, or a delimiter at the end.
        short = len(first) == 1 < width or sum(map(bool, first)) < width - 1
        if short and 2 * len(usual) >= len(rows):
            start = next((one for one in usual if all(one[1])), usual[0])
            found.append((width, rows[0][0], *start))
    if found:
        width, top, number, header = max(found)
        title, shown = lines[top - 1], "', '".join(header[:3])
        raise ProjectError(
            f"{path.name} does not begin with its header: line {top} is '{title:.60}', and line "
            f"{number} has {width} cells ('{shown}'{', …' if width > 3 else ''}); delete what "
            f"stands above the header, or name all {width} columns in line {top}."
        )
