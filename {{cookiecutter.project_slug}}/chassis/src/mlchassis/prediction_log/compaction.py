"""Compaction of the prediction log: closed segments become Parquet files, and old files go.

A Parquet file names the segments whose lines it has, and how many bytes of them. It appears whole,
by a rename; from then on readers skip these bytes, and only then the segments are deleted. So a
process that is killed at any moment leaves every row in the log exactly once.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from mlchassis.files import clear_scratch, replacing
from mlchassis.prediction_log.reading import Part, list_parts
from mlchassis.prediction_log.segments import (
    JSON_LINES,
    LONGEST_AGE,
    PARQUET,
    exclusive,
    find_start,
    is_closed,
    list_files,
    list_folders,
    lock_to_replace,
    name_segment,
)
from mlchassis.prediction_log.table import (
    NEWEST,
    REPLACED,
    SCHEMA,
    find_newest,
    make_table,
    read_replaced,
)

_MAX_SEGMENTS = 100
"""Segments of one file; as many are open at once."""
_GROUP_ROWS = 20_000


@dataclass(frozen=True, slots=True)
class Compaction:
    """Result of a compaction.

    Attributes:
        segments: Segments that were replaced.
        files: Parquet files that were written.
        open: Segments that a process still writes, or may write.
        expired: Parquet files that were deleted, since all their rows were too old.
    """

    segments: int
    files: int
    open: int
    expired: int


def compact_log(folder: Path, keep_days: int | None, now: datetime) -> Compaction:
    """Replace closed segments by Parquet files, and delete files with old rows alone.

    Args:
        folder: Folder of the log.
        keep_days: Days for which rows are kept; None keeps all.
        now: The time from which they count.

    Raises:
        ProjectError: A Parquet file in the folder is broken.
    """
    with exclusive(folder):
        # Those of a killed compaction. Segments that it had replaced are deleted with the others.
        for place in list_folders(folder):
            clear_scratch(place)
        segments = [part for part in list_parts([folder]) if part.path.suffix == JSON_LINES]
        replaced = files = 0
        for group in _group(segments, now):
            with _locked(group) as closed:
                files += _replace(closed)
                replaced += len(closed)
        expired = _expire(folder, keep_days, now)
        return Compaction(replaced, files, len(segments) - replaced, expired)


def _delete(path: Path, size: int) -> None:
    """Delete a segment unless it has more bytes than a Parquet file took."""
    if path.stat().st_size <= size:
        path.unlink()


def _group(segments: Sequence[Part], now: datetime) -> Iterator[list[Part]]:
    """Yield closed segments of one folder and one day."""
    groups: dict[tuple[Path, date], list[Part]] = {}
    for part in segments:
        started = find_start(part.path)
        if started is not None and is_closed(part.path, now):
            groups.setdefault((part.path.parent, started.date()), []).append(part)
    for parts in groups.values():
        remaining = iter(parts)
        while group := list(islice(remaining, _MAX_SEGMENTS)):
            yield group


@contextmanager
def _locked(parts: Sequence[Part]) -> Iterator[list[Part]]:
    """Lock the segments that no process of this host appends to, and yield them."""
    with ExitStack() as files:
        closed = []
        for part in parts:
            descriptor = os.open(part.path, os.O_RDONLY | os.O_CLOEXEC)
            files.callback(os.close, descriptor)
            if lock_to_replace(descriptor):
                closed.append(part)
        yield closed


def _replace(segments: Sequence[Part]) -> int:
    """Replace segments by one Parquet file, or by none if they have no line; count the files."""
    sizes: dict[str, int] = {}
    lines = _read_lines(segments, sizes)
    first = list(islice(lines, _GROUP_ROWS))
    if first:
        target = _find_target(segments[0].path)
        with replacing(target, private=True) as scratch:
            _write(scratch, first, lines, sizes)
        _sync(target.parent)
    for part in segments:
        _delete(part.path, sizes[part.path.name])
    return 1 if first else 0


def _find_target(segment: Path) -> Path:
    """Return a free name: that of the segment, or a new one if a part of it was replaced before."""
    target = segment.with_suffix(PARQUET)
    if not target.exists():
        return target
    started = find_start(segment)
    return segment.with_name(name_segment(started or datetime.now(UTC))).with_suffix(PARQUET)


def _read_lines(segments: Sequence[Part], sizes: dict[str, int]) -> Iterator[tuple[str, bytes]]:
    """Yield the lines of segments; note how many bytes of each were read."""
    for part in segments:
        with part.path.open("rb") as file:
            file.seek(part.start)
            for line in file:
                if not line.isspace():
                    yield part.path.name, line.rstrip(b"\n")
            sizes[part.path.name] = file.tell()


def _write(
    path: Path,
    first: list[tuple[str, bytes]],
    remaining: Iterator[tuple[str, bytes]],
    sizes: Mapping[str, int],
) -> None:
    """Write lines in groups of rows, and what the file replaces.

    Args:
        path: The file to write.
        first: The first group: segment and text of each line.
        remaining: All further lines.
        sizes: Bytes of each segment that were read; complete when the last line was.
    """
    newest = ""
    with pq.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
        lines = first
        while lines:
            table = make_table(lines)
            newest = max(newest, pc.max(table.column("time")).as_py() or "")
            writer.write_table(table)
            lines = list(islice(remaining, _GROUP_ROWS))
        replaced = json.dumps(sizes).encode()
        writer.add_key_value_metadata({REPLACED: replaced, NEWEST: newest.encode()})


def _sync(folder: Path) -> None:
    """Wait until a rename is on the disk: segments are deleted after it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _expire(folder: Path, keep_days: int | None, now: datetime) -> int:
    if keep_days is None:
        return 0
    oldest = (now.astimezone(UTC) - timedelta(days=keep_days)).isoformat()
    expired = [path for path in list_files(folder, PARQUET) if "" < _find_newest(path) < oldest]
    for path in expired:
        path.unlink()
    return len(expired)


def _find_newest(path: Path) -> str:
    """Return the latest time of a file's lines, or that at which its last segment was closed.

    A line that was cut short, or of another version of the log, has no time in a column.
    """
    starts = filter(None, (find_start(path.with_name(name)) for name in read_replaced(path)))
    closed = ((start + LONGEST_AGE).isoformat() for start in starts)
    return find_newest(path) or max(closed, default="")
