"""Scores whole files: CSV or Parquet in, Parquet out, in memory that does not grow.

The rows go through in chunks, and each chunk's answers are a whole file of their own until all are
there. So a run that was killed goes on where it was, and ends with the same bytes.
"""

import glob
import json
import os
import shutil
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from .bundle import load_bundle, read_pointer
from .contract import Column, Contract
from .errors import ProjectError
from .files import make_folder, replacing
from .pipeline.validate import find_reasons
from .schemas import PANDAS_TYPES
from .scoring import Scorer

CHUNK_ROWS = 100_000
_SUFFIXES = (".csv", ".parquet")
_WORDS = {"true": True, "false": False, "1": True, "0": False}


@dataclass(frozen=True, slots=True)
class Summary:
    """How many rows were answered, and how many are in quarantine."""

    scored: int
    quarantined: int


def score_files(
    source: str,
    output: Path,
    scorer: Scorer,
    progress: Callable[[int], None],
    chunk_rows: int = CHUNK_ROWS,
    workers: int = 1,
) -> Summary:
    """Answers every row of the files and writes them in their order.

    The output has the key and the event time if the input has them, the row's position in all of
    the input, the prediction, and the probabilities. Rows that break the contract go to
    `OUTPUT.quarantine.parquet`, as they came, with the reason.

    Args:
        source: A file, a folder or a pattern.
        output: The Parquet file to write.
        scorer: Answers.
        progress: Called with the number of rows of each chunk that is done.
        chunk_rows: Rows of a chunk; up to two more of them than `workers` are in memory at once.
        workers: Chunks that are answered at once.

    Raises:
        ProjectError: There is nothing to read, or it lacks a column.
    """
    inputs = list_inputs(source)
    parts = output.with_name(f"{output.name}.parts")
    _prepare(parts, inputs, scorer.bundle.digest, chunk_rows)
    start, running = 0, deque[Future[int]]()
    # While a chunk is in the model, which needs no interpreter, others are read, checked, written.
    with ThreadPoolExecutor(workers) as executor:
        for count, chunk in enumerate(_read_chunks(inputs, chunk_rows), start=1):
            running.append(executor.submit(_work, parts / f"{count:08d}", chunk, start, scorer))
            start += len(chunk)
            if len(running) > workers:
                progress(running.popleft().result())
        for future in running:
            progress(future.result())
    scored = _join(sorted(parts.glob("*.answers")), output)
    broken = _join(sorted(parts.glob("*.quarantine")), output.with_suffix(".quarantine.parquet"))
    shutil.rmtree(parts)
    return Summary(scored, broken)


def list_inputs(source: str) -> list[Path]:
    """The files that a file, a folder or a pattern stands for, in order.

    Raises:
        ProjectError: There is none.
    """
    place = Path(source)
    # Path.glob would not take a pattern that is absolute.
    names = glob.glob(source, recursive=True)  # noqa: PTH207
    found = place.iterdir() if place.is_dir() else map(Path, names)
    files = sorted(path for path in found if path.suffix in _SUFFIXES and path.is_file())
    if not files:
        raise ProjectError(
            f"{source} is no CSV or Parquet file, nor a folder or pattern with any; name one with "
            "INPUT=."
        )
    return files


def _prepare(parts: Path, inputs: list[Path], digest: str, chunk_rows: int) -> None:
    """Keeps the parts of an earlier run of the same work, and no others."""
    stats = [(str(path.resolve()), path.stat()) for path in inputs]
    work = {
        "inputs": [[name, stat.st_size, stat.st_mtime_ns] for name, stat in stats],
        "digest": digest,
        "chunk_rows": chunk_rows,
    }
    note = parts / "work.json"
    try:
        same = json.loads(note.read_bytes()) == work
    except (OSError, ValueError):
        same = False
    if not same:
        shutil.rmtree(parts, ignore_errors=True)
        make_folder(parts, private=True)
        with replacing(note, private=True) as scratch:
            scratch.write_text(json.dumps(work), encoding="utf-8")


def _read_chunks(inputs: list[Path], rows: int) -> Iterator[pd.DataFrame]:
    for path in inputs:
        try:
            if path.suffix == ".parquet":
                with pq.ParquetFile(path) as file:
                    for batch in file.iter_batches(batch_size=rows):
                        yield _to_frame(pa.Table.from_batches([batch]))
            else:
                yield from _read_csv(path, rows)
        except (pa.ArrowInvalid, OSError) as error:
            raise ProjectError(f"{path} cannot be read ({error}); mend or remove it.") from None


def _read_csv(path: Path, rows: int) -> Iterator[pd.DataFrame]:
    # Everything as text: a cell that is no number then costs its row, not the run.
    with path.open("rb") as head:
        names = head.readline().decode("utf-8-sig").strip().replace('"', "").split(",")
    options = pa.csv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=True, null_values=[""]
    )
    with pa.csv.open_csv(path, convert_options=options) as reader:
        held: list[pa.RecordBatch] = []
        for batch in reader:
            held.append(batch)
            while sum(b.num_rows for b in held) >= rows:
                table = pa.Table.from_batches(held)
                yield _to_frame(table.slice(0, rows))
                held = table.slice(rows).to_batches()
        if any(b.num_rows for b in held):
            yield _to_frame(pa.Table.from_batches(held))


def _to_frame(table: pa.Table) -> pd.DataFrame:
    return cast("pd.DataFrame", table.to_pandas(types_mapper=pd.ArrowDtype, ignore_metadata=True))


