"""Batch scoring: CSV or Parquet in, Parquet out, in constant memory.

Files are read as training read its own, by the format that the bundle keeps. The rows go through in
chunks, and each chunk's answers are a whole file of their own until all are there. So a run that
was killed goes on where it was, and ends with the same bytes.
"""

import glob
import os
import shutil
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from mlchassis.batch.output import (
    ANSWERS,
    QUARANTINE,
    check_output,
    count_texts,
    is_own,
    join_parts,
    parts_path,
    prepare_parts,
    quarantine_path,
    write_part,
)
from mlchassis.bundle.bundle import load_deployed, read_pointer
from mlchassis.bundle.scorer import Scorer
from mlchassis.config.source_params import TableFormat
from mlchassis.contract.checks import name_kind
from mlchassis.contract.model import Contract
from mlchassis.contract.schemas import PANDAS_TYPES
from mlchassis.contract.table_checks import find_reasons
from mlchassis.errors import ProjectError
from mlchassis.features.code import FeatureCode
from mlchassis.sources.files import (
    SourceFile,
    choose_columns,
    is_csv,
    is_table,
    list_files,
    open_file,
    read_chunks,
    to_frame,
)
from mlchassis.sources.parsing import parse_column
from mlchassis.terminal import open_progress

CHUNK_ROWS = 100_000


@dataclass(frozen=True, slots=True)
class Summary:
    """Number of scored and of quarantined rows.

    Attributes:
        notes: Sentences about rows in quarantine, and about columns and files that were not read.
    """

    scored: int
    quarantined: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Job:
    """Settings shared by all chunks.

    Attributes:
        kept: Columns of the input that stand beside the answers.
        position: Name of the column with a row's position in all of the input.
        outputs: Names of the answers' columns.
        quarantine_position: Like `position`, in the quarantine.
        reason: Name of the column that says why a row is in quarantine.
    """

    scorer: Scorer
    kept: tuple[str, ...]
    position: str
    outputs: tuple[str, ...]
    quarantine_position: str
    reason: str

    @property
    def contract(self) -> Contract:
        return self.scorer.bundle.contract

    @property
    def formats(self) -> TableFormat:
        return self.scorer.bundle.metadata.formats


def score_files(
    source: str,
    output: Path,
    scorer: Scorer,
    progress: Callable[[int], None],
    chunk_rows: int = CHUNK_ROWS,
    workers: int = 1,
) -> Summary:
    """Score every row of the files and write the predictions in the rows' order.

    The output has the key and the event time if the input has them, the row's position in all of
    the input, the prediction, and the probabilities. Rows that break the contract go to
    `OUTPUT.quarantine.parquet`, as they came, with the reason.

    Args:
        source: A file, a folder or a pattern.
        output: The Parquet file to write.
        scorer: Model and features.
        progress: Called with the number of rows of each chunk that is done.
        chunk_rows: Rows of a chunk; up to two more of them than `workers` are in memory at once.
        workers: Chunks that are answered at once.

    Raises:
        ProjectError: There is nothing to read, it lacks a column, or the output is in the way.
    """
    inputs = list_inputs(source)
    check_output(output, inputs)
    files = _open_files(source, inputs, scorer)
    job = _plan(files, scorer)
    parts = parts_path(output)
    prepare_parts(parts, _describe_work(inputs, scorer.bundle.digest, chunk_rows))
    chunks = _read_all(files, job.formats, chunk_rows)
    finished = _score_chunks(chunks, job, parts, progress, workers)
    if not finished:
        shutil.rmtree(parts)
        raise ProjectError(f"{source} holds no rows, only a header; there is nothing to answer.")
    answered, refused = (
        [part.with_suffix(suffix) for part in finished] for suffix in (ANSWERS, QUARANTINE)
    )
    _check_parts(output, [*answered, *refused])
    scored = join_parts(answered, output)
    quarantine = quarantine_path(output)
    broken = join_parts(refused, quarantine)
    shutil.rmtree(parts)
    notes = (*_note_quarantine(quarantine, job.reason), *_note_rest(files, job))
    return Summary(scored, broken, notes)


def _score_chunks(
    chunks: Iterator[pa.Table],
    job: _Job,
    parts: Path,
    progress: Callable[[int], None],
    workers: int,
) -> list[Path]:
    """Score the chunks in threads, one part each; return the parts, without a suffix."""
    rows = 0
    finished = []
    running = deque[Future[int]]()
    # While a chunk is in the model, which needs no interpreter, others are read, checked, written.
    with ThreadPoolExecutor(workers) as executor:
        for count, chunk in enumerate(chunks, start=1):
            finished.append(parts / f"{count:08d}")
            running.append(executor.submit(_work, finished[-1], chunk, rows, job))
            rows += chunk.num_rows
            if len(running) > workers:
                progress(running.popleft().result())
        for future in running:
            progress(future.result())
    return finished


