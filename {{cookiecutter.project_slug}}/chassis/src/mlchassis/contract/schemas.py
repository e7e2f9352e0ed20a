"""Schemas derived from a contract: request model, table schema, generated rows."""

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import MAXYEAR, MINYEAR, UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import numpy as np
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    create_model,
)
from pydantic_core import PydanticCustomError, core_schema

from mlchassis.config.source_params import TableFormat
from mlchassis.contract.cells import CellParser, normalize_text
from mlchassis.contract.checks import anchored
from mlchassis.contract.model import Column, Contract, Kind
from mlchassis.errors import ProjectError

if TYPE_CHECKING:
    import pandas as pd

PANDAS_TYPES: Mapping[Kind, str] = {
    "number": "Float64",
    "integer": "Int64",
    "boolean": "boolean",
    "string": "string",
    "timestamp": "datetime64[us, UTC]",
}
"""pandas' nullable types: a missing value stays missing in all of them."""

MAX_STRING = 256
"""Longest string where the contract names no limit."""
INTEGERS = (-(2**63), 2**63 - 1)
"""Smallest and largest integer that a table can hold."""


def _refuse_numbers(value: object) -> object:
    """Pydantic would take a number, even one in quotes, for seconds since 1970."""
    if isinstance(value, int | float) or (isinstance(value, str) and "-" not in value[1:]):
        raise ValueError("a time is written as ISO 8601, such as 2013-08-15T12:30:00+00:00")
    return value


@dataclass(frozen=True, slots=True)
class _WholeNumber:
    """An integer as JSON Schema means it: 1.0 is one (so pandas writes it), "1" and true are not.

    Both steps of the check run in Pydantic's own core, at a tenth of the cost of a function.
    """

    low: int
    high: int
    values: tuple[int, ...] = ()

    def __get_pydantic_core_schema__(self, _source: Any, _handler: Any) -> core_schema.CoreSchema:
        number = core_schema.union_schema(
            [
                core_schema.int_schema(strict=True),
                core_schema.float_schema(strict=True, allow_inf_nan=False),
            ],
            mode="left_to_right",
            custom_error_type="int_type",
        )
        whole = core_schema.int_schema(strict=False, ge=self.low, le=self.high)
        # An enumeration by itself would take true for 1.
        listed = [core_schema.literal_schema([*self.values])] if self.values else []
        return core_schema.chain_schema([number, whole, *listed])

    def __get_pydantic_json_schema__(self, _schema: Any, _handler: Any) -> dict[str, Any]:
        if self.values:
            return {"type": "integer", "enum": [*self.values]}
        return {"type": "integer", "minimum": self.low, "maximum": self.high}


def _check_years(value: datetime) -> datetime:
    """Reject a time that is in no year of its own in UTC, as every table does."""
    if MINYEAR < value.year < MAXYEAR:
        return value
    try:
        value.astimezone(UTC)
    except OverflowError:
        raise ValueError("a time lies within the years 1 to 9999 in UTC") from None
    return value


_PYTHON_TYPES: Mapping[Kind, Any] = {
    "number": float,
    "integer": int,
    "boolean": bool,
    "string": str,
    "timestamp": Annotated[
        AwareDatetime, BeforeValidator(_refuse_numbers), AfterValidator(_check_years)
    ],
}
_MOMENT: TypeAdapter[datetime] = TypeAdapter(_PYTHON_TYPES["timestamp"])


def read_timestamp(value: str | date) -> date:
    """A time as a request would write it; what is a time already is passed on.

    Raises:
        ValueError: It is not ISO 8601, or has no zone.
    """
    return value if isinstance(value, date) else _MOMENT.validate_python(value)


def request_model(contract: Contract, formats: TableFormat | None = None) -> type[BaseModel]:
    """The Pydantic model of one record of a request.

    Types are strict (a number is not a string), unknown fields are refused, absent equals null.
    Text is normalized as the cells of a table are, and a word for a missing value equals null.

    Args:
        contract: Contract of the rows.
        formats: Table format of the training data; plain by default.
    """
    fields: dict[str, Any] = {
        column.name: _request_field(
            column, text_parser(column, formats), required=contract.requires(column)
        )
        for column in contract.request_columns
    }
    config = ConfigDict(
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        protected_namespaces=(),
        json_schema_extra={"examples": [example_record(contract)]},
    )
    with warnings.catch_warnings():
        # A column may be named as a method of Pydantic's models is: nobody calls it on a record.
        warnings.filterwarnings("ignore", "Field name .* shadows an attribute", UserWarning)
        # create_model cannot be typed for names that are only known at run time.
        return cast("type[BaseModel]", create_model("Record", __config__=config, **fields))


def text_parser(column: Column, formats: TableFormat | None) -> CellParser:
    """The parser of a column's text in the format of the model's table."""
    return CellParser(column.kind, (formats or TableFormat()).column(column.name))