def _work(part: Path, chunk: pd.DataFrame, start: int, scorer: Scorer) -> int:
    """Writes the answers to a chunk unless an earlier run did; returns how many rows it has."""
    paths = [part.with_suffix(suffix) for suffix in (".answers", ".quarantine")]
    if not all(path.exists() for path in paths):
        for path, frame in zip(paths, _score_chunk(chunk, start, scorer), strict=True):
            _write(path, frame)
    return len(chunk)


def _score_chunk(
    chunk: pd.DataFrame, start: int, scorer: Scorer
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The answers to a chunk's rows, and its rows that break the contract."""
    contract = scorer.bundle.contract
    absent = [c.name for c in contract.features if c.name not in chunk and c.required]
    if absent:
        raise ProjectError(
            f"The input lacks the column '{absent[0]}', which the contract lists as a required "
            "feature; add it."
        )
    given = chunk.assign(**{c.name: None for c in contract.features if c.name not in chunk})
    reasons: pd.Series[str] = pd.Series(dtype=str)
    typed = {}
    for column in contract.features:
        typed[column.name] = _convert(column, given[column.name])
        wrong = typed[column.name].isna() & given[column.name].notna()
        if wrong.any():
            found = pd.Series(f"{column.name}: is no {column.kind}", index=chunk.index[wrong])
            reasons = reasons.combine_first(found)
    frame = pd.DataFrame(typed)
    # A target or a key that is there twice is no business of a row that is to be answered.
    features = tuple(replace(c, roles=c.roles - {"key"}) for c in contract.features)
    reasons = reasons.combine_first(find_reasons(frame, replace(contract, columns=features)))
    if len(reasons):
        frame = frame.drop(reasons.index)
    named = [c.name for c in (contract.key, contract.event_time) if c and c.name in chunk]
    answers = _answer(frame, scorer)
    kept = chunk.loc[frame.index, named].assign(row=frame.index + start)
    broken = chunk.loc[reasons.sort_index().index].astype("string")
    broken = broken.assign(row=broken.index + start, reason=reasons.sort_index().astype("string"))
    return pd.concat([kept, answers], axis=1), broken


def _answer(frame: pd.DataFrame, scorer: Scorer) -> pd.DataFrame:
    contract: Contract = scorer.bundle.contract
    kind = PANDAS_TYPES["number" if contract.task == "regression" else contract.target.kind]
    columns = [()] * len(contract.outputs) if frame.empty else scorer.score_frame(frame).columns
    found = pd.DataFrame(dict(zip(contract.outputs, columns, strict=True)), index=frame.index)
    return found.astype({"prediction": kind, **dict.fromkeys(contract.outputs[1:], "float64")})


def _convert(column: Column, values: "pd.Series[Any]") -> "pd.Series[Any]":
    """A column in the contract's type; missing where a value is not of it."""
    kind = cast("Any", PANDAS_TYPES[column.kind])
    if column.kind == "string":
        return values.astype(kind)
    if column.kind == "timestamp":
        moments = pd.to_datetime(values.astype(object), errors="coerce", utc=True, format="ISO8601")
        return moments.astype(kind)
    if column.kind == "boolean":
        return values.astype("string").str.lower().map(_WORDS).astype(kind)
    if values.dtype.kind in "iuf":
        found = values.to_numpy(dtype=np.float64, na_value=np.nan)
        numbers = pd.Series(found, index=values.index)
    else:
        words = values.astype(object).where(values.notna(), None)
        numbers = pd.to_numeric(words, errors="coerce")
    if column.kind == "integer":
        numbers = numbers.where(numbers % 1 == 0)
    return numbers.astype("Float64").astype(kind)


def _write(path: Path, frame: pd.DataFrame) -> None:
    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    with replacing(path, private=True) as scratch:
        # Read once and then removed: to make it small would cost more than it saves.
        pq.write_table(table, scratch, compression="none", use_dictionary=False)


def _join(parts: list[Path], target: Path) -> int:
    """Writes the parts one below the other, a row group each; returns the number of rows."""
    if not parts:
        return 0
    schema = pq.read_schema(parts[0])
    # Words come again and again; of numbers, each is mostly another.
    words = [
        f.name for f in schema if pa.types.is_string(f.type) or pa.types.is_large_string(f.type)
    ]
    with (
        replacing(target, private=True) as scratch,
        pq.ParquetWriter(scratch, schema, compression="zstd", use_dictionary=words) as writer,
    ):
        for part in parts:
            writer.write_table(pq.read_table(part).cast(schema))
    rows: int = pq.read_metadata(target).num_rows
    return rows


def score_deployed(store: Path, source: str, output: Path) -> str:
    """Answers files with the deployed model, showing how far it is; returns a summary."""
    from rich.console import Console
    from rich.progress import Progress

    pointer = read_pointer(store)
    if pointer is None:
        raise ProjectError(f"Nothing is deployed in {store}; run `make deploy`.")
    # More would wait for each other: what is not the model needs the one interpreter.
    workers = min(4, os.cpu_count() or 1)
    threads = (os.cpu_count() or 1) // workers
    scorer = Scorer(load_bundle(store / "bundles" / pointer.digest), threads)
    files = list_inputs(source)
    known = all(path.suffix == ".parquet" for path in files)
    total = sum(pq.read_metadata(path).num_rows for path in files) if known else None
    started = time.perf_counter()
    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("rows", total=total)
        found = score_files(source, output, scorer, partial(bar.advance, task), workers=workers)
    pace = (found.scored + found.quarantined) / (time.perf_counter() - started)
    return (
        f"{output}: {found.scored:,} rows answered, {found.quarantined:,} in quarantine "
        f"({pace:,.0f} rows/s)"
    )