def _check_parts(output: Path, parts: Sequence[Path]) -> None:
    """Refuse to join what is no longer whole.

    Raises:
        ProjectError: A part is gone.
    """
    if not all(part.exists() for part in parts):
        raise ProjectError(
            f"Parts of {output} are gone: another run had the same OUTPUT= and has ended, or "
            "somebody deleted them; see whether its answers are there, else run again."
        )


def list_inputs(source: str) -> list[Path]:
    """The files that a file, a folder or a pattern stands for, in order.

    Answers of earlier runs within a folder or a pattern are not input.

    Raises:
        ProjectError: There is none.
    """
    place = Path(source)
    if place.is_file():
        return [place]
    if place.is_dir():
        candidates = list_files(place)
    else:
        # Path.glob would not take a pattern that is absolute.
        paths = map(Path, glob.glob(source, recursive=True))  # noqa: PTH207
        candidates = sorted(path for path in paths if is_table(path) and path.is_file())
    files = [path for path in candidates if is_csv(path) or not is_own(path)]
    if not files:
        if not glob.has_magic(source) and not place.exists():
            raise ProjectError(
                f"{source} is not there; name a CSV or Parquet file, a folder or a pattern with "
                "INPUT=."
            )
        raise ProjectError(
            f"{source} is not a CSV or Parquet file, nor a folder or pattern with any; name one "
            "with INPUT=."
        )
    return files


def _open_files(source: str, inputs: Sequence[Path], scorer: Scorer) -> list[SourceFile]:
    """The files' columns.

    Raises:
        ProjectError: A file is broken, or lacks a column that the contract requires.
    """
    formats = scorer.bundle.metadata.formats
    files = [open_file(path, _root(source, path), formats) for path in inputs]
    for file in files:
        for column in scorer.bundle.contract.features:
            if column.required and column.name not in file.names:
                raise ProjectError(
                    f"{file.path.name} lacks the column '{column.name}', which the contract lists "
                    f"as a required feature; {_describe_header(file, formats)}."
                )
    return files


def _describe_header(file: SourceFile, formats: TableFormat) -> str:
    names = ", ".join(f"'{name:.40}'" for name in file.names[:3])
    more = f" and {len(file.names) - 3} more" if len(file.names) > 3 else ""
    if not is_csv(file.path):
        return f"its columns are {names}{more}"
    delimiter = "tab" if formats.delimiter == "\t" else f"'{formats.delimiter}'"
    return (
        f"read with the delimiter {delimiter} and in {formats.encoding.removesuffix('-sig')}, as "
        f"the model's own table, its columns are {names}{more}"
    )


def _root(source: str, path: Path) -> Path:
    """The folder below which folders may name partitions, such as region=1."""
    place = Path(source)
    if place.is_file():
        return path
    if place.is_dir():
        return place
    root = Path(*takewhile(lambda part: not glob.has_magic(part), place.parts))
    return root if path.is_relative_to(root) and path != root else path


def _plan(files: Sequence[SourceFile], scorer: Scorer) -> _Job:
    """Names of the columns that are read, and of those that are added without overwriting any."""
    contract = scorer.bundle.contract
    beside = [column.name for column in (contract.key, contract.event_time) if column is not None]
    needed = {*beside, *(column.name for column in contract.features)}
    chosen = choose_columns(files, needed)
    kept = tuple(name for name in beside if name in chosen)
    every = {name for file in files for name in file.names}
    outputs = tuple(_free_name(name, kept) for name in contract.outputs)
    return _Job(
        scorer=scorer,
        kept=kept,
        position=_free_name("row", (*kept, *outputs)),
        outputs=outputs,
        quarantine_position=_free_name("row", every),
        reason=_free_name("reason", every),
    )


def _free_name(name: str, taken: Collection[str]) -> str:
    """A column's name, with underscores behind it where the input has such a column."""
    while name in taken:
        name += "_"
    return name


def _describe_work(inputs: Sequence[Path], digest: str, chunk_rows: int) -> dict[str, Any]:
    """Fingerprint of everything that the parts of a run depend on."""
    stats = [(str(path.resolve()), path.stat()) for path in inputs]
    return {
        "inputs": [[name, stat.st_size, stat.st_mtime_ns] for name, stat in stats],
        "digest": digest,
        "chunk_rows": chunk_rows,
    }


def _read_all(files: Sequence[SourceFile], formats: TableFormat, rows: int) -> Iterator[pa.Table]:
    for file in files:
        for chunk in read_chunks(file, formats, rows):
            if chunk.num_rows:
                yield chunk


def _note_quarantine(quarantine: Path, column: str) -> tuple[str, ...]:
    """Return the commonest reason of rows in quarantine, and where they are."""
    counts = count_texts(quarantine, column)
    if not counts:
        return ()
    reason, rows = counts.most_common(1)[0]
    note = (
        f"quarantine: {quarantine} holds these rows, each with its reason; the commonest is "
        f"'{reason}' ({rows:,} rows)"
    )
    return (note,)


