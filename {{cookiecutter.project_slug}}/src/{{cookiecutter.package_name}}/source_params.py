"""The section `source` of `params.yaml`: where rows come from, and how they are read."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class Section(BaseModel):
    """A part of `params.yaml`: nothing unknown, nothing that is no number, nothing that changes."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class SampleParams(Section):
    """The sample problem's own data, which is installed with the project."""

    kind: Literal["sample"]


class ColumnFormat(Section):
    """How a column of words is read, where it is not written plainly.

    Attributes:
        decimal: What parts the whole from the fraction of a number.
        thousands: What groups the digits of a number.
        dates: Forms of a time, as `strptime` knows them or `ISO8601`; the first that fits counts.
        true: Words that mean true.
        false: Words that mean false.
        missing: Words that stand for a value that is not there.
    """

    decimal: str = "."
    thousands: str | None = None
    dates: tuple[str, ...] = ()
    true: tuple[str, ...] = ()
    false: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


class TableParams(Section):
    """What every table of a team's own may need.

    Attributes:
        rename: Names in the source to names in the contract, where they differ.
        columns: By name in the contract, the formats that are not plain.
    """

    rename: dict[str, str] = {}
    columns: dict[str, ColumnFormat] = {}


class FilesParams(TableParams):
    """A CSV or Parquet file, packed or not, or a folder of such files.

    Attributes:
        path: Absolute, or from the project's folder.
        encoding: Of CSV files.
        delimiter: Of CSV files.
    """

    kind: Literal["files"]
    path: Annotated[str, Field(min_length=1)]
    encoding: str = "utf-8-sig"
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","


class S3Params(TableParams):
    """The same in S3-compatible storage; who may read it is said by AWS_ACCESS_KEY_ID and its like.

    Attributes:
        path: As s3://BUCKET/KEY: an object, or a prefix with a folder's files below it.
        endpoint: Address of a server that is not Amazon's, such as https://storage.example.org.
        region: Of the bucket; None takes AWS_DEFAULT_REGION, or asks.
        encoding: Of CSV files.
        delimiter: Of CSV files.
    """

    kind: Literal["s3"]
    path: Annotated[str, Field(pattern=r"^s3://[^/]+")]
    endpoint: str | None = None
    region: str | None = None
    encoding: str = "utf-8-sig"
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","


class SqlParams(TableParams):
    """What a query finds in a database.

    Attributes:
        url: As SQLAlchemy writes it, without a password: that is SOURCE_PASSWORD's.
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
SourceParams = Annotated[SampleParams | OwnParams, Field(discriminator="kind")]
"""Where rows come from."""
SOURCES = {"sample": SampleParams, "files": FilesParams, "s3": S3Params, "sql": SqlParams}
"""By the word for each in `source.kind`."""
