"""The section `source` of `params.yaml`: where rows come from, and how they are read."""

import codecs
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from mlchassis.config.section import ParamsSection


class CustomParams(ParamsSection):
    """Rows of the project's own function: `source` in its Project.

    Attributes:
        options: Passed to the function.
    """

    kind: Literal["custom"]
    options: dict[str, Any] = Field(default_factory=dict)


class ColumnFormat(ParamsSection):
    """Format of a column's values, where it is not plain.

    Attributes:
        decimal: Mark between the whole and the fraction of a number.
        thousands: Mark that groups the digits of a number.
        grouping: Groups of three digits (western), or of two above the last three (indian).
        affixes: Currency signs, units or "%" before or after a number. They are removed; the value
            is as written, so 12.5% is 12.5.
        negative: Notation of negative numbers beside -1: (1), or 1-.
        dates: Formats of a time: of `strptime`, ISO8601, epoch_s, epoch_ms, epoch_us, epoch_ns,
            excel or quarter; the first that fits counts.
        newest_year: Two-digit years lie in the 100 years that end with this one.
        true: Words that mean true.
        false: Words that mean false.
        missing: Words for a missing value.
        text: True to convert integers, booleans and numbers of a typed source (Parquet, a database)
            to strings, such as 1 to "1". Otherwise they are rejected.
    """

    decimal: Annotated[str, Field(min_length=1, max_length=1)] = "."
    thousands: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    grouping: Literal["western", "indian"] = "western"
    affixes: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    negative: Literal["minus", "parentheses", "trailing"] = "minus"
    dates: tuple[str, ...] = ()
    newest_year: Annotated[int, Field(ge=1, le=9999)] | None = None
    true: tuple[str, ...] = ()
    false: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    text: bool = False

    @property
    def is_plain_number(self) -> bool:
        """True if numbers are written as programs write them, such as -1.5e3."""
        marks = (self.decimal, self.thousands, self.affixes, self.negative)
        return marks == (".", None, (), "minus")

    @model_validator(mode="after")
    def _has_two_marks(self) -> Self:
        if self.decimal == self.thousands:
            raise ValueError("decimal and thousands must be different marks")
        return self


class TableFormat(ParamsSection):
    """Format of a table: its files and its columns.

    A bundle keeps the format of the table that its model was trained on.

    Attributes:
        encoding: Of CSV files.
        delimiter: Between the cells of CSV files.
        escape: Character before a quote within a quoted cell; None where quotes are doubled.
        missing: Words for a missing value in every column, of strings too.
        rename: Names in the source to names in the contract, where they differ.
        columns: Formats that are not plain, by the column's name in the contract.
        compose: Times that lie in several columns: by name in the contract, the columns that hold
            year, month and perhaps day, hour and minute.
    """

    encoding: str = "utf-8-sig"
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    escape: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    missing: tuple[str, ...] = ()
    rename: dict[str, str] = Field(default_factory=dict)
    columns: dict[str, ColumnFormat] = Field(default_factory=dict)
    compose: dict[str, Annotated[tuple[str, ...], Field(min_length=2, max_length=5)]] = Field(
        default_factory=dict
    )

    @field_validator("encoding")
    @classmethod
    def _is_encoding(cls, name: str) -> str:
        try:
            codecs.lookup(name)
        except LookupError:
            raise ValueError("encoding is unknown; name one of Python's, such as cp1252") from None
        return name

    def column(self, name: str) -> ColumnFormat:
        """The format of a column, by its name in the contract."""
        form = self.columns.get(name, ColumnFormat())
        if not self.missing:
            return form
        return form.model_copy(update={"missing": (*form.missing, *self.missing)})

    def table_format(self) -> "TableFormat":
        """The format alone, without the place of the table."""
        return TableFormat(**{name: getattr(self, name) for name in TableFormat.model_fields})


class FilesParams(TableFormat):
    """A CSV or Parquet file, packed or not, or a folder of such files.

    Attributes:
        path: Absolute, or from the project's folder.
    """

    kind: Literal["files"]
    path: Annotated[str, Field(min_length=1)]


class S3Params(TableFormat):
    """The same in S3-compatible storage; AWS_ACCESS_KEY_ID and the like give access.

    Attributes:
        path: Address s3://BUCKET/KEY: an object, or a prefix with a folder's files below it.
        endpoint: Address of a server that is not Amazon's, such as https://storage.example.org.
        region: Of the bucket; None takes AWS_DEFAULT_REGION, or asks.
    """

    kind: Literal["s3"]
    path: Annotated[str, Field(pattern=r"^s3://[^/]+")]
    endpoint: str | None = None
    region: str | None = None


class SqlParams(TableFormat):
    """Query of a database source.

    Attributes:
        url: SQLAlchemy URL without the password, which SOURCE_PASSWORD holds.
        query: Path of a `.sql` file, from the project's folder.
        incremental: The event time's name in the query; months before the last stored one are then
            not asked for again. None asks for everything, and so notices what changed in the past.
    """

    kind: Literal["sql"]
    url: Annotated[str, Field(pattern=r"^[a-z0-9+]+://")]
    query: Annotated[str, Field(min_length=1)]
    incremental: str | None = None


OwnParams = FilesParams | S3Params | SqlParams
"""A table of a team's own, wherever it lies."""
SourceParams = Annotated[CustomParams | OwnParams, Field(discriminator="kind")]
"""Source of the rows."""
SOURCES = {"custom": CustomParams, "files": FilesParams, "s3": S3Params, "sql": SqlParams}
"""Parameters of each source, keyed by `source.kind`."""