def _note_rest(files: Sequence[SourceFile], job: _Job) -> tuple[str, ...]:
    """Sentences about columns and files that were not read."""
    used = {*job.kept, *(column.name for column in job.contract.features)}
    rest = dict.fromkeys(name for file in files for name in file.names if name not in used)
    notes = [note for file in files for note in file.notes]
    if rest:
        few = ", ".join(f"'{name}'" for name in list(rest)[:5])
        more = f" and {len(rest) - 5} more" if len(rest) > 5 else ""
        notes.append(f"not needed, and left out of the answers: {few}{more}")
    return tuple(notes)


def _work(part: Path, chunk: pa.Table, start: int, job: _Job) -> int:
    """Write the predictions of a chunk unless an earlier run did; return its number of rows."""
    paths = [part.with_suffix(suffix) for suffix in (ANSWERS, QUARANTINE)]
    if not all(path.exists() for path in paths):
        for path, frame in zip(paths, _score_chunk(to_frame(chunk), start, job), strict=True):
            write_part(path, frame)
    return len(chunk)


def _score_chunk(chunk: pd.DataFrame, start: int, job: _Job) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The answers to a chunk's rows, and its rows that break the contract."""
    frame, reasons = _parse_chunk(chunk, job)
    # A target or a key that is there twice does not concern a row that is to be answered.
    features = tuple(replace(c, roles=c.roles - {"key"}) for c in job.contract.features)
    invalid = find_reasons(frame, replace(job.contract, columns=features))
    reasons = reasons.combine_first(invalid).sort_index()
    if len(reasons):
        frame = frame.drop(reasons.index)
    kept = chunk.loc[frame.index, list(job.kept)].assign(**{job.position: frame.index + start})
    broken = chunk.loc[reasons.index].assign(**{job.reason: reasons.astype("string")})
    broken[job.quarantine_position] = reasons.index + start
    return pd.concat([kept, _answer(frame, job)], axis=1), broken


def _parse_chunk(chunk: pd.DataFrame, job: _Job) -> "tuple[pd.DataFrame, pd.Series[str]]":
    """The features in the contract's types, and the reasons of rows with an invalid cell."""
    reasons: pd.Series[str] = pd.Series(dtype=str)
    typed = {}
    for column in job.contract.features:
        if column.name not in chunk:
            kind: Any = PANDAS_TYPES[column.kind]
            typed[column.name] = pd.Series(None, index=chunk.index, dtype=kind)
            continue
        form = job.formats.column(column.name)
        typed[column.name], invalid = parse_column(chunk[column.name], column.kind, form)
        if invalid.any():
            why = f"{column.name}: is not {name_kind(column.kind)}"
            reasons = reasons.combine_first(pd.Series(why, index=chunk.index[invalid]))
    return pd.DataFrame(typed), reasons


def _answer(frame: pd.DataFrame, job: _Job) -> pd.DataFrame:
    contract = job.contract
    kind = PANDAS_TYPES["number" if contract.task == "regression" else contract.target.kind]
    empty: list[Any] = [()] * len(job.outputs)
    columns = empty if frame.empty else job.scorer.score_frame(frame).columns
    answers = pd.DataFrame(dict(zip(job.outputs, columns, strict=True)), index=frame.index)
    return answers.astype({job.outputs[0]: kind, **dict.fromkeys(job.outputs[1:], "float64")})


def score_deployed(store: Path, source: str, output: Path, features: FeatureCode) -> list[str]:
    """Score files with the deployed model, with a progress bar; return the lines of a summary."""
    pointer = read_pointer(store)
    if pointer is None:
        raise ProjectError(f"Nothing is deployed in {store}; run `make deploy`.")
    # More would wait for each other: what is not the model needs the one interpreter.
    workers = min(4, os.cpu_count() or 1)
    threads = (os.cpu_count() or 1) // workers
    scorer = Scorer(load_deployed(store, pointer.digest, features), features, threads)
    started = time.perf_counter()
    with open_progress() as bar:
        task = bar.add_task("rows", total=_count_rows(list_inputs(source)))
        result = score_files(source, output, scorer, partial(bar.advance, task), workers=workers)
    pace = (result.scored + result.quarantined) / (time.perf_counter() - started)
    counts = (
        f"{output}: {result.scored:,} rows answered, {result.quarantined:,} in quarantine "
        f"({pace:,.0f} rows/s)"
    )
    return [counts, *result.notes]


def _count_rows(files: Sequence[Path]) -> int | None:
    """Number of rows of all files, if their footers have it."""
    if any(is_csv(path) for path in files):
        return None
    try:
        rows: int = sum(pq.read_metadata(path).num_rows for path in files)
    except (OSError, pa.ArrowException):
        return None  # Whoever reads the file says what is wrong with it.
    return rows
