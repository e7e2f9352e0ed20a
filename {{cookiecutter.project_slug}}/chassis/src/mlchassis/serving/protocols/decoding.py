"""Requests' bytes to rows, by a decoder that is compiled from the contract.

The request's model in Pydantic says what a request may be, and why one is refused. The decoder here
takes most of what that model takes, several times as fast, and has no words for the rest: where it
does not take a body, the model is asked. It never takes what the model refuses, nor reads it
otherwise; the tests hold both to that with generated bodies.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec
from pydantic import ConfigDict, TypeAdapter

from mlchassis.config.source_params import TableFormat
from mlchassis.contract.cells import CellParser, normalize_text
from mlchassis.contract.model import Column, Contract
from mlchassis.contract.schemas import (
    INTEGERS,
    MAX_STRING,
    integer_limits,
    plain_type,
    text_parser,
)

Decoded = tuple[list[tuple[Any, ...]], bool]
"""Rows of the contract's request columns, in their order, and whether to explain the answers."""
Decode = Callable[[bytes], Decoded | None]
Check = tuple[int, Callable[[Any], Any]]
"""Position of a value in a row, and the function that reads or rejects it."""


def compile_decoder(
    contract: Contract, max_rows: int, formats: TableFormat | None = None
) -> Decode:
    """Return a decoder of plain requests of the contract; it returns None for others.

    Args:
        contract: Contract of the rows.
        max_rows: Most records in one request.
        formats: Table format of the training data.
    """
    columns = contract.request_columns
    if not are_plain([column.name for column in columns]):
        return lambda _body: None
    record: Any = define_record("Record", {c.name: _field(c, contract) for c in columns})
    records: Any = Annotated[list[record], msgspec.Meta(min_length=1, max_length=max_rows)]
    fields: list[Any] = [("records", records), ("explain", bool, False)]
    request = msgspec.defstruct("Request", fields, forbid_unknown_fields=True)
    return _make_decode(msgspec.json.Decoder(request), _make_checks(contract, formats))


def _make_decode(decoder: Any, checks: Sequence[Check]) -> Decode:
    def decode(body: bytes) -> Decoded | None:
        try:
            request = decoder.decode(body)
            rows = list(map(msgspec.structs.astuple, request.records))
            if checks:
                rows = [_check(row, checks) for row in rows]
        # Pydantic's errors and those of text that is not UTF-8 are ValueErrors as well.
        except (ValueError, RecursionError):
            return None
        return rows, request.explain

    return decode


def are_plain(names: Iterable[str]) -> bool:
    """True if struct fields may have these names in JSON."""
    return not any(re.search(r'["\\\x00-\x1f]', name) for name in names)


def define_record(name: str, fields: Mapping[str, tuple[Any, ...]]) -> Any:
    """A struct whose JSON has these fields, each with a type and perhaps a default."""
    return msgspec.defstruct(
        name,
        [(f"field_{i}", *field) for i, field in enumerate(fields.values())],
        rename={f"field_{i}": name for i, name in enumerate(fields)},
        # A struct that is read may lack any field; one that is written is given all, by position.
        kw_only=any(len(field) > 1 for field in fields.values()),
        forbid_unknown_fields=True,
        gc=False,
    )


def _field(column: Column, contract: Contract) -> tuple[Any, ...]:
    kind = _plain_type(column)
    return (kind,) if column.required and column in contract.features else (kind | None, None)


def _plain_type(column: Column) -> Any:
    """Type that both libraries parse equally; a check may have to follow."""
    if column.kind == "boolean":
        return bool
    if column.kind == "integer":
        low, high = integer_limits(column)
        limits = msgspec.Meta(ge=max(low, INTEGERS[0]), le=min(high, INTEGERS[1]))
        return int if column.values is not None else Annotated[int, limits]
    if column.kind == "number":
        limits = msgspec.Meta(ge=column.minimum, le=column.maximum)
        return float if column.values is not None else Annotated[float, limits]
    if column.values is not None:
        return Literal[column.values]
    if column.kind == "timestamp":
        return str
    limits = msgspec.Meta(min_length=column.min_length, max_length=column.max_length or MAX_STRING)
    return Annotated[str, limits]


def _make_checks(contract: Contract, formats: TableFormat | None) -> list[Check]:
    """Checks of what two libraries may read differently.

    These are text that is not normalized, times, patterns, and enumerations of anything but words.
    """
    checks: list[Check] = []
    for position, column in enumerate(contract.request_columns):
        parser = text_parser(column, formats)
        if column.kind in ("string", "timestamp") and not _lists_plain_words(column, parser):
            checks.append((position, _plain_text(parser)))
        if column.kind == "timestamp" or column.pattern is not None or _lists_others(column):
            checks.append((position, _make_reader(column)))
    return checks


def _lists_plain_words(column: Column, parser: CellParser) -> bool:
    """True if no member of a column's enumeration could be parsed differently."""
    if column.kind != "string" or column.values is None:
        return False
    return not any(parser.is_missing(str(value)) for value in column.values)


def _lists_others(column: Column) -> bool:
    return column.values is not None and column.kind != "string"


def _plain_text(parser: CellParser) -> Callable[[Any], Any]:
    """Function that lets normalized text pass, and leaves other text to the request's model."""

    def check(text: str) -> str:
        if normalize_text(text) != text or parser.is_missing(text):
            raise ValueError("is not normalized")
        return text

    return check


def _make_reader(column: Column) -> Callable[[Any], Any]:
    config = ConfigDict(strict=True, allow_inf_nan=False)
    return TypeAdapter(plain_type(column), config=config).validate_python


def _check(row: tuple[Any, ...], checks: Sequence[Check]) -> tuple[Any, ...]:
    values = list(row)
    for position, read in checks:
        if values[position] is not None:
            values[position] = read(values[position])
    return tuple(values)
