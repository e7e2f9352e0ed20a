"""Inferred format of a column, and the facts that inference starts from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from mlchassis.adoption.formats.overrides import ColumnOverrides
from mlchassis.config.source_params import ColumnFormat
from mlchassis.contract.cells import MISSING_STRINGS
from mlchassis.contract.model import Kind

Ask = Callable[[str, bool], bool]
EarlierFormat = tuple[Kind, ColumnFormat]
"""The kind and the format that an earlier adoption gave a column."""


@dataclass(frozen=True, slots=True)
class InferredFormat:
    """Inferred type and format of a column.

    Attributes:
        kind: None for a column without any value.
        form: Format of its values.
        note: Note for a person; may be empty.
        example: A cell as it is written, and the value that it is read as.
        missing: Rows by string that counts as missing; "" are empty cells.
        undecided: True if it stays text only because its format is ambiguous.
        possibly_missing: Rows by string that a text column keeps as a category, though it may be a
            missing value, such as NA.
        short_codes: True if its other strings are codes of the same form, such as DE.
    """

    kind: Kind | None
    form: ColumnFormat
    note: str = ""
    example: tuple[str, str] = ("", "")
    missing: Mapping[str, int] = field(default_factory=dict)
    undecided: bool = False
    possibly_missing: Mapping[str, int] = field(default_factory=dict)
    short_codes: bool = False


@dataclass(frozen=True, slots=True)
class TableContext:
    """Facts shared by all columns of a table.

    Attributes:
        day_first: True to read ambiguous dates with the day first.
        ask: Callback for the user's answer; the safe one where nobody can be asked.
        delimiter: Between the cells of its files.
        decimal: The decimal mark that its columns show for certain, if it is one.
        missing: Missing-value markers of every column, from flags.
        target: The column to predict, whose name is not a sign of codes.
        earlier: Decisions of an earlier adoption, by column.
        this_year: The year of today.
    """

    day_first: bool = True
    ask: Ask = lambda _question, safe: safe
    delimiter: str = ","
    decimal: str | None = None
    missing: tuple[str, ...] = ()
    target: str = ""
    earlier: Mapping[str, EarlierFormat] = field(default_factory=dict)
    this_year: int = field(default_factory=lambda: datetime.now(UTC).year)


@dataclass(frozen=True, slots=True)
class StringColumn:
    """Distinct strings of a column.

    Attributes:
        counts: Rows by normalized string; "" are empty cells.
    """

    name: str
    counts: Mapping[str, int]
    context: TableContext
    overrides: ColumnOverrides

    @property
    def declared(self) -> tuple[str, ...]:
        """Missing-value markers from flags."""
        return (*self.overrides.missing, *self.context.missing)

    def present(self) -> dict[str, int]:
        """Rows by string, without the standard and the declared missing-value markers."""
        return {
            string: rows
            for string, rows in self.counts.items()
            if string.lower() not in MISSING_STRINGS and string not in self.declared
        }
