"""A table's facts, column by column: what the draft of its contract is made of."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlchassis.adoption.columns.persons import find_personal_columns
from mlchassis.adoption.inference.models import InferredFormat
from mlchassis.config.source_params import ColumnFormat
from mlchassis.contract.model import Kind
from mlchassis.data.dependence import LEAST_REPEATS, LEAST_THINGS

MAX_COUNTED = 50
"""Only this many of the most common values of a column are counted."""
MAX_LISTED = 10
"""A longer list of categories is rarely complete, so the contract allows others too."""
MIN_LISTED_COUNT = 10
"""A rarer category suggests others that were not seen yet, so the list stays open."""
MAX_CATEGORIES = 200
"""Rarer categories are merged into one, since the ONNX graph grows with each."""
MIN_CATEGORY_ROWS = 5
"""Rows below which a slice shows nothing."""
LONG_TEXT = 60
"""Strings of this mean length are sentences, which are not used as features."""

_KEY_NAME = re.compile(
    # In German, "number" is the end of a compound: Bestellnr, Kundennummer.
    r"(?i:(^|[\W_])(id|key|uuid|guid|no|number)|nr\.?|nummer)$|[a-z](Id|ID|Key|Number)$"
)
_COUNTER_NAME = re.compile(
    r"(?i:unnamed: \d+|column \d+|level_\d+|(row[ _])?index|row[ _.]?(names?|id|no|nr|num(ber)?)"
    r"|x|x\.?1|\.\.\.1)"
)
"""Names of pandas, R and others for a column without one; blank ones are called `column 1`."""
_TIME_NAME = re.compile(
    r"time|date|day|created|start|stamp|zeit|datum|when|event|month|[._ ]at$", re.IGNORECASE
)
_OTHER_TIME_NAME = re.compile(
    r"birth|born|dob|geb|end|clos|finish|updat|modif|delet|expir", re.IGNORECASE
)
_MIN_TREND_CORRELATION = 0.95
"""Rank correlation with the time, from which on a column's values grow as time goes by."""
_ROWS_OF_TREND = 2000
_MAX_CODES = 20
"""Fewer different numbers than this are codes or counts, whatever order they stand in."""

Positions = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class ColumnFacts:
    """Profile of one column.

    Attributes:
        kind: None for a column without any value.
        form: Format of its values in the files.
        note: Note on its inferred format.
        rows: Rows of the table.
        present: Rows with a value.
        distinct: Different values.
        low: Smallest value, for numbers.
        high: Largest value, for numbers.
        median: The middle one of numbers, as it stands in the table.
        median_time: The middle one of times, in ISO 8601.
        rises: True if numbers grow in the order of rows or times.
        falls: True if they shrink in that order.
        settled: True if every category occurs in both halves of the rows, in each of their orders.
        common_values: Most common categories, or few whole numbers, with their counts.
        tail: Rows of the most common category beyond those that a model can distinguish.
        lists_all: True if `common_values` holds every value.
        length: Length of the longest string.
        mean_length: Mean length of strings.
        person: Reason to suspect personal data; empty without one.
        undecided: True if it is text only because its format is ambiguous.
    """

    name: str
    kind: Kind | None
    form: ColumnFormat
    note: str
    rows: int
    present: int
    distinct: int
    low: float | None = None
    high: float | None = None
    median: float | int | None = None
    median_time: str = ""
    rises: bool = False
    falls: bool = False
    settled: bool = False
    common_values: tuple[tuple[Any, int], ...] = ()
    tail: int = 0
    lists_all: bool = False
    length: int = 0
    mean_length: float = 0.0
    person: str = ""
    undecided: bool = False

    @property
    def complete(self) -> bool:
        """True if every row has a value."""
        return self.present == self.rows

    @property
    def constant(self) -> bool:
        """True if all rows have the same value."""
        return self.distinct <= 1

    @property
    def unique(self) -> bool:
        """True if no two rows share a value."""
        return self.complete and self.distinct == self.rows

    @property
    def has_unique_strings(self) -> bool:
        """True if no two rows share a string."""
        return self.unique and self.kind == "string"

    @property
    def may_be_key(self) -> bool:
        """True if it could identify a row."""
        return self.unique and self.kind in ("string", "integer") and self.mean_length < LONG_TEXT

    @property
    def named_as_key(self) -> bool:
        """True if its name is typical of keys."""
        return bool(_KEY_NAME.search(self.name))

    @property
    def counts_rows(self) -> bool:
        """True if it is a row number, as tools write it beside a table."""
        if not (self.unique and self.kind == "integer" and _COUNTER_NAME.fullmatch(self.name)):
            return False
        return (self.high or 0) - (self.low or 0) == self.rows - 1

    @property
    def may_be_event_time(self) -> bool:
        """True if it could be the time of a row's event."""
        usable = self.kind == "timestamp" and self.complete and not self.constant
        return usable and not self.person

    @property
    def named_as_event_time(self) -> bool:
        """True if its name is typical of event times."""
        other = _OTHER_TIME_NAME.search(self.name)
        return bool(_TIME_NAME.search(self.name)) and not other

    @property
    def may_be_group(self) -> bool:
        """True if it looks like an entity with several rows."""
        several = LEAST_THINGS <= self.distinct <= self.rows / LEAST_REPEATS
        return several and self.named_as_key and self.kind in ("string", "integer")

    @property
    def has_sentences(self) -> bool:
        """True if it holds sentences rather than categories."""
        return self.kind == "string" and self.mean_length >= LONG_TEXT

    @property
    def has_few_categories(self) -> bool:
        """True if it has few categories, each in several rows."""
        return (
            self.kind == "string"
            and self.lists_all
            and self.common_values[-1][1] >= MIN_CATEGORY_ROWS
        )

    @property
    def is_closed_list(self) -> bool:
        """True if all its categories were clearly seen: few, often, and at all times."""
        return (
            self.has_few_categories
            and self.distinct <= MAX_LISTED
            and self.common_values[-1][1] >= MIN_LISTED_COUNT
            and self.settled
            and not any(re.search(r"\d\d", str(word)) for word, _ in self.common_values)
        )


