"""Rows of a body in CSV, whose cells mean what they meant in the table that training read."""

import csv
import io
import operator
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import dropwhile
from typing import Any

from mlchassis.config.source_params import TableFormat
from mlchassis.contract.cells import CellParser, keep_escaped_null, normalize_text
from mlchassis.contract.schemas import text_parser
from mlchassis.serving.loading import LoadedModel
from mlchassis.serving.problems import MALFORMED_BODY, UNSUPPORTED_MEDIA_TYPE, ProblemError
from mlchassis.serving.protocols.messages import Location, write_pointer
from mlchassis.serving.protocols.types import RawRequest, Rows, refuse, validate_rows

Lines = list[list[str]]

_NO_NAMES = (
    "The first line names no column of the contract; add a header, or send `text/csv; "
    "header=absent` with the fields in the contract's order."
)
_BLANK_LINE = (
    'A line is blank, which in a table of one column may be a missing value or no row; write "" '
    "for a missing value, or delete the line."
)
_OTHER_WIDTH = (
    "Without a header, a line has a field for each feature of the contract in its order, or for "
    "the key and the event time as well."
)


@dataclass(frozen=True, slots=True)
class _Table:
    """Names of the columns, and the fields of each row."""

    names: list[str]
    data: Lines


def read_csv(model: LoadedModel, raw: RawRequest) -> Rows:
    """Read a table in the format of the training data.

    The first line names the columns, unless the media type's parameter `header` says `absent`:
    the fields are then in the contract's order. Columns may be parted by commas whatever the
    format's delimiter is, since that is what CSV means to most clients.

    Raises:
        ProblemError: It is not a table, or its rows do not keep the contract.
    """
    try:
        text = raw.body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ProblemError(MALFORMED_BODY, "This is not a table: it is not in UTF-8.") from None
    formats = model.scorer.bundle.metadata.formats
    table = _split_table(model, text, formats, raw.parameters.get("header"))
    names = table.names
    data = _drop_blank_lines(table)
    if len(set(names)) < len(names) or any(len(line) != len(names) for line in data):
        raise refuse("", "Each column must have a name of its own, and each line a field for each.")
    parsers = {c.name: text_parser(c, formats) for c in model.contract.request_columns}
    rows = [
        {
            name: _read_cell(parsers.get(name), field, ("rows", position, name))
            for name, field in zip(names, line, strict=True)
        }
        for position, line in enumerate(data)
    ]
    return validate_rows(model, rows, lambda location: ("rows", *location[1:]))


def _drop_blank_lines(table: _Table) -> Lines:
    """Rows without the blank lines between them.

    Raises:
        ProblemError: A blank line may be a missing value, since there is one column.
    """
    rows = [line for line in table.data if line]
    if len(table.names) == 1 and len(rows) < len(table.data):
        raise refuse("", _BLANK_LINE)
    return rows


def _split_table(model: LoadedModel, text: str, formats: TableFormat, header: str | None) -> _Table:
    """Separate the column names from the rows.

    Args:
        model: Request model with the expected columns.
        text: The body.
        formats: Of the model's table.
        header: The media type's parameter: present, absent, or None, which means present.
    """
    wanted = (header or "present").lower()
    if wanted not in ("present", "absent"):
        raise ProblemError(
            UNSUPPORTED_MEDIA_TYPE, "The parameter header of text/csv is present or absent."
        )
    tables = [
        _name_columns(model, lines, formats) if wanted == "present" else _order(model, lines)
        for lines in _split_lines(text, dict.fromkeys([formats.delimiter, ","]), formats.escape)
    ]
    known = {column.name for column in model.contract.request_columns}
    best = max(tables, key=lambda table: len(known & set(table.names)))
    if not known & set(best.names):
        raise refuse("", _NO_NAMES if wanted == "present" else _OTHER_WIDTH)
    return best


def _split_lines(text: str, delimiters: Iterable[str], escape: str | None) -> list[Lines]:
    """The fields of each line from the first that is not blank, by each delimiter that fits."""
    tables = []
    reason = "it is empty"
    for delimiter in delimiters:
        reader = csv.reader(
            keep_escaped_null(io.StringIO(text, newline=""), delimiter, escape),
            delimiter=delimiter,
            escapechar=escape,
            skipinitialspace=delimiter != " ",
            strict=True,
        )
        try:
            lines = list(dropwhile(operator.not_, reader))
        except csv.Error as error:
            reason = _explain(error)
            continue
        if lines:
            tables.append(lines)
    if not tables:
        raise ProblemError(MALFORMED_BODY, f"This is not a table: {reason}.")
    return tables


def _explain(error: csv.Error) -> str:
    if "field limit" in str(error):
        return f"a field has more than {csv.field_size_limit()} characters"
    return "it is misquoted"


def _name_columns(_model: LoadedModel, lines: Lines, formats: TableFormat) -> _Table:
    names = map(normalize_text, lines[0])
    return _Table([formats.rename.get(name, name) for name in names], lines[1:])


def _order(model: LoadedModel, lines: Lines) -> _Table:
    """A table without a header; the key and the event time may be left out of it."""
    contract = model.contract
    width = len(lines[0])
    columns = contract.features if width == len(contract.features) else contract.request_columns
    ordered = [column.name for column in contract.columns if column in columns]
    return _Table(ordered if width == len(ordered) else [], lines)


def _read_cell(parser: CellParser | None, text: str, place: Location) -> Any:
    """A cell's value as in the model's table; text where the contract has no such column."""
    if parser is None:
        return text
    try:
        return parser.parse(text)
    except ValueError as error:
        raise refuse(write_pointer(place), f"This cell {error}.") from None
