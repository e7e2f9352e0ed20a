"""Formats that flags decide: of the files as a whole, and of single columns."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from mlchassis.contract.checks import suggest
from mlchassis.errors import ProjectError

_NAMED_DELIMITERS = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|"}


@dataclass(frozen=True, slots=True)
class FormatOverrides:
    """Format flags of a table.

    The flags of a column are either `COLUMN=VALUE`, or a bare `VALUE` for every column.

    Attributes:
        encoding: Of CSV files.
        delimiter: Between the cells of CSV files.
        decimal: Decimal marks of numbers.
        thousands: Marks that group the digits of numbers.
        date_format: Formats of times.
        newest_year: Last year of the hundred that two-digit years lie in.
        missing: Words for a missing value.
        text: Columns that are text whatever they look like: codes, categories.
        number: Columns that are numbers whatever their name says.
        known_encoding: Encoding of an earlier adoption, for files whose encoding cannot be
            detected.
    """

    encoding: str | None = None
    delimiter: str | None = None
    decimal: tuple[str, ...] = ()
    thousands: tuple[str, ...] = ()
    date_format: tuple[str, ...] = ()
    newest_year: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    text: frozenset[str] = frozenset()
    number: frozenset[str] = frozenset()
    known_encoding: str | None = None

    @property
    def separator(self) -> str | None:
        """The delimiter as a character.

        Raises:
            ProjectError: It is longer than one.
        """
        if self.delimiter is None:
            return None
        delimiter = _NAMED_DELIMITERS.get(self.delimiter, self.delimiter)
        if len(delimiter) != 1:
            raise ProjectError(
                f"--delimiter is '{self.delimiter}', but a delimiter is one character; write "
                "--delimiter ';' or --delimiter tab."
            )
        return delimiter


@dataclass(frozen=True, slots=True)
class ColumnOverrides:
    """Format flags of one column; None or empty if not given."""

    text: bool = False
    number: bool = False
    decimal: str | None = None
    thousands: str | None = None
    dates: tuple[str, ...] = ()
    newest_year: int | None = None
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ResolvedOverrides:
    """The flags by column.

    Attributes:
        columns: Of every column that a flag speaks about, alone or with all others.
        missing: Words for a missing value in every column.
    """

    columns: Mapping[str, ColumnOverrides]
    missing: tuple[str, ...] = ()

    def of(self, name: str) -> ColumnOverrides:
        """Return the flags of a column."""
        return self.columns.get(name, ColumnOverrides())


def resolve_overrides(overrides: FormatOverrides, names: Collection[str]) -> ResolvedOverrides:
    """Assign flags to the columns of a table.

    Raises:
        ProjectError: A flag names a column that is not there, or a value that cannot be.
    """
    for flag, named in (("--text", overrides.text), ("--number", overrides.number)):
        for name in named:
            _check_column(flag, name, names)
    decimal = _split("--decimal", overrides.decimal, names)
    thousands = _split("--thousands", overrides.thousands, names)
    dates = _split("--date-format", overrides.date_format, names)
    years = _split("--newest-year", overrides.newest_year, names)
    missing = _split("--missing", overrides.missing, names, bare_may_hold_equals=True)
    _check_marks("--decimal", decimal)
    _check_marks("--thousands", thousands)
    columns = {
        name: ColumnOverrides(
            text=name in overrides.text,
            number=name in overrides.number,
            decimal=_last(decimal, name),
            thousands=_last(thousands, name),
            dates=tuple(dates.get(name, ()) or dates.get(None, ())),
            newest_year=_year(_last(years, name)),
            missing=tuple(missing.get(name, ())),
        )
        for name in names
    }
    return ResolvedOverrides(columns, tuple(missing.get(None, ())))


_Values = dict[str | None, list[str]]


def _split(
    flag: str, values: Iterable[str], names: Collection[str], *, bare_may_hold_equals: bool = False
) -> _Values:
    """Values by column; None for every column."""
    by_column: _Values = {}
    for value in values:
        cuts = [position for position, sign in enumerate(value) if sign == "="]
        columns = [value[:cut] for cut in cuts if value[:cut] in names]
        if columns:
            name = max(columns, key=len)
            by_column.setdefault(name, []).append(value[len(name) + 1 :])
        elif cuts and cuts[0] and not bare_may_hold_equals:
            _check_column(flag, value[: cuts[0]], names)
        else:
            by_column.setdefault(None, []).append(value)
    return by_column


def _check_column(flag: str, name: str, names: Collection[str]) -> None:
    if name not in names:
        raise ProjectError(
            f"{flag} names the column '{name}', which the table has not{suggest(name, names)}."
        )


def _check_marks(flag: str, values: _Values) -> None:
    for name, marks in values.items():
        for mark in marks:
            if len(mark) != 1 or mark.isalnum():
                where = f" of '{name}'" if name is not None else ""
                raise ProjectError(
                    f"{flag}{where} is '{mark}', but such a mark is one character; write {flag} "
                    f"'COLUMN=,' for a column or {flag} ',' for all."
                )


def _last(values: _Values, name: str) -> str | None:
    matching = values.get(name) or values.get(None)
    return matching[-1] if matching else None


def _year(value: str | None) -> int | None:
    if value is None:
        return None
    if not (value.isdecimal() and len(value) == 4):
        raise ProjectError(
            f"--newest-year is '{value}', but it is a year of four digits, such as 2030; years of "
            "two digits lie in the hundred that end with it."
        )
    return int(value)