def profile(
    table: pd.DataFrame, formats_by_column: Mapping[str, InferredFormat]
) -> dict[str, ColumnFacts]:
    """The facts of every column.

    Args:
        table: Columns as they were read.
        formats_by_column: Inferred format of each column.
    """
    orders = _find_orders(table, formats_by_column)
    persons = find_personal_columns(table, formats_by_column)
    return {
        name: replace(_profile_column(table[name], inferred, orders), person=persons.get(name, ""))
        for name, inferred in formats_by_column.items()
    }


def _find_orders(
    table: pd.DataFrame, formats_by_column: Mapping[str, InferredFormat]
) -> list[Positions]:
    """Positions of the rows as they stand, and by each time that every row has."""
    times = [name for name, inferred in formats_by_column.items() if inferred.kind == "timestamp"]
    complete = [name for name in times if table[name].notna().all()]
    by_time = [np.argsort(table[name].to_numpy(), kind="stable") for name in complete]
    return [np.arange(len(table)), *by_time]


def _profile_column(
    values: "pd.Series[Any]", inferred: InferredFormat, orders: Sequence[Positions]
) -> ColumnFacts:
    common: dict[str, Any] = {
        "name": str(values.name),
        "kind": inferred.kind,
        "form": inferred.form,
        "note": inferred.note,
        "undecided": inferred.undecided,
        "rows": len(values),
    }
    present = values.dropna()
    if inferred.kind is None or present.empty:
        return ColumnFacts(**common, present=0, distinct=0)
    facts: dict[str, Any] = {"present": len(present), "distinct": int(present.nunique())}
    if inferred.kind in ("integer", "number"):
        facts |= _measure_numbers(present, whole=inferred.kind == "integer")
        facts |= _find_trend(values, orders)
    if inferred.kind == "timestamp":
        facts["median_time"] = _find_middle(present).isoformat()
    if inferred.kind in ("string", "integer"):
        facts |= _count_values(present)
    if inferred.kind == "string":
        lengths = present.str.len()
        facts |= {"length": int(lengths.max()), "mean_length": float(lengths.mean())}
        facts["settled"] = facts["lists_all"] and _is_settled(values, orders, facts["distinct"])
    return ColumnFacts(**common, **facts)


def _measure_numbers(present: "pd.Series[Any]", *, whole: bool) -> dict[str, Any]:
    finite = present[np.isfinite(present.astype(float))]
    if finite.empty:
        return {}
    convert = int if whole else float
    ends = {"low": convert(finite.min()), "high": convert(finite.max())}
    return {**ends, "median": convert(_find_middle(finite))}


def _find_middle(values: "pd.Series[Any]") -> Any:
    """The middle value, which is one of them: of two the smaller."""
    return values.sort_values(ignore_index=True).iloc[(len(values) - 1) // 2]


def _find_trend(values: "pd.Series[Any]", orders: Sequence[Positions]) -> dict[str, bool]:
    """Detect numbers that grow or shrink in the order of rows or times."""
    directions = {"rises": False, "falls": False}
    for order in orders:
        picked = order[np.linspace(0, len(order) - 1, min(len(order), _ROWS_OF_TREND)).astype(int)]
        part = values.iloc[picked].astype(float).reset_index(drop=True).dropna()
        if part.nunique() <= _MAX_CODES:
            return directions
        trend = float(np.corrcoef(part.index.to_numpy(float), part.rank())[0, 1])
        directions["rises"] |= trend > _MIN_TREND_CORRELATION
        directions["falls"] |= trend < -_MIN_TREND_CORRELATION
    return directions


def _is_settled(values: "pd.Series[Any]", orders: Sequence[Positions], distinct: int) -> bool:
    """True if every category occurs in both halves of the rows, in each of their orders."""
    codes = pd.factorize(values)[0]
    return all(
        len(np.unique(half[half >= 0])) == distinct
        for order in orders
        for half in np.array_split(codes[order], 2)
    )


def _count_values(present: "pd.Series[Any]") -> dict[str, Any]:
    counts = present.value_counts()
    common = counts.head(MAX_COUNTED)
    return {
        "common_values": tuple((_plain(value), int(count)) for value, count in common.items()),
        "lists_all": len(counts) <= MAX_COUNTED,
        "tail": int(counts.iloc[MAX_CATEGORIES]) if len(counts) > MAX_CATEGORIES else 0,
    }


def _plain(value: Any) -> str | int:
    return value if isinstance(value, str) else int(value)
