"""Columns of the contract's kinds from columns as a source writes them.

Text is read by `cells`, each different word once; whatever Arrow reads to the same value goes
through it, since it is faster. Typed columns must be of the contract's kind already.
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, cast

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mlchassis.config.source_params import ColumnFormat, TableFormat
from mlchassis.contract.cells import MISSING_STRINGS, Cell, CellParser, normalize_text, time_pattern
from mlchassis.contract.checks import name_kind
from mlchassis.contract.model import Column, Contract, Kind
from mlchassis.contract.schemas import PANDAS_TYPES
from mlchassis.errors import ProjectError
from mlchassis.printable import PERSONAL, show_value

MISSING_COUNTS = "missing_counts"
"""Attribute of a frame: by column, how many cells hold each string that counts as missing."""
INVALID_CELLS = "invalid_cells"
"""Attribute of a frame: by lenient column, the cells that cannot be read; they are missing."""
FILE = "file"
"""Attribute of a frame: name of its file."""
_PLAIN_INTEGER = r"^-?[0-9]{1,18}$"
_PLAIN_NUMBER = r"^-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,2})?$"
# Years near the first and the last one may leave the calendar in UTC; `cells` refuses those.
_PLAIN_TIME = r"^[1-8][0-9]{3}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?"
_PRINTABLE = r"^[ -~\p{L}\p{Sc}]*$"
"""Text that `normalize_text` changes at most at its ends, as far as times are concerned."""
_ZONE = r"(Z|[+-][0-9]{2}:[0-9]{2})$"
Mask = NDArray[np.bool_]


def parse_columns(
    rows: pd.DataFrame, form: TableFormat, contract: Contract, lenient: Collection[str] = ()
) -> pd.DataFrame:
    """Every row with the contract's columns in the contract's kinds.

    Args:
        rows: Columns as the source writes them; they are taken out.
        form: Format of the text.
        contract: Contract of the resulting columns.
        lenient: Columns whose invalid cells are missing, and listed in the attribute INVALID_CELLS.

    Raises:
        ProjectError: A value of another column cannot be read as its kind.
    """
    columns: dict[str, pd.Series[Any]] = {}
    missing: dict[str, dict[str, int]] = {}
    invalid_cells: dict[str, list[Any]] = {}
    place = f" of {rows.attrs[FILE]}" if FILE in rows.attrs else ""
    for column in contract.columns:
        # A column that is not there is the caller's to refuse, as of every source.
        if column.name in rows:
            plain = form.column(column.name)
            written = rows.pop(column.name)
            parsed, invalid = parse_column(written, column.kind, plain)
            if column.name in lenient:
                invalid_cells[column.name] = written[invalid].to_list()
            else:
                _refuse_invalid(written, invalid, column, place)
            columns[column.name] = parsed
            if counts := count_missing_markers(written, parsed, invalid):
                missing[column.name] = counts
    parsed_rows = pd.DataFrame(columns)
    parsed_rows.attrs[MISSING_COUNTS] = missing
    parsed_rows.attrs[INVALID_CELLS] = invalid_cells
    return parsed_rows


def _refuse_invalid(written: "pd.Series[Any]", invalid: Mask, column: Column, place: str) -> None:
    if not invalid.any():
        return
    position = int(invalid.argmax())
    cell = written.iloc[position]
    where = f"in row {position + 1}{place}"
    if isinstance(cell, str):
        way_out = "or add the word to source.columns in params.yaml as 'missing'"
    else:
        way_out = "or change the column's logicalType in contract.yaml"
    shown = PERSONAL if "pii" in column.roles else _describe(cell)
    raise ProjectError(
        f"The source's column '{written.name}' holds {shown} {where} ({invalid.sum()} "
        f"such rows), which is not {name_kind(column.kind)} as the contract says; correct the "
        f"source, {way_out}."
    )


def _describe(cell: Any) -> str:
    if isinstance(cell, str):
        return show_value(cell)
    if isinstance(cell, pd.Timestamp):
        return f"the time {cell}"
    return f"the {'boolean' if isinstance(cell, bool | np.bool_) else 'number'} {cell}"


def parse_column(
    values: "pd.Series[Any]", kind: Kind, form: ColumnFormat
) -> tuple["pd.Series[Any]", Mask]:
    """Parse a column as a kind; return its cells, and a mask of the invalid ones.

    An invalid cell is missing in the result. Times without a zone are taken as UTC.

    Args:
        values: Text, or a column that has a type already.
        kind: The contract's kind.
        form: Format of the text.
    """
    if is_text(values):
        return _parse_text(values, kind, form)
    if form.text or (kind == "timestamp" and form.dates and not _is_time(values)):
        return _parse_text(write_as_text(values), kind, form)
    return _check_typed(values, kind)


def is_text(values: "pd.Series[Any]") -> bool:
    """Return True if a column holds strings, or objects that are read as strings."""
    kind = values.dtype
    return bool(pd.api.types.is_object_dtype(kind) or pd.api.types.is_string_dtype(kind)) or (
        isinstance(kind, pd.CategoricalDtype)
    )


def _is_time(values: "pd.Series[Any]") -> bool:
    return bool(pd.api.types.is_datetime64_any_dtype(values))


def write_as_text(values: "pd.Series[Any]") -> "pd.Series[Any]":
    """Typed values as text that means the same: 1, 2.5, true, 2024-01-31T00:00:00+00:00."""
    written = [None if cell is pd.NA or cell is pd.NaT else _write(cell) for cell in values]
    return pd.Series(written, index=values.index, name=values.name, dtype="str")


def _write(cell: Any) -> str:
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return cell.isoformat() if isinstance(cell, pd.Timestamp) else str(cell)


def _parse_text(
    values: "pd.Series[Any]", kind: Kind, form: ColumnFormat
) -> tuple["pd.Series[Any]", Mask]:
    # Each distinct string is parsed once: a million rows mostly hold far fewer.
    codes, distinct = pd.factorize(values.astype("str"))
    cells, invalid = _parse_strings(pa.array(distinct, pa.string()), kind, form)
    # A missing cell has the code -1, which takes what stands last.
    nothing = pd.Series([None], dtype=cells.dtype)
    cells = pd.concat([cells, nothing], ignore_index=True)
    parsed = pd.Series(cells.array.take(codes), index=values.index, name=values.name)
    return parsed, np.append(invalid, False)[codes]


def _parse_strings(
    strings: pa.Array, kind: Kind, form: ColumnFormat
) -> tuple["pd.Series[Any]", Mask]:
    """Parse distinct strings as a kind; return the cells, and a mask of the invalid ones."""
    cells: pd.Series[Any] = pd.Series([None] * len(strings), dtype=_type_of(kind))
    invalid = np.zeros(len(strings), dtype=bool)
    rest = np.ones(len(strings), dtype=bool)
    for pattern, read in _choose_fast_parsers(kind, form):
        plain = rest & _match(strings, pattern, form)
        parsed = read(strings.filter(pa.array(plain))) if plain.any() else None
        if parsed is not None:
            cells[plain] = parsed
            rest &= ~plain
    if kind == "timestamp":
        invalid = rest & _is_invalid_time(strings, form)
        rest &= ~invalid
    parser = CellParser(kind, form)
    parsed_strings = [
        _parse_string(parser, string) for string in strings.filter(pa.array(rest)).to_pylist()
    ]
    invalid[rest] = [cell is _INVALID for cell in parsed_strings]
    values = [None if cell is _INVALID else cell for cell in parsed_strings]
    cells[rest] = pd.Series(values, dtype=_type_of(kind)).array
    return cells, invalid


_INVALID: Any = object()


def _parse_string(parser: CellParser, string: str) -> Cell | None:
    try:
        return parser.parse(string)
    except ValueError:
        return cast("None", _INVALID)


def _type_of(kind: Kind) -> Any:
    return PANDAS_TYPES[kind]


_Reader = Callable[[pa.Array], Any]


def _choose_fast_parsers(kind: Kind, form: ColumnFormat) -> list[tuple[str, _Reader]]:
    """Return patterns of text that Arrow parses to the same value as `cells`, with the parser."""
    if kind == "number" and form.is_plain_number:
        return [(_PLAIN_NUMBER, partial(_read_plain, to=pa.float64()))]
    if kind == "integer" and form.is_plain_number:
        return [(_PLAIN_INTEGER, partial(_read_plain, to=pa.int64()))]
    if kind == "timestamp" and form.dates in ((), ("ISO8601",)):
        return [
            (f"{_PLAIN_TIME}$", partial(_read_plain, to=pa.timestamp("us"))),
            (f"{_PLAIN_TIME}{_ZONE}", partial(_read_plain, to=pa.timestamp("us", "UTC"))),
        ]
    return []


def _match(strings: pa.Array, pattern: str, form: ColumnFormat) -> Mask:
    """Words of a pattern that are not declared as missing."""
    plain = pc.match_substring_regex(strings, pattern)
    declared = pa.array([normalize_text(string) for string in form.missing], pa.string())
    matching: Mask = pc.and_not(plain, pc.is_in(strings, declared)).to_numpy(zero_copy_only=False)
    return matching


def _is_invalid_time(strings: pa.Array, form: ColumnFormat) -> Mask:
    """Words that are surely invalid; most words are, while the formats of a column are searched."""
    plain = pc.match_substring_regex(strings, _PRINTABLE)
    possible = pc.match_substring_regex(strings, time_pattern(form))
    bare = pc.utf8_trim_whitespace(strings)
    declared = pa.array([normalize_text(string) for string in form.missing], pa.string())
    standard = pa.array(sorted(MISSING_STRINGS), pa.string())
    missing = pc.or_(pc.is_in(bare, declared), pc.is_in(pc.utf8_lower(bare), standard))
    invalid: Mask = pc.and_not(plain, pc.or_(possible, missing)).to_numpy(zero_copy_only=False)
    return invalid


def _read_plain(strings: pa.Array, to: pa.DataType) -> Any:
    """Words in a type; None if one of them is not of it, such as 30 February."""
    try:
        values = strings.cast(to).to_pandas()
    except pa.ArrowInvalid:
        return None
    is_naive = pa.types.is_timestamp(to) and to.tz is None
    return (values.dt.tz_localize("UTC") if is_naive else values).to_numpy()


def _check_typed(values: "pd.Series[Any]", kind: Kind) -> tuple["pd.Series[Any]", Mask]:
    """A typed column in the type of its kind; nothing becomes another kind."""
    if _is_time(values) and kind == "timestamp":
        naive = values.dt.tz is None
        times = values.dt.tz_localize("UTC") if naive else values.dt.tz_convert("UTC")
        return times.astype(_type_of(kind)), np.zeros(len(values), dtype=bool)
    if pd.api.types.is_bool_dtype(values) and kind == "boolean":
        return values.astype("boolean"), np.zeros(len(values), dtype=bool)
    if pd.api.types.is_signed_integer_dtype(values) and kind in ("integer", "number"):
        return values.astype(_type_of(kind)), np.zeros(len(values), dtype=bool)
    is_number = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    if is_number and kind in _NUMBER_RULES:
        numbers = values.to_numpy(dtype=np.float64, na_value=math.nan)
        invalid = ~np.isnan(numbers) & ~_NUMBER_RULES[kind](numbers)
        return values.mask(np.isnan(numbers) | invalid).astype(_type_of(kind)), invalid
    nothing = pd.Series(None, index=values.index, name=values.name, dtype=_type_of(kind))
    return nothing, values.notna().to_numpy(dtype=bool)


def _is_any(numbers: NDArray[np.float64]) -> Mask:
    return np.ones(len(numbers), dtype=bool)


def _is_whole(numbers: NDArray[np.float64]) -> Mask:
    # A double cannot hold the largest integer: it would be one more.
    in_range = (numbers >= -(2.0**63)) & (numbers < 2.0**63)
    whole: Mask = in_range & (np.floor(numbers) == numbers)
    return whole


def _is_flag(numbers: NDArray[np.float64]) -> Mask:
    """SQLite has no other way to write a boolean than 0 and 1."""
    return np.isin(numbers, (0, 1))


_NUMBER_RULES: Mapping[str, Callable[[NDArray[np.float64]], Mask]] = {
    "number": _is_any,
    "integer": _is_whole,
    "boolean": _is_flag,
}


def count_missing_markers(
    written: "pd.Series[Any]", parsed: "pd.Series[Any]", invalid: Mask
) -> dict[str, int]:
    """Count the cells of each missing-value marker; empty cells are not counted.

    Args:
        written: A column as its source writes it.
        parsed: The same column, as `parse_column` gives it.
        invalid: Its invalid cells.
    """
    if not is_text(written):
        return {}
    lost = written[(parsed.isna() & written.notna()).to_numpy(dtype=bool) & ~invalid]
    counts: dict[str, int] = {}
    for cell, count in lost.astype("str").value_counts().items():
        string = normalize_text(str(cell))
        if string:
            counts[string] = counts.get(string, 0) + int(count)
    return counts


def join_written(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Frames below each other; a column that has several types becomes text, which keeps all."""
    if len(frames) == 1:
        return frames[0]
    columns = {}
    for name in frames[0]:
        parts = [frame[name] for frame in frames]
        kinds = {part.dtype for part in parts if part.notna().any()}
        if len(kinds) > 1:
            parts = [part if is_text(part) else write_as_text(part) for part in parts]
        elif kinds:
            (kind,) = kinds
            parts = [_as_type(part, kind) for part in parts]
        columns[name] = pd.concat(parts, ignore_index=True)
    return pd.DataFrame(columns)


def _as_type(values: "pd.Series[Any]", kind: Any) -> "pd.Series[Any]":
    """A column of a type; one without values may have had any."""
    if values.dtype == kind:
        return values
    return pd.Series([None] * len(values), index=values.index, name=values.name, dtype=kind)
