"""Removal of single rows from a Parquet file of the prediction log."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mlchassis.files import replacing
from mlchassis.prediction_log.table import NEWEST, REPLACED, SCHEMA, read_batch

Selects = Callable[[Any], bool]
"""True for a line, as `parse_line` returns it, that is selected."""


def holds_rows(path: Path, selects: Selects) -> bool:
    """True if a file has a row that is selected."""
    with pq.ParquetFile(path) as file:
        return any(selects(entry) for batch in file.iter_batches() for entry in read_batch(batch))


def remove_rows(path: Path, selects: Selects) -> int:
    """Rewrite a file without the rows that are selected; count them.

    It still names the segments that it replaces, so none of them is read again.
    """
    if not holds_rows(path, selects):
        return 0
    removed = 0
    with (
        replacing(path, private=True) as scratch,
        pq.ParquetFile(path) as file,
        pq.ParquetWriter(scratch, SCHEMA, compression="zstd") as writer,
    ):
        metadata = file.metadata.metadata
        for batch in file.iter_batches():
            kept = [not selects(entry) for entry in read_batch(batch)]
            removed += len(kept) - sum(kept)
            writer.write_batch(batch.filter(pa.array(kept)))
        writer.add_key_value_metadata({name: metadata[name] for name in (REPLACED, NEWEST)})
    return removed
