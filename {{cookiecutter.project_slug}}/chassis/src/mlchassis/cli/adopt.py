"""Flags of `adopt`: one field per argument, filled by the command line."""

from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from functools import wraps
from inspect import Parameter, Signature
from typing import TYPE_CHECKING, Annotated, Literal, get_type_hints

import typer

if TYPE_CHECKING:
    from mlchassis.adoption.columns.plan import RoleOverrides
    from mlchassis.adoption.formats.overrides import FormatOverrides
    from mlchassis.adoption.options import AdoptionOptions


@dataclass(frozen=True, slots=True)
class AdoptFlags:
    """Arguments and options of the command `adopt`; their help stands beside them."""

    data: Annotated[
        str, typer.Argument(help="A CSV or Parquet file or folder, s3://BUCKET/KEY, or a database.")
    ]
    target: Annotated[str, typer.Argument(help="The column to predict.")]
    task: Annotated[
        Literal["binary", "multiclass", "regression"] | None,
        typer.Option(help="Task; inferred if left out."),
    ] = None
    positive: Annotated[str | None, typer.Option(help="Positive class of a binary target.")] = None
    key: Annotated[str | None, typer.Option(help="Column that identifies a row, or none.")] = None
    event_time: Annotated[
        str | None, typer.Option(help="Column with the time of the event, or none.")
    ] = None
    group: Annotated[
        str | None, typer.Option(help="Column whose rows stay together in one split.")
    ] = None
    feature: Annotated[
        list[str] | None, typer.Option(help="Column to use as a feature despite a warning.")
    ] = None
    leakage: Annotated[
        list[str] | None, typer.Option(help="Column that is known only after the event.")
    ] = None
    pii: Annotated[list[str] | None, typer.Option(help="Column with personal data.")] = None
    name: Annotated[str | None, typer.Option(help="Name of the contract and the model.")] = None
    query: Annotated[str | None, typer.Option(help="File with the SQL query of a database.")] = None
    table: Annotated[str | None, typer.Option(help="Table of a database, instead of a query.")] = (
        None
    )
    incremental: Annotated[
        str | None, typer.Option(help="Time column of a database; only new months are read.")
    ] = None
    endpoint: Annotated[str | None, typer.Option(help="Endpoint URL of S3-compatible storage.")] = (
        None
    )
    encoding: Annotated[
        str | None, typer.Option(help="Character encoding of CSV files, such as cp1251.")
    ] = None
    delimiter: Annotated[
        str | None, typer.Option(help="Delimiter of CSV files; tab is accepted as a word.")
    ] = None
    decimal: Annotated[
        list[str] | None,
        typer.Option(metavar="[COLUMN=]MARK", help="Decimal separator: 'price=,' or ','."),
    ] = None
    thousands: Annotated[
        list[str] | None,
        typer.Option(metavar="[COLUMN=]MARK", help="Thousands separator: 'menge=.' or '.'."),
    ] = None
    text: Annotated[
        list[str] | None,
        typer.Option(
            "--text",
            "--category",
            metavar="COLUMN",
            help="Column whose numbers are codes or categories.",
        ),
    ] = None
    number: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN", help="Column whose numbers are quantities."),
    ] = None
    missing: Annotated[
        list[str] | None,
        typer.Option(metavar="[COLUMN=]WORD", help="Missing-value marker: 'country=NA' or 'n/a'."),
    ] = None
    date_format: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[COLUMN=]FORMAT",
            help="Format of times: 'born=%d.%m.%y', ISO8601, epoch_s, epoch_ms, excel.",
        ),
    ] = None
    newest_year: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[COLUMN=]YEAR", help="Latest year that two digits stand for: 'born=2024'."
        ),
    ] = None
    month_first: Annotated[
        bool, typer.Option("--month-first", help="Read 01/02/2020 as the second of January.")
    ] = False
    yes: Annotated[
        bool, typer.Option("--yes", help="Accept a changed contract without a prompt.")
    ] = False
    force: Annotated[bool, typer.Option("--force", help="Overwrite uncommitted changes.")] = False

    def to_options(self) -> "AdoptionOptions":
        """Return the options of the adoption."""
        from mlchassis.adoption.formats.detect_source import DataLocation
        from mlchassis.adoption.options import AdoptionOptions

        return AdoptionOptions(
            location=DataLocation(
                self.data, self.query, self.table, self.incremental, self.endpoint
            ),
            overrides=self._collect_roles(),
            name=self.name,
            day_first=not self.month_first,
            force=self.force,
            agreed=self.yes,
            formats=self._collect_formats(),
        )

    def _collect_roles(self) -> "RoleOverrides":
        from mlchassis.adoption.columns.plan import RoleOverrides

        return RoleOverrides(
            target=self.target,
            task=self.task,
            positive=self.positive,
            key=self.key,
            event_time=self.event_time,
            group=self.group,
            features=frozenset(self.feature or ()),
            leakage=frozenset(self.leakage or ()),
            pii=frozenset(self.pii or ()),
        )

    def _collect_formats(self) -> "FormatOverrides":
        from mlchassis.adoption.formats.overrides import FormatOverrides

        return FormatOverrides(
            encoding=self.encoding,
            delimiter=self.delimiter,
            decimal=tuple(self.decimal or ()),
            thousands=tuple(self.thousands or ()),
            date_format=tuple(self.date_format or ()),
            newest_year=tuple(self.newest_year or ()),
            missing=tuple(self.missing or ()),
            text=frozenset(self.text or ()),
            number=frozenset(self.number or ()),
        )


def with_adopt_flags(command: Callable[[AdoptFlags], None]) -> Callable[..., None]:
    """Give a command one parameter per field of `AdoptFlags`, and call it with the filled flags.

    Typer reads the parameters of a command from its signature.
    """
    hints = get_type_hints(AdoptFlags, include_extras=True)
    parameters = [
        Parameter(
            field.name,
            Parameter.KEYWORD_ONLY,
            default=Parameter.empty if field.default is MISSING else field.default,
            annotation=hints[field.name],
        )
        for field in fields(AdoptFlags)
    ]

    @wraps(command)
    def run(**values: object) -> None:
        command(AdoptFlags(**values))  # type: ignore[arg-type]

    run.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    return run
