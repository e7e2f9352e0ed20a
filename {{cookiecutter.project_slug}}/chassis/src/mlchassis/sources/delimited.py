"""CSV files as text: every cell a string, every row as wide as the header.

Regular files go through Arrow's parser. Python's own, which knows line numbers, reads the others
and phrases every error. Both give the same cells; a test compares them.
"""

import bz2
import codecs
import csv
import gzip
import lzma
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import TextIOWrapper
from itertools import islice
from pathlib import Path
from statistics import mode
from typing import IO, Any, Literal, cast

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from mlchassis.config.source_params import TableFormat
from mlchassis.contract.cells import keep_escaped_null, normalize_text
from mlchassis.errors import ProjectError

CHUNK_ROWS = 100_000
_OPENERS: Mapping[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
PACKED_SUFFIXES = tuple(_OPENERS)
_BLOCK = 1 << 20
_LONGEST_CELL = 1 << 30
"""Characters; Python's own limit is 128 KiB."""
_SURPLUS = "\0surplus"
"""Name of a column beyond the header, which is dropped. No header can hold it."""
_SEVERAL_BYTES = ("utf-16", "utf-32", "utf-7", "iso2022", "hz")
"""Encodings in which a byte that looks like a quote may be none."""
_DASHES = re.compile(r"\s*-{2,}\s*")
_NAMED_DELIMITER = re.compile(r'"?sep=(.)"? *\r?\n')


@dataclass(frozen=True, slots=True)
class Layout:
    """Shape of a CSV file.

    Attributes:
        names: The header.
        lines: Lines up to the end of the header.
        surplus: Position of the extra cell in rows that are one cell longer than the header:
            `first`, an index, or `last`, which is always empty.
    """

    names: tuple[str, ...]
    lines: int
    surplus: Literal["first", "last"] | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """A name for each cell of a row."""
        first = (_SURPLUS,) if self.surplus == "first" else ()
        last = (_SURPLUS,) if self.surplus == "last" else ()
        return (*first, *self.names, *last)


def read_csv(path: Path, form: TableFormat, rows: int = CHUNK_ROWS) -> Iterator[pa.Table]:
    """Chunks of a CSV file in its order, with every cell as a string.

    Args:
        path: The file, packed or not.
        form: Format of the table; `rename` and `columns` are not applied here.
        rows: Most rows of a chunk.

    Raises:
        ProjectError: A row is wider or narrower than the header, a quote is not closed, or the
            file is not in its encoding; the sentence names the line.
    """
    layout = read_layout(path, form)
    line = find_escaped_quote(path, form)
    if line is not None:
        raise ProjectError(
            f"{name_file(path)}: line {line} has a backslash before a quote within a quoted "
            "cell; set "
            "source.escape in params.yaml to the backslash, or double the quotes in the file."
        )
    done = 0
    for table in _read_either_way(path, form, layout, rows):
        _check_rows(path, table, done)
        yield table
        done += table.num_rows
    if not done:
        yield pa.table({name: pa.array([], pa.string()) for name in layout.names})


def _check_rows(path: Path, table: pa.Table, done: int) -> None:
    """Refuse lines that tools write between rows: dashes below the header, the header again.

    Raises:
        ProjectError: There is one, which would count as a row.
    """
    names = table.column_names
    if len(names) == 1:
        return
    if not done and all(_DASHES.fullmatch(column[0].as_py()) for column in table.columns):
        raise ProjectError(
            f"{name_file(path)}: row 1 is a line of dashes, which would count as a row; delete it."
        )
    longest = max(names, key=len)
    alike = pc.equal(pc.utf8_trim_whitespace(table[longest]), longest)
    for position in pc.indices_nonzero(alike).to_pylist():
        if all(normalize_text(table[name][position].as_py()) == name for name in names):
            raise ProjectError(
                f"{name_file(path)}: row {done + position + 1} is the header again, which would "
                "count as a row; delete it."
            )


def _read_either_way(
    path: Path, form: TableFormat, layout: Layout, rows: int
) -> Iterator[pa.Table]:
    done = 0
    if len(layout.columns) > 1 and _is_regular(path, form):
        try:
            for table in _read_fast(path, form, layout, rows):
                yield table
                done += table.num_rows
        except (pa.ArrowInvalid, UnicodeError):
            pass  # The other parser knows the line.
        else:
            return
    yield from _read_exactly(path, form, layout, rows, done)


def read_layout(path: Path, form: TableFormat) -> Layout:
    """The header of a CSV file, and whether its rows have one cell more.

    Raises:
        ProjectError: There is no header, it has a name twice, or the rows do not match it.
    """
    reader = _Rows(path, form)
    header = next(iter(reader), None)
    if header is None:
        raise ProjectError(
            f"{name_file(path)} is empty; export the table again with its header, or delete it."
        )
    names = tuple(normalize_text(name) for name in header)
    layout = Layout(names, reader.line)
    row = next(iter(reader), None)
    if row is not None and len(row) == len(names) + 1:
        layout = Layout(names, layout.lines, _find_surplus(path, form, layout))
    check_names(names, path)
    return layout


def _find_surplus(path: Path, form: TableFormat, layout: Layout) -> Literal["first", "last"] | None:
    """Return the position of the extra cell in rows that are one cell longer than the header."""
    width = len(layout.names) + 1
    index = set[str]()
    count = 0
    indented = 0
    closed = 0
    for row in _Rows(path, form, skip=layout.lines, keep_blanks=True):
        if len(row) != width:
            return None
        count += 1
        index.add(row[0])
        indented += row[1].startswith(" ")
        closed += not row[-1].strip()
    if closed == count:
        return "last"
    # "Smith, J" without quotes has one cell more too; an index has no value twice.
    return "first" if len(index) == count and not indented else None


class _Rows:
    """Rows of a CSV file by Python's parser; blank lines are left out.

    In a table of one column a blank line is refused: it may be a missing value.

    Attributes:
        line: Line on which the last row ended.
        skipped: Lines before the first row.
    """

    def __init__(
        self,
        path: Path,
        form: TableFormat,
        skip: int = 0,
        *,
        keep_blanks: bool = False,
        one_column: bool = False,
    ) -> None:
        self.path = path
        self.form = form
        self.line = 0
        self._one_column = one_column
        # Blanks between delimiter and quote are not part of a cell.
        self._skip_blanks = not keep_blanks and form.delimiter != " "
        self.skipped = skip
        self._ended = False
        self._rows = self._read()

    def __iter__(self) -> Iterator[list[str]]:
        return self._rows

    def _read(self) -> Iterator[list[str]]:
        csv.field_size_limit(_LONGEST_CELL)
        reader = csv.reader(
            self.lines(),
            delimiter=self.form.delimiter,
            escapechar=self.form.escape,
            skipinitialspace=self._skip_blanks,
        )
        start = 0
        for row in reader:
            start = self.line + 1
            self.line = self.skipped + reader.line_num
            if self._ended:
                raise ProjectError(
                    f"{name_file(self.path)}: the quote that opens in or after line {start} "
                    "is never closed; close or delete it."
                )
            if self._is_row(row):
                yield row

    def _is_row(self, row: list[str]) -> bool:
        if self._one_column and not row:
            raise ProjectError(
                f"{name_file(self.path)}: line {self.line} is blank, which in a table of one "
                'column may be a missing value or no row; write "" for a missing value, or delete '
                "the line."
            )
        return self._one_column or len(row) > 1 or any(cell.strip() for cell in row)

    def lines(self) -> Iterator[str]:
        """The lines from the header on, or after those that are skipped."""
        try:
            with open_packed(self.path) as stream:
                text = TextIOWrapper(stream, _codec(self.form), newline="")
                lines = keep_escaped_null(text, self.form.delimiter, self.form.escape)
                yield from islice(lines, self.skipped or self._named_delimiter(), None)
        except UnicodeError:
            raise _wrong_encoding(self.path, self.form.encoding) from None
        self._ended = True

    def _named_delimiter(self) -> int:
        """Number of lines before the header that name the delimiter for Excel."""
        self.skipped = int(read_sep(self.path, self.form.encoding) is not None)
        return self.skipped


def find_escaped_quote(path: Path, form: TableFormat) -> int | None:
    r"""The first line where a cell such as "5\" disk" goes on after a quote; None if there is none.

    Without an escape declared, the quote would end the cell.
    """
    if form.escape is not None or not _holds(path, b'\\"'):
        return None
    source = _Rows(path, form)
    recent: list[str] = []
    goes_on = re.compile(rf'\\"(?!["\r\n{re.escape(form.delimiter)}]|$)')
    reader = csv.reader(_remember(source.lines(), recent), delimiter=form.delimiter, strict=True)
    while True:
        try:
            next(reader)
        except StopIteration:
            return None
        except csv.Error:
            # Other text after a quote, such as blanks, is not an escaped quote.
            if goes_on.search("".join(recent)):
                return source.skipped + reader.line_num
        recent.clear()


def _holds(path: Path, part: bytes) -> bool:
    last = b""
    with open_packed(path) as stream:
        while block := stream.read(_BLOCK):
            if part in last + block:
                return True
            last = block[-len(part) + 1 :]
    return False


def _remember(lines: Iterator[str], recent: list[str]) -> Iterator[str]:
    for line in lines:
        recent.append(line)
        yield line


def _codec(form: TableFormat) -> str:
    """Python's name of the encoding; UTF-8 may begin with a byte order mark."""
    name = codecs.lookup(form.encoding).name
    return "utf-8-sig" if name == "utf-8" else name


def _wrong_encoding(path: Path, encoding: str) -> ProjectError:
    line = _find_undecodable(path, encoding)
    return ProjectError(
        f"{name_file(path)} is not in {encoding.removesuffix('-sig')}: line {line} holds "
        "bytes that this "
        "encoding does not have; name the file's encoding as source.encoding in params.yaml, or "
        "save the file as UTF-8."
    )


def _find_undecodable(path: Path, encoding: str) -> int:
    """The first line that is not in an encoding."""
    decoder = codecs.getincrementaldecoder(encoding)()
    line = 1
    with open_packed(path) as stream:
        while block := stream.read(_BLOCK):
            try:
                line += decoder.decode(block).count("\n")
            except UnicodeDecodeError as error:
                return line + error.object[: error.start].decode(encoding, "ignore").count("\n")
    return line


def _read_exactly(
    path: Path, form: TableFormat, layout: Layout, rows: int, done: int
) -> Iterator[pa.Table]:
    """Chunks by Python's parser, without the first `done` rows."""
    source = _Rows(path, form, skip=layout.lines, one_column=len(layout.columns) == 1)
    checked = islice(_check_widths(source, layout), done, None)
    while chunk := list(islice(checked, rows)):
        columns = [pa.array(cells, pa.string()) for cells in zip(*chunk, strict=True)]
        yield _drop_surplus(pa.Table.from_arrays(columns, names=list(layout.columns)))


def _check_widths(source: _Rows, layout: Layout) -> Iterator[list[str]]:
    width = len(layout.columns)
    for row in source:
        if len(row) != width:
            names = len(layout.names)
            raise ProjectError(
                f"{name_file(source.path)}: line {source.line} has {len(row)} "
                f"cell{'s' * (len(row) != 1)}, but the header names {names} columns; put cells "
                f"that hold a '{source.form.delimiter}' into quotes, or correct the line."
            )
        yield row


def _drop_surplus(table: pa.Table) -> pa.Table:
    return table.drop_columns([_SURPLUS]) if _SURPLUS in table.column_names else table


def _is_regular(path: Path, form: TableFormat) -> bool:
    """True if Arrow's parser reads the file as Python's does."""
    if form.escape is not None or not form.delimiter.isascii():
        return False
    if _codec(form).startswith(_SEVERAL_BYTES):
        return False
    quotes = 0
    last = b""
    with open_packed(path) as stream:
        while block := stream.read(_BLOCK):
            # Arrow takes a quote after a blank for a part of the cell.
            if b' "' in last + block:
                return False
            quotes += block.count(b'"')
            last = block[-1:]
    return quotes % 2 == 0  # An odd number means that one is not closed, mostly.


def _read_fast(path: Path, form: TableFormat, layout: Layout, rows: int) -> Iterator[pa.Table]:
    """Chunks by Arrow's parser."""
    names = list(layout.columns)
    options: dict[str, Any] = {
        "read_options": pa.csv.ReadOptions(
            encoding="utf8" if _codec(form) == "utf-8-sig" else form.encoding,
            column_names=names,
            skip_rows=layout.lines,
            block_size=4 * _BLOCK,
            use_threads=False,
        ),
        "parse_options": pa.csv.ParseOptions(delimiter=form.delimiter, newlines_in_values=True),
        "convert_options": pa.csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
        ),
    }
    with open_packed(path) as stream:
        for table in _in_chunks(_batches(stream, options), rows):
            yield _drop_surplus(table)


