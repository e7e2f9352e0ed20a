"""Table of an adoption's decisions, and the questions that are left to a person."""

from collections.abc import Iterable, Mapping, Sequence

from mlchassis.adoption.columns.plan import ColumnPlan
from mlchassis.adoption.defaults import Setting
from mlchassis.adoption.formats.detect_source import OpenedSource
from mlchassis.adoption.formats.encodings import FileEncoding
from mlchassis.adoption.inference.models import InferredFormat
from mlchassis.adoption.options import AdoptionOptions
from mlchassis.config.source_params import OwnParams
from mlchassis.contract.model import Contract

_HEADER = ("column", "type", "used as", "example", "missing")
_WIDTHS = (28, 44, 18, 44, 44)
_MAX_ROWS = 60
_MANY_DUPLICATES = 0.03
"""Proportion of duplicate rows from which on a person should check them."""
_MAX_SHOWN = 3
_DELIMITER_NAMES = {"\t": "tab", " ": "space"}


def describe_decisions(
    source: OwnParams,
    encoding: FileEncoding | None,
    inferred: Mapping[str, InferredFormat],
    plans: Sequence[ColumnPlan],
    contract: Contract,
    split: str,
) -> tuple[str, ...]:
    """Return the lines of the table, below those for all columns.

    Args:
        source: Settings of the source.
        encoding: Of its CSV files, with words that show it.
        inferred: Inferred format by column.
        plans: Plan by column.
        contract: The drafted contract.
        split: Split of the rows, with the reason.
    """
    rows = [_describe_column(column, inferred[column.facts.name]) for column in plans]
    shown, rest = rows, ""
    if len(rows) > _MAX_ROWS:
        shown = _pick_rows(rows)
        rest = f"... and {len(rows) - len(shown)} more columns, all in contract.yaml"
    lines = [
        *_describe_files(source, encoding),
        f"  split: {split}",
        f"  target: {_describe_target(contract)}",
        *_align([_HEADER, *shown]),
    ]
    return (*lines, f"  {rest}") if rest else tuple(lines)


def _describe_files(source: OwnParams, encoding: FileEncoding | None) -> list[str]:
    if encoding is None or source.kind == "sql":
        return []
    words = ", ".join(f"'{word:.40}'" for word in encoding.words[:_MAX_SHOWN])
    shown = f" (reads {words})" if words else ""
    name = "utf-8" if encoding.name == "utf-8-sig" else encoding.name
    delimiter = _DELIMITER_NAMES.get(source.delimiter, f"'{source.delimiter}'")
    lines = [f"  encoding: {name}{shown}", f"  delimiter: {delimiter}"]
    if source.escape:
        lines.append(f"  quotes within cells: written with '{source.escape}' before them")
    if source.missing:
        lines.append(f"  missing in every column: {', '.join(map(repr, source.missing))}")
    return lines


def _describe_target(contract: Contract) -> str:
    name = contract.target.name
    if contract.task != "binary":
        return f"'{name}', {contract.task}"
    if contract.target.kind == "boolean":
        return f"'{name}', binary; the positive class is true"
    other, positive = contract.classes
    return f"'{name}', binary; the positive class is '{positive}' (--positive '{other}' swaps them)"


def _describe_column(column: ColumnPlan, inferred: InferredFormat) -> tuple[str, ...]:
    kind = "empty" if inferred.kind is None else column.kind
    return (
        column.facts.name,
        f"{kind}{_describe_format(inferred)}",
        ", ".join(column.tags) or "left out",
        "(not shown)" if column.has("pii") else _describe_example(inferred),
        _describe_missing(inferred),
    )


def _describe_format(inferred: InferredFormat) -> str:
    form = inferred.form
    if inferred.kind == "timestamp":
        return f" {', '.join(form.dates) or 'ISO8601'}"
    marks = [f"decimal {form.decimal}"] if form.decimal != "." else []
    marks += [f"thousands {form.thousands}"] if form.thousands else []
    marks += [" ".join(form.affixes)] if form.affixes else []
    return f" ({'; '.join(marks)})" if marks else ""


def _describe_example(inferred: InferredFormat) -> str:
    before, after = inferred.example
    return before if before == after else f"{before} → {after}"


def _describe_missing(inferred: InferredFormat) -> str:
    counts = {word: rows for word, rows in inferred.missing.items() if rows}
    if not counts:
        return "none"
    words = sorted(counts, key=lambda word: (-counts[word], word))
    listed = [f"{_name_word(word)} {counts[word]:,}" for word in words[:_MAX_SHOWN]]
    more = f", {len(words) - _MAX_SHOWN} more words" if len(words) > _MAX_SHOWN else ""
    return ", ".join(listed) + more


