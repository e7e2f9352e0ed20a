"""`forget`: a person's rows removed wherever the project keeps them, every step repeatable."""

import shutil
from collections.abc import Callable, Iterator, Set
from dataclasses import replace
from itertools import chain
from pathlib import Path

from mlchassis.batch.output import is_own, rewrite_rows
from mlchassis.config.yaml_edit import set_values
from mlchassis.contract.model import load_contract
from mlchassis.data.forgotten import make_digest
from mlchassis.erasure.holders import list_holders
from mlchassis.erasure.logs import (
    clear_file,
    clear_logs,
    file_holds_lines,
    holds_lines,
    is_log_file,
)
from mlchassis.erasure.objects import find_objects
from mlchassis.erasure.selection import (
    Selection,
    holds_rows,
    read_keys,
    read_selection,
    remove_rows,
    write_rows,
)
from mlchassis.errors import ProjectError
from mlchassis.files import clear_scratch, write_text
from mlchassis.paths import Paths
from mlchassis.prediction_log.segments import JSON_LINES, PARQUET
from mlchassis.project import read_params
from mlchassis.workspace.dvc_remotes import find_stores
from mlchassis.workspace.outputs import recording

SETTING = "ingest.forgotten"
_COMMENT = "digests of rows that make forget removed: they are not read again"
_LINE = "ingest:\n"

_TOOLS = frozenset({".venv", ".git", ".dvc", "build"})
_HIDDEN = _TOOLS | {"data"}

Say = Callable[[str], None]


def forget_rows(paths: Paths, text: str, predictions: Path, say: Say) -> None:
    """Remove the rows of one person, and list what else holds them.

    A process that is killed in between leaves nothing half-written; the same command again does
    the rest. So the raw data comes last: from it the keys are known under which the rows stand in
    the prediction log and in scores.

    Args:
        paths: The project.
        text: A key's value, or COLUMN=VALUE.
        predictions: The folder of the prediction log.
        say: Callback that prints one line to the user.

    Raises:
        ProjectError: The contract has no such column, or nothing holds such a row.
    """
    selection = read_selection(text, load_contract(paths.contract))
    stores = find_stores(paths.root)
    own, foreign = find_objects(paths, stores, selection)
    selection = replace(selection, keys=_collect_keys(paths, own, selection))
    held = bool(own) or _is_held(paths, predictions, selection)
    _note_digest(paths, selection, held=held)
    removed = sum(
        (
            _clear_logs(paths, predictions, selection, say),
            _clear_scores(paths, selection, say),
            _delete_objects(own, paths, say),
            _clear_tables(paths, selection, say),
        )
    )
    if not removed:
        say("forget: nothing here holds such a row any more")
    for line in list_holders(paths, stores, selection, foreign):
        say(line)


def _collect_keys(paths: Paths, objects: list[Path], selection: Selection) -> frozenset[str]:
    """Keys of the rows, from every table that has them."""
    if selection.key is None or selection.key.name == selection.column.name:
        return frozenset({selection.value} if selection.key is not None else ())
    keys: frozenset[str] = frozenset()
    for path in (*_tables(paths), *objects):
        keys |= read_keys(path, selection)
    return keys


def _tables(paths: Paths) -> Iterator[Path]:
    """The project's own tables and copies of edited ones, the raw data last."""
    yield from (path for path in sorted((paths.var / "kept").rglob("*")) if path.is_file())
    for folder in _folders(paths):
        yield from sorted(folder.glob("*.parquet"))


def _folders(paths: Paths) -> tuple[Path, ...]:
    return paths.splits, paths.accepted, paths.quarantine, paths.raw


def _is_held(paths: Paths, predictions: Path, selection: Selection) -> bool:
    """True if a table, batch scores or the prediction log hold such a row."""
    scores = (path for path in _walk(paths.root, "*.parquet") if _is_score(path))
    if any(holds_rows(path, selection) for path in (*_tables(paths), *scores)):
        return True
    copies = _list_copies(paths, predictions)
    return holds_lines(predictions, selection) or any(
        file_holds_lines(path, selection) for path in copies
    )


