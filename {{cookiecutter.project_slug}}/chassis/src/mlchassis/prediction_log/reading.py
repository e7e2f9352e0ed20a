"""Lines of the prediction log from JSON lines and Parquet files, in bounded memory."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mlchassis.errors import ProjectError
from mlchassis.prediction_log.copies import CopyFilter
from mlchassis.prediction_log.segments import JSON_LINES, PARQUET, identify, list_files, shared
from mlchassis.prediction_log.table import parse_line, read_batch, read_replaced

_BATCH_ROWS = 10_000


def read_entries(*folders: Path, request_id: str | None = None) -> Iterator[Any]:
    """Yield every line as the object that it is; TORN where it is none.

    A segment that lies in several folders, such as a copy of another host's log, is read once. So
    is each of its rows, if several Parquet files have it.

    Args:
        folders: Folders of the log.
        request_id: The only request whose lines are read, besides lines that do not show theirs; by
            default, all are.

    Raises:
        ProjectError: A Parquet file is broken.
    """
    with ExitStack() as locks:
        for folder in folders:
            locks.enter_context(shared(folder))
        parts = list_parts(folders)
        copies = CopyFilter({part.path: part.segments for part in parts})
        for part in parts:
            if part.path.suffix == PARQUET:
                yield from _read_parquet(part.path, request_id, copies)
            else:
                yield from _read_json_lines(part, request_id)


@dataclass(frozen=True, slots=True)
class Part:
    """A Parquet file, or a segment from that byte on which no Parquet file has.

    Attributes:
        start: First byte to read of a segment.
        segments: Names of the segments that a Parquet file has.
    """

    path: Path
    start: int = 0
    segments: tuple[str, ...] = ()


def list_parts(folders: Sequence[Path]) -> list[Part]:
    """Return the Parquet files, and of the segments what none of them has."""
    tables = {
        path: read_replaced(path) for folder in folders for path in list_files(folder, PARQUET)
    }
    replaced = _find_replaced(tables.values())
    # Two hosts that compact copies of one log may give one name to different files.
    parts: dict[object, Part] = {
        (identify(path), *sorted(sizes.items())): Part(path, segments=tuple(sizes))
        for path, sizes in reversed(tables.items())
    }
    for folder in folders:
        for path in list_files(folder, JSON_LINES):
            part = Part(path, replaced.get(identify(path), 0))
            known = parts.get(identify(path))
            # The longer one of two copies, such as one that was made while the service wrote it.
            if known is None or known.path.stat().st_size < path.stat().st_size:
                parts[identify(path)] = part
    return sorted(parts.values(), key=lambda part: (part.path.name, part.path))


def _find_replaced(tables: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Return how many bytes of which segments Parquet files have."""
    replaced: dict[str, int] = {}
    for sizes in tables:
        for name, size in sizes.items():
            replaced[name] = max(size, replaced.get(name, 0))
    return replaced


def _read_json_lines(part: Part, request_id: str | None) -> Iterator[Any]:
    needle = b"" if request_id is None else json.dumps(request_id).encode()
    with part.path.open("rb") as lines:
        lines.seek(part.start)
        for line in lines:
            # Lines that `make forget` removed are blank.
            if needle in line and not line.isspace():
                yield parse_line(line)


def _read_parquet(path: Path, request_id: str | None, copies: CopyFilter) -> Iterator[Any]:
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(_BATCH_ROWS):
                yield from read_batch(copies.drop_copies(path, _select(batch, request_id)))
        copies.close(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise ProjectError(
            f"{path} is not a whole Parquet file of the prediction log ({error}); move it away."
        ) from None


def _select(batch: pa.RecordBatch, request_id: str | None) -> pa.RecordBatch:
    """Return the rows of a request, and those that do not show theirs; all without one."""
    if request_id is None:
        return batch
    matches = pc.equal(batch.column("request_id"), request_id)
    return batch.filter(pc.or_kleene(matches, pc.is_valid(batch.column("unread"))))