def _name_word(word: str) -> str:
    return f"'{word}'" if word else "empty"


def _pick_rows(rows: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Pick the columns of a wide table that are not plain, then the first others."""
    odd = [row for row in rows if row[2] != "feature" or "→" in row[3] or "'" in row[4]]
    picked = odd[:_MAX_ROWS]
    plain = [row for row in rows if row not in picked]
    picked += plain[: _MAX_ROWS - len(picked)]
    return [row for row in rows if row in picked]


def _align(rows: Iterable[tuple[str, ...]]) -> list[str]:
    cut = [
        tuple(_cut(cell, width) for cell, width in zip(row, _WIDTHS, strict=True)) for row in rows
    ]
    widths = [max(len(row[position]) for row in cut) for position in range(len(_HEADER))]
    return [
        "  " + "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip()
        for row in cut
    ]


def _cut(cell: str, width: int) -> str:
    one_line = " ".join(cell.split())
    return one_line if len(one_line) <= width else f"{one_line[: width - 1]}…"


def collect_questions(plans: tuple[ColumnPlan, ...], contract: Contract) -> tuple[str, ...]:
    """List what a person should decide about columns and contract."""
    questions = [*_note_outcomes(plans), *_note_lists(contract)]
    questions += [f"'{c.facts.name}': {c.question}" for c in plans if c.question]
    questions += _group_notes(plans)
    costs = "what the two kinds of error cost, and "
    return (
        *questions,
        "contract.yaml: descriptions, units and true limits, which cannot be inferred from data",
        f"params.yaml: {costs if contract.task == 'binary' else ''}the gates' limits",
    )


def note_encoding(opened: OpenedSource, options: AdoptionOptions) -> list[str]:
    """Show words by which a person can check a guessed encoding."""
    encoding = opened.encoding
    if encoding is None or not encoding.words or options.formats.encoding is not None:
        return []
    words = ", ".join(f"'{word:.40}'" for word in encoding.words)
    note = (
        f"the file is not UTF-8; it was read as {encoding.name}, which gives {words}: if these "
        "words are wrong, run again with --encoding"
    )
    return [note]


def _note_outcomes(plans: Sequence[ColumnPlan]) -> list[str]:
    """Note on rows without an outcome."""
    (facts,) = (column.facts for column in plans if column.has("target"))
    missing = facts.rows - facts.present
    note = (
        f"'{facts.name}': {missing:,} of {facts.rows:,} rows have no outcome and are not used; if "
        "an empty cell means an outcome, such as none or 0, write that into the table"
    )
    return [note] if missing else []


def _note_lists(contract: Contract) -> list[str]:
    """Note on columns that accept only the categories seen so far."""
    names = [f"'{c.name}'" for c in contract.columns if c.values and c != contract.target]
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    note = (
        f"contract.yaml: {', '.join(names[:5])}{more}: only the listed categories are "
        "accepted; remove 'enum' where others may come"
    )
    return [note] if names else []


def note_duplicates(proportion: float) -> list[str]:
    """Note on rows that repeat an earlier one, if these are many."""
    if proportion < _MANY_DUPLICATES:
        return []
    return [
        f"rows: {proportion:.1%} repeat an earlier row; if a join duplicated them, fix the join"
    ]


def note_shifts(settings: Mapping[str, Setting], contract: Contract) -> list[str]:
    """Note on columns that change abruptly in the table as adopted."""
    shifts: Mapping[str, list[str]] = settings["validate.accepted_shifts"][0]
    notes = []
    for name, months in shifts.items():
        words = contract.column(name).kind == "string"
        cause = "its categories were renamed" if words else "its unit or meaning changed"
        when = ", ".join(months[:3])
        if name == contract.target.name:
            notes.append(
                f"'{name}', the outcome, changes abruptly in {when} (see its chart in "
                "reports/data.html): if what is recorded changed then, keep the rows of one side "
                "alone"
            )
            continue
        notes.append(f"'{name}' changes abruptly in {when}: if {cause} then, fix the source")
    return notes


def _group_notes(plans: tuple[ColumnPlan, ...]) -> list[str]:
    """Notes on inferred formats: one line for all columns with the same one."""
    columns_by_note: dict[str, list[str]] = {}
    for column in plans:
        if column.facts.note and column.facts.kind:
            columns_by_note.setdefault(column.facts.note, []).append(f"'{column.facts.name}'")
    return [
        f"{', '.join(names[:3])}{f' and {len(names) - 3} more' if len(names) > 3 else ''}: {note}"
        for note, names in columns_by_note.items()
    ]