def _note_digest(paths: Paths, selection: Selection, *, held: bool) -> None:
    """Write the digest of the value into `params.yaml`, unless it is there already.

    Raises:
        ProjectError: Nothing holds such a row, and none was forgotten before.
    """
    known = read_params(paths).ingest.forgotten
    name = selection.column.name
    entry = make_digest(name, selection.value, known)
    if entry in known.get(name, ()):
        return
    if not held:
        raise ProjectError(
            f"No table, score or log of this project holds a row with that value of '{name}', so "
            "nothing was changed; check how the table writes it, or name another column: make "
            "forget KEY=COLUMN=VALUE."
        )
    value = {column: list(entries) for column, entries in known.items()}
    value[name] = [*value.get(name, []), entry]
    text = paths.params.read_text(encoding="utf-8")
    if f"  {SETTING.partition('.')[2]}:" not in text:
        text = text.replace(_LINE, f"{_LINE}  forgotten: {{}}\n", 1)
    clear_scratch(paths.root, paths.params.name)
    write_text(paths.params, set_values(text, {SETTING: (value, _COMMENT)}))


def _clear_logs(paths: Paths, predictions: Path, selection: Selection, say: Say) -> int:
    total = 0
    copies = ((path, clear_file(path, selection)) for path in _list_copies(paths, predictions))
    for path, count in chain(clear_logs(predictions, selection), copies):
        if count:
            say(f"forget: {_count(count, 'line')} removed from {_relative(path, paths)}")
        total += count
    return total


def _list_copies(paths: Paths, predictions: Path) -> Iterator[Path]:
    """Files of the prediction log elsewhere in the project, such as those of other hosts."""
    own = predictions.resolve()
    for suffix in (JSON_LINES, PARQUET):
        for path in _walk(paths.root, f"*{suffix}", _TOOLS):
            if own not in path.resolve().parents and is_log_file(path):
                yield path


def _clear_scores(paths: Paths, selection: Selection, say: Say) -> int:
    """Scores that lie in the project, and the parts that an interrupted scoring left."""
    total = 0
    for folder in _walk(paths.root, "*.parts"):
        if (folder / "work.json").exists() and any(
            holds_rows(part, selection) for part in folder.iterdir()
        ):
            shutil.rmtree(folder)
            say(f"forget: deleted {_relative(folder, paths)}, parts of an interrupted scoring")
            total += 1
    for path in _walk(paths.root, "*.parquet"):
        if _is_score(path):
            clear_scratch(path.parent, path.name)
            write = rewrite_rows if is_own(path) else write_rows
            count = remove_rows(path, selection, keep_empty=True, write=write)
            total += _tell(count, path, paths, say)
    return total


def _walk(root: Path, pattern: str, hidden: Set[str] = _HIDDEN) -> Iterator[Path]:
    """Files of the project that no tool keeps for itself."""
    for path in sorted(root.rglob(pattern)):
        if not hidden & set(path.relative_to(root).parts[:-1]):
            yield path


def _is_score(path: Path) -> bool:
    """True if batch scoring wrote the file: scores, or quarantined rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        schema = pq.read_schema(path)
    except (pa.ArrowInvalid, OSError):
        return False
    names = set(schema.names)
    if is_log_file(path):
        return False
    return {"row", "prediction"} <= names or {"row", "reason"} <= names


def _delete_objects(objects: list[Path], paths: Paths, say: Say) -> int:
    for path in objects:
        path.unlink(missing_ok=True)
        say(f"forget: deleted {_relative(path, paths)}, a version of the data with such rows")
    return len(objects)


def _clear_tables(paths: Paths, selection: Selection, say: Say) -> int:
    total = 0
    for folder in _folders(paths):
        if folder.is_dir():
            clear_scratch(folder)
    clear_scratch(paths.var, "written.json")
    # Other verbs then know that the tables were rewritten by one of theirs.
    with recording(paths, list(_folders(paths))):
        for path in _tables(paths):
            keep = path.parent == paths.splits
            count = remove_rows(path, selection, keep_empty=keep)
            total += _tell(count, path, paths, say)
    return total


def _tell(count: int, path: Path, paths: Paths, say: Say) -> int:
    if count:
        say(f"forget: {_count(count, 'row')} removed from {_relative(path, paths)}")
    return count


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' if number != 1 else ''}"


def _relative(path: Path, paths: Paths) -> str:
    return str(path.relative_to(paths.root)) if paths.root in path.parents else str(path)
