"""Rows that several Parquet files have: those of one log whose copies two hosts compacted."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa

_IDENTITY = ("segment", "time", "request_id", "row", "unread")
"""Columns that identify a line; one that could not be read into columns is its own identity."""


class CopyFilter:
    """Filter that passes each row of the segments that several files name once.

    It keeps a hash of each such row until the last file with its segment is read. Rows of all other
    segments cost nothing.

    Args:
        segments: Names of the segments in each file, by the file's path.
    """

    def __init__(self, segments: Mapping[Path, Sequence[str]]) -> None:
        self._segments = segments
        self._files = Counter(name for names in segments.values() for name in names)
        self._first: dict[str, dict[int, Path]] = {
            name: {} for name, count in self._files.items() if count > 1
        }

    def drop_copies(self, path: Path, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the rows of a batch that no earlier file has."""
        if not any(name in self._first for name in self._segments[path]):
            return batch
        columns = [batch.column(name).to_pylist() for name in _IDENTITY]
        kept = [self._is_first(path, line[0], line) for line in zip(*columns, strict=True)]
        return batch.filter(pa.array(kept, pa.bool_()))

    def _is_first(self, path: Path, segment: str, line: tuple[object, ...]) -> bool:
        known = self._first.get(segment)
        return known is None or known.setdefault(hash(line), path) == path

    def close(self, path: Path) -> None:
        """Forget the segments of which no further file has rows."""
        for name in self._segments[path]:
            self._files[name] -= 1
            if not self._files[name]:
                self._first.pop(name, None)