def _batches(stream: IO[bytes], options: Mapping[str, Any]) -> Iterator[pa.RecordBatch]:
    try:
        reader = pa.csv.open_csv(stream, **options)
    except pa.ArrowInvalid as error:
        if "Empty CSV" in str(error):
            return
        raise
    last = None
    with reader:
        for batch in reader:
            if last is not None:
                yield last
            last = batch
    if last is not None and last.num_rows:
        # A quote that is not closed swallows the rest of the file into the last cell.
        if re.search(r"[\r\n]", str(last.columns[-1][-1])):
            raise pa.ArrowInvalid("the last cell holds lines")
        yield last


def _in_chunks(batches: Iterator[pa.RecordBatch], rows: int) -> Iterator[pa.Table]:
    held: list[pa.RecordBatch] = []
    for batch in batches:
        held.append(batch)
        while sum(part.num_rows for part in held) >= rows:
            table = pa.Table.from_batches(held)
            yield table.slice(0, rows)
            held = table.slice(rows).to_batches()
    if any(part.num_rows for part in held):
        yield pa.Table.from_batches(held)


def read_sep(path: Path, encoding: str) -> str | None:
    """The delimiter that a line before the header names for Excel, such as `sep=;`; else None."""
    with open_packed(path) as stream:
        match = _NAMED_DELIMITER.match(stream.read(64).decode(encoding, errors="replace"))
    return match and match[1]


