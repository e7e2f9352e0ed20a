"""Files that batch scoring writes: parts of a run, and the joined answers with a mark.

A file is overwritten only if this module wrote it and nobody changed it since. The mark that tells
so is the digest of the rows' bytes, which stands in the file's own footer.
"""

import hashlib
import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mlchassis.errors import ProjectError
from mlchassis.files import make_folder, replacing, write_text

_MARK = "batch_scoring.digest"
_FOOTER_BYTES = 8
"""At the end of a Parquet file: the footer's length in four bytes, then PAR1."""
_BLOCK = 1 << 20
_WORK = "work.json"
ANSWERS = ".answers"
QUARANTINE = ".quarantine"
_OWN_NAME = re.compile(
    r"(?:\.?[0-9]{8}\.(?:answers|quarantine)|\.?work\.json)(?:-[0-9a-f]{8}(?:\.partial)?)?"
)
"""Names of a run's parts, and of the scratch files beside them."""


def quarantine_path(output: Path) -> Path:
    """Path of the rows that violate the contract."""
    return output.with_suffix(".quarantine.parquet")


def parts_path(output: Path) -> Path:
    """Folder of the parts that a run has finished."""
    return output.with_name(f"{output.name}.parts")


def check_output(output: Path, inputs: Iterable[Path]) -> None:
    """Reject an output that would overwrite a file that batch scoring did not write.

    Raises:
        ProjectError: It is not a Parquet file, is an input, or a file that somebody else wrote.
    """
    if output.suffix.lower() != ".parquet":
        raise ProjectError(
            f"OUTPUT={output}: answers are written as Parquet; name a file that ends in .parquet."
        )
    known = list(inputs)
    for path in (output, quarantine_path(output)):
        same = [one for one in known if path.exists() and one.samefile(path)]
        if same:
            raise ProjectError(
                f"{path} would be overwritten, and it is the input {same[0]}; name another OUTPUT=."
            )
        if (path.exists() or path.is_symlink()) and not is_own(path):
            raise ProjectError(
                f"{path} is there, and batch scoring did not write it or it was changed since; "
                "name another OUTPUT=, or move the file away."
            )
    parts = parts_path(output)
    if parts.exists() and not _is_work(parts):
        raise ProjectError(
            f"{parts} is there, and batch scoring did not write it; name another OUTPUT=, or move "
            "it away."
        )


def is_own(path: Path) -> bool:
    """True if batch scoring wrote the file and nobody changed it."""
    try:
        mark = (pq.read_metadata(path).metadata or {}).get(_MARK.encode())
        return mark is not None and mark == _digest_rows(path).encode()
    except (OSError, pa.ArrowException):
        return False


def _digest_rows(path: Path) -> str:
    """SHA-256 of what stands before the footer."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        file.seek(-_FOOTER_BYTES, 2)
        footer = int.from_bytes(file.read(4), "little")
        left = file.tell() + 4 - _FOOTER_BYTES - footer
        file.seek(0)
        while left > 0 and (block := file.read(min(_BLOCK, left))):
            digest.update(block)
            left -= len(block)
    return digest.hexdigest()


def _is_work(parts: Path) -> bool:
    """True if a folder holds only the files of an interrupted run.

    Where many may write, such as in /tmp, another user's folder or a link is not ours.
    """
    if parts.is_symlink() or not parts.is_dir() or parts.stat().st_uid != os.geteuid():
        return False
    return all(_OWN_NAME.fullmatch(path.name) and not path.is_symlink() for path in parts.iterdir())


def prepare_parts(parts: Path, work: Mapping[str, Any]) -> None:
    """Keep the parts of an earlier run of the same work, and no others.

    Args:
        parts: The folder.
        work: Fingerprint of everything that the parts depend on.
    """
    note = parts / _WORK
    try:
        same = json.loads(note.read_bytes()) == work
    except (OSError, ValueError):
        same = False
    if not same:
        shutil.rmtree(parts, ignore_errors=True)
        make_folder(parts, private=True)
        write_text(note, json.dumps(work), private=True)


def write_part(path: Path, frame: pd.DataFrame) -> None:
    """Write a part, without compression: it is read once and then removed."""
    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    with replacing(path, private=True) as scratch:
        pq.write_table(table, scratch, compression="none", use_dictionary=False)


class _DigestFile:
    """A file that keeps the digest of all that was written to it."""

    closed = False

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def write(self, content: bytes) -> int:
        self.digest.update(content)
        return self._file.write(content)

    def tell(self) -> int:
        return self._file.tell()

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        """Whoever opened the file closes it."""


def join_parts(parts: Sequence[Path], target: Path) -> int:
    """Write the parts into one file, a row group each; return the number of rows."""
    schema = _join_schemas([pq.read_schema(part) for part in parts])
    # Words come again and again; of numbers, each is mostly another.
    words = [field.name for field in schema if pa.types.is_string(field.type)]
    with replacing(target, private=True) as scratch, scratch.open("wb") as file:
        sink = _DigestFile(file)
        with pq.ParquetWriter(sink, schema, compression="zstd", use_dictionary=words) as writer:
            for part in parts:
                writer.write_table(_fit(pq.read_table(part), schema))
            writer.add_key_value_metadata({_MARK: sink.digest.hexdigest()})
    rows: int = pq.read_metadata(target).num_rows
    return rows


def count_texts(path: Path, column: str) -> Counter[str]:
    """Return how often each text of a column occurs, read a row group at a time."""
    counts: Counter[str] = Counter()
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(columns=[column]):
            for count in pc.value_counts(batch[column].drop_null()).to_pylist():
                counts[count["values"]] += count["counts"]
    return counts


def rewrite_rows(path: Path, table: pa.Table) -> None:
    """Replace the rows of a file that batch scoring wrote, and update its mark."""
    with replacing(path, private=True) as scratch, scratch.open("wb") as file:
        sink = _DigestFile(file)
        plain = table.replace_schema_metadata(None)
        with pq.ParquetWriter(sink, plain.schema, compression="zstd") as writer:
            writer.write_table(plain)
            writer.add_key_value_metadata({_MARK: sink.digest.hexdigest()})


def _join_schemas(schemas: Sequence[pa.Schema]) -> pa.Schema:
    """Every column of any part; one that has several types becomes text."""
    types: dict[str, set[pa.DataType]] = {}
    for schema in schemas:
        for field in schema:
            kind = pa.string() if pa.types.is_large_string(field.type) else field.type
            types.setdefault(field.name, set()).update([] if pa.types.is_null(kind) else [kind])
    chosen = {
        name: kinds.pop() if len(kinds) == 1 else pa.string() for name, kinds in types.items()
    }
    return pa.schema(list(chosen.items()))


def _fit(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """A part with the columns of all parts."""
    columns = []
    for field in schema:
        if field.name in table.column_names:
            columns.append(pc.cast(table[field.name], field.type))
        else:
            columns.append(pa.nulls(table.num_rows, field.type))
    return pa.table(columns, schema=schema)