def _text_reader(parser: CellParser, *, required: bool) -> Callable[[Any], Any]:
    """Function from a JSON value to one whose text is normalized; None for a missing value."""

    def read(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        text = normalize_text(value)
        if not parser.is_missing(text):
            return text
        if required:
            raise PydanticCustomError(
                "missing_value", "A value is required here, and this text means a missing one"
            )
        return None

    return read


def read_frame(model: type[BaseModel], frame: "pd.DataFrame") -> list[dict[str, Any]]:
    """Read the rows of a frame, whatever types it has, as the model of a request reads them.

    Raises:
        ProjectError: A row does not keep the contract; the sentence repeats no value.
    """
    columns = [_plain_values(frame[name]) for name in frame]
    rows = []
    for position, values in enumerate(zip(*columns, strict=True)):
        try:
            row = model.model_validate(dict(zip(frame, values, strict=True)))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            raise ProjectError(
                f"Row {position}: '{first['loc'][0]}': {first['msg']}; fix it, since the model "
                "answers rows that keep its contract alone."
            ) from None
        rows.append(row.__dict__)
    return rows


def _plain_values(values: "pd.Series[Any]") -> list[Any]:
    """Python's own values, None for missing; a time without a zone is UTC, as in every table."""
    if values.dtype.kind == "M" and values.dt.tz is None:
        values = values.dt.tz_localize("UTC")
    plain: list[Any] = values.astype(object).where(values.notna(), None).to_list()
    return plain


def example_record(contract: Contract, position: int = 0) -> dict[str, Any]:
    """A record made of the contract's examples; a column without examples is left out."""
    return {
        column.name: column.examples[position % len(column.examples)]
        for column in contract.request_columns
        if column.examples
    }


def generate_rows(contract: Contract, count: int, seed: int) -> list[dict[str, Any]]:
    """Draw records that keep the contract, for tests and warm-ups.

    An optional value is left out in one row of ten; strings without an enumeration are drawn from
    the examples, if there are any.
    """
    generator = np.random.default_rng(seed)
    return [
        {
            column.name: _draw(column, generator)
            for column in contract.request_columns
            if column.required or generator.random() >= 0.1
        }
        for _ in range(count)
    ]


def _request_field(column: Column, parser: CellParser, *, required: bool) -> Any:
    kind = plain_type(column)
    if not required:
        # Constraints go with the type inside the union, so that null passes them.
        kind = kind | None
    if column.kind in ("string", "timestamp"):
        kind = Annotated[kind, BeforeValidator(_text_reader(parser, required=required))]
    default: Any = ... if required else None
    examples = list(column.examples) or None
    rules = (column.values, column.pattern, column.min_length)
    confined_text = column.kind == "timestamp" or (column.kind == "string" and any(rules))
    return kind, Field(
        default,
        description=column.description or None,
        examples=examples,
        json_schema_extra=_allow_empty_text if confined_text and not required else None,
    )


def _allow_empty_text(schema: dict[str, Any]) -> None:
    """Add to the JSON Schema of optional text that an empty one means a missing value."""
    schema["anyOf"].append({"type": "string", "maxLength": 0})


def plain_type(column: Column) -> Any:
    """The type of a column's values that are there, whose text is normalized already."""
    kind: Any = _PYTHON_TYPES[column.kind]
    limits: dict[str, Any] = {}
    if column.kind == "integer":
        values = cast("tuple[int, ...]", column.values or ())
        kind = Annotated[int, _WholeNumber(*integer_limits(column), values)]
    elif column.values is not None:
        kind = Literal[column.values]
    elif column.kind == "string":
        limits = {
            "min_length": column.min_length,
            "max_length": column.max_length or MAX_STRING,
            "pattern": None if column.pattern is None else anchored(column.pattern),
        }
    elif column.kind == "number":
        limits = {"ge": column.minimum, "le": column.maximum}
    elif column.kind == "timestamp":
        limits = {"strict": False}
    return Annotated[kind, Field(**limits)]


def integer_limits(column: Column) -> tuple[int, int]:
    """The whole numbers between which a column's values lie."""
    low, high = INTEGERS
    return (
        low if column.minimum is None else math.ceil(column.minimum),
        high if column.maximum is None else math.floor(column.maximum),
    )


def _draw(column: Column, generator: np.random.Generator) -> Any:
    if column.values is not None:
        return column.values[generator.integers(len(column.values))]
    if column.kind == "boolean":
        return bool(generator.integers(2))
    if column.kind == "timestamp":
        timestamp = datetime(2013, 1, 1, tzinfo=UTC) + timedelta(
            minutes=int(generator.integers(525_600))
        )
        return timestamp.isoformat()
    if column.kind == "string":
        words = column.examples or ("x" * max(1, column.min_length or 1),)
        return words[generator.integers(len(words))]
    low, high = _drawing_limits(column)
    if column.kind == "integer":
        return int(generator.integers(math.ceil(low), math.floor(high), endpoint=True))
    return float(generator.uniform(low, high))


def _drawing_limits(column: Column) -> tuple[float, float]:
    """A column's limits; where one is open, as far from the other as numbers usually lie."""
    low = column.minimum
    high = column.maximum
    if low is None:
        low = -1000.0 if high is None else high - 2000.0
    return low, low + 2000.0 if high is None else high