def open_packed(path: Path) -> IO[bytes]:
    """The bytes of a file, unpacked where its name says that it is packed."""
    opened: Any = _OPENERS.get(path.suffix.lower(), Path.open)(path, mode="rb")
    return cast("IO[bytes]", opened)


def name_file(path: Path) -> str:
    """Name of a file in a sentence, with the folders that name its partition."""
    folders: list[str] = []
    for folder in path.parents:
        if "=" not in folder.name:
            break
        folders.insert(0, folder.name)
    return "/".join([*folders, path.name])


def check_names(names: Sequence[str], path: Path) -> None:
    """Reject a table with a duplicate column name.

    Raises:
        ProjectError: Two columns have one name.
    """
    for name, count in Counter(names).items():
        if count > 1:
            raise ProjectError(
                f"{name_file(path)} has {count} columns named '{name}'; rename all but one, "
                "since the name is ambiguous."
            )


def check_beginning(path: Path, lines: Sequence[str], delimiters: str) -> None:
    """Reject a CSV file that has a title or notes above its header.

    Args:
        path: The file.
        lines: Its first ones.
        delimiters: Delimiters to try.

    Raises:
        ProjectError: Its first line names fewer columns than the lines below have.
    """
    headers = []
    for delimiter in delimiters:
        reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True)
        rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if row]
        width = mode(len(row) for _, row in rows) if rows else 0
        usual = [(number, row) for number, row in rows if len(row) == width]
        first = rows[0][1] if rows else []
        # One name less is not a title: tools write an index without any, or a delimiter at the end.
        short = len(first) == 1 < width or sum(map(bool, first)) < width - 1
        if short and 2 * len(usual) >= len(rows):
            start = next((one for one in usual if all(one[1])), usual[0])
            headers.append((width, rows[0][0], *start))
    if headers:
        width, top, number, header = max(headers)
        title = lines[top - 1]
        shown = "', '".join(header[:3])
        raise ProjectError(
            f"{name_file(path)} does not begin with its header: line {top} is '{title:.60}', "
            "and line "
            f"{number} has {width} cells ('{shown}'{', …' if width > 3 else ''}); delete what "
            f"stands above the header, or name all {width} columns in line {top}."
        )
