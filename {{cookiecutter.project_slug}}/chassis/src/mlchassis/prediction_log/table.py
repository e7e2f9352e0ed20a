"""Prediction-log lines as rows of a Parquet file, and back without a difference.

Values of any type are JSON text, so that rows of every contract version fit into one table. A line
with other fields or types is kept as it is, in a column of its own.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mlchassis.errors import ProjectError

_INTEGERS = ("format", "row")
_TEXTS = ("time", "request_id", "digest", "model_version", "contract_version")
_OPTIONAL_TEXTS = ("event_time", "trace_id")
_VALUES = ("key", "inputs", "prediction", "probabilities")
_OPTIONAL = "trace_id"
"""A line without it has no such field; all other fields are always there."""
_ORDER = (
    "format", "time", "request_id", "row", "key", "event_time", "inputs", "prediction",
    "probabilities", "digest", "model_version", "contract_version", "trace_id",
)  # fmt: skip
_LARGEST = 2**63 - 1
REPLACED = b"mlchassis.segments"
"""Metadata of a file: how many bytes of which segments it has, as JSON."""
NEWEST = b"mlchassis.newest"
"""Metadata of a file: the latest time of its lines."""

TORN = object()
"""Entry of a line that is not JSON: cut short by a killed process or a full disk."""
SCHEMA = pa.schema(
    [
        *((name, pa.int64() if name in _INTEGERS else pa.string()) for name in _ORDER),
        ("segment", pa.string()),
        ("unread", pa.binary()),
    ]
)
"""Fields of a line, the segment from which it comes, and the text of a line with other fields."""


def make_table(lines: Sequence[tuple[str, bytes]]) -> pa.Table:
    """Return lines as a table.

    Args:
        lines: Segment and text of each, without its line end.
    """
    rows = [_make_row(segment, line) for segment, line in lines]
    return pa.Table.from_pylist(rows, SCHEMA)


def _make_row(segment: str, line: bytes) -> dict[str, Any]:
    entry = parse_line(line)
    if not isinstance(entry, dict) or not _fits(entry):
        return {"segment": segment, "unread": line}
    values = {name: json.dumps(entry[name], separators=(",", ":")) for name in _VALUES}
    return {**entry, **values, "segment": segment}


def parse_line(line: bytes) -> Any:
    """Return a line as the object that it is; TORN if it is none."""
    try:
        return json.loads(line)
    except ValueError:
        return TORN


def _fits(entry: dict[str, Any]) -> bool:
    """True if a line can be read back from the columns without a difference."""
    if set(_ORDER) - {_OPTIONAL} != set(entry) - {_OPTIONAL}:
        return False
    integers = all(type(entry[name]) is int and abs(entry[name]) <= _LARGEST for name in _INTEGERS)
    texts = [entry[name] for name in _TEXTS]
    texts += [entry[name] for name in _OPTIONAL_TEXTS if entry.get(name) is not None]
    # Half of a surrogate pair is not text for Parquet.
    return integers and all(isinstance(text, str) and _is_utf8(text) for text in texts)


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def read_batch(batch: pa.RecordBatch) -> list[Any]:
    """Return each row as the object that its line was; TORN if it was none."""
    unread = batch.column("unread")
    fields = _read_fields(batch.filter(pc.is_null(unread)))
    return [next(fields) if line is None else parse_line(line) for line in unread.to_pylist()]


def _read_fields(batch: pa.RecordBatch) -> Iterator[dict[str, Any]]:
    columns = {name: batch.column(name).to_pylist() for name in _ORDER}
    for name in _VALUES:
        # One call for all rows: it is the most expensive part.
        columns[name] = json.loads(f"[{','.join(columns[name])}]")
    for fields in zip(*columns.values(), strict=True):
        entry = dict(zip(_ORDER, fields, strict=True))
        if entry[_OPTIONAL] is None:
            del entry[_OPTIONAL]
        yield entry


def read_replaced(path: Path) -> dict[str, int]:
    """Return how many bytes of which segments a Parquet file has, by the segments' names.

    Raises:
        ProjectError: The file is not such a table.
    """
    replaced: dict[str, int] = json.loads(_read_metadata(path)[REPLACED])
    return replaced


def find_newest(path: Path) -> str:
    """Return the latest time of a file's lines; empty if none has a time.

    Raises:
        ProjectError: The file is not such a table.
    """
    return _read_metadata(path)[NEWEST].decode()


def _read_metadata(path: Path) -> dict[bytes, bytes]:
    try:
        metadata: dict[bytes, bytes] = pq.read_metadata(path).metadata or {}
    except (pa.ArrowInvalid, OSError) as error:
        raise ProjectError(f"{path} is not a whole Parquet file ({error}); move it away.") from None
    if not {REPLACED, NEWEST} <= set(metadata):
        raise ProjectError(
            f"{path} is not a file of `make compact-log`, but lies in the folder of the prediction "
            "log; move it away."
        )
    return metadata
