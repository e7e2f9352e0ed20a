"""Faults of production that a simulation switches on at a day.

A fault changes what clients send, what the source stores, or both, or stops the service.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd

from mlchassis.contract.model import Column, Contract, Kind
from mlchassis.errors import ProjectError
from mlchassis.evaluation.metrics import encode_target
from mlchassis.printable import show_value
from mlchassis.simulation.rows import TimedRows, make_timed

OUTAGE = timedelta(days=5)
"""Time for which a service outage lasts."""
_FACTOR = 1.609344
"""Kilometers in a mile: a typical change of a unit."""
_OFTEN_MISSING = 0.05
"""Proportion of missing values from which on a column is a poor example."""
_NUMBERS: tuple[Kind, ...] = ("number", "integer")
_MISSING = 0.3
"""Proportion of the values that a spike of missing values removes."""


@dataclass(frozen=True, slots=True)
class FaultSwitch:
    """A fault, and the day on which it is switched on.

    Attributes:
        name: One of `FAULTS`.
        day: First day with the fault.
        column: Changed column; None where the fault changes none.
    """

    name: str
    day: date
    column: str | None = None


@dataclass(frozen=True, slots=True)
class World:
    """Rows with faults.

    Attributes:
        clean: Rows without faults.
        sent: Rows that clients send, with their true outcomes; aligned with `clean`.
        stored: Rows that the source holds.
    """

    clean: TimedRows
    sent: TimedRows
    stored: TimedRows


_Change = Callable[[pd.DataFrame, str, Contract], pd.DataFrame]
"""Rows from the fault's day on, the column's name and the contract, to the changed rows."""


def _change_unit(rows: pd.DataFrame, column: str, contract: Contract) -> pd.DataFrame:
    values = rows[column] * _FACTOR
    if contract.column(column).kind == "integer":
        values = values.round()
    return rows.assign(**{column: values.astype(rows[column].dtype)})


def _rename_category(rows: pd.DataFrame, column: str, _contract: Contract) -> pd.DataFrame:
    """Write the most common value backward: a name that nobody has seen."""
    values = rows[column]
    common = str(values.mode().iloc[0])
    new = common[::-1] if common[::-1] != common else f"{common}x"
    return rows.assign(**{column: values.mask(values == common, new)})


def _remove_values(rows: pd.DataFrame, column: str, _contract: Contract) -> pd.DataFrame:
    gone = np.random.default_rng(len(rows)).random(len(rows)) < _MISSING
    return rows.assign(**{column: rows[column].mask(gone)})


def _leak_label(rows: pd.DataFrame, column: str, contract: Contract) -> pd.DataFrame:
    """Move a number toward its largest or smallest value, by the outcome."""
    outcome = rows[contract.target.name]
    known = outcome.notna().to_numpy()
    target = encode_target(outcome[known].to_numpy(), contract.classes)
    rank = (target - target.min()) / max(float(np.ptp(target)), 1e-9)
    values = rows[column].astype(float).to_numpy(dtype=float, na_value=np.nan).copy()
    low, high = np.nanmin(values), np.nanmax(values)
    values[known] = low + rank * (high - low)
    if contract.column(column).kind == "integer":
        values = np.round(values)
    changed = pd.Series(values, index=rows.index).astype(rows[column].dtype)
    return rows.assign(**{column: changed})


def _double_rows(rows: pd.DataFrame, _column: str, _contract: Contract) -> pd.DataFrame:
    return pd.concat([rows, rows]).sort_index(kind="stable")


def _change_concept(rows: pd.DataFrame, column: str, contract: Contract) -> pd.DataFrame:
    """Give rows with a large value of a number another outcome; the inputs stay as they are."""
    large = (rows[column] > rows[column].median()).fillna(value=False)
    target = contract.target.name
    return rows.assign(**{target: _move_outcome(rows[target], contract).where(large, rows[target])})


def _move_outcome(outcomes: "pd.Series[Any]", contract: Contract) -> "pd.Series[Any]":
    """Return the next class of each outcome, or a number half as large again."""
    if not contract.classes:
        return (outcomes * 1.5).astype(outcomes.dtype)
    classes = list(contract.classes)
    following = dict(zip(classes, [*classes[1:], classes[0]], strict=True))
    return outcomes.map(following, na_action="ignore").astype(outcomes.dtype)


@dataclass(frozen=True, slots=True)
class Fault:
    """Effect of a fault.

    Attributes:
        description: Effect in one sentence.
        choose: Function that chooses the column where the user names none.
        change: Function that changes rows.
        sent: True if the rows that clients send are changed.
        stored: True if the rows of the source are changed.
        kinds: Kinds of the columns that can be changed.
    """

    description: str
    choose: Callable[[TimedRows], Column] | None = None
    change: _Change | None = None
    sent: bool = False
    stored: bool = False
    kinds: tuple[Kind, ...] = _NUMBERS


def _choose_number(rows: TimedRows) -> Column:
    """Choose the feature that is a number and has the fewest missing values."""
    numbers = [c for c in _list_features(rows.contract) if c.kind in _NUMBERS]
    fractional = [c for c in numbers if c.kind == "number"]
    return _least_missing(rows, fractional or numbers, "number")


def _choose_optional(rows: TimedRows) -> Column:
    """Choose a number with many different values that may be missing, where there is one."""
    numbers = [c for c in _list_features(rows.contract) if c.kind in _NUMBERS]
    optional = [c for c in numbers if not c.required] or numbers
    frequent = [c for c in optional if rows.table[c.name].isna().mean() <= _OFTEN_MISSING]
    if not frequent:
        return _least_missing(rows, optional, "number")
    return max(frequent, key=lambda column: int(rows.table[column.name].nunique()))


def _choose_category(rows: TimedRows) -> Column:
    """Choose strings, those without listed values first: others are rejected by the contract."""
    strings = [c for c in _list_features(rows.contract) if c.kind == "string"]
    free = [c for c in strings if c.values is None]
    return _least_missing(rows, free or strings, "string")


def _list_features(contract: Contract) -> list[Column]:
    return [column for column in contract.features if column not in contract.pii]


def _least_missing(rows: TimedRows, columns: Sequence[Column], kind: str) -> Column:
    if not columns:
        raise ProjectError(f"The contract has no feature that is a {kind}, so none can be changed.")
    return min(columns, key=lambda column: float(rows.table[column.name].isna().mean()))


FAULTS: Mapping[str, Fault] = {
    "unit-change": Fault(
        "a number arrives in another unit (factor 1.609), in requests and in the source",
        _choose_number,
        _change_unit,
        sent=True,
        stored=True,
    ),
    "renamed-category": Fault(
        "the most common value of a column has another name, in requests and in the source",
        _choose_category,
        _rename_category,
        sent=True,
        stored=True,
        kinds=("string",),
    ),
    "null-spike": Fault(
        "30 % of a column's values are missing, in requests and in the source",
        _choose_optional,
        _remove_values,
        sent=True,
        stored=True,
        kinds=(*_NUMBERS, "string", "boolean"),
    ),
    "leaked-label": Fault(
        "a number of the source is overwritten by the outcome; requests have the true number",
        _choose_optional,
        _leak_label,
        stored=True,
    ),
    "doubled-join": Fault(
        "the source has every row twice",
        change=_double_rows,
        stored=True,
    ),
    "concept-change": Fault(
        "rows with a large value of a column have another outcome; inputs stay as they are",
        _choose_number,
        _change_concept,
        sent=True,
        stored=True,
    ),
    "service-outage": Fault("the service is killed and starts again five days later"),
    "late-partition": Fault("rows arrive in the source 30 days late"),
}
"""Every fault by its name."""


def read_faults(texts: Sequence[str], rows: TimedRows) -> tuple[FaultSwitch, ...]:
    """Read `NAME@DATE` or `NAME:COLUMN@DATE`.

    Raises:
        ProjectError: A text is something else, or names what is not there.
    """
    return tuple(_read_fault(text, rows) for text in texts)


def _read_fault(text: str, rows: TimedRows) -> FaultSwitch:
    named, _, day = text.rpartition("@")
    name, _, column = named.partition(":")
    fault = FAULTS.get(name)
    try:
        first = date.fromisoformat(day)
    except ValueError:
        first = None
    if fault is None or first is None:
        raise ProjectError(
            f"--faults is {show_value(text)}; write NAME@DATE or NAME:COLUMN@DATE, as "
            f"unit-change@2013-10-01, with one of the names {', '.join(FAULTS)}."
        )
    if fault.choose is None:
        return FaultSwitch(name, first)
    if column:
        _check_column(rows.contract, name, column)
    return FaultSwitch(name, first, column or fault.choose(rows).name)


def _check_column(contract: Contract, name: str, column: str) -> None:
    """Refuse a column that a fault cannot change."""
    chosen = contract.column(column)
    if chosen not in _list_features(contract):
        raise ProjectError(
            f"--faults: '{column}' is not a feature that is logged, so {name} cannot change it; "
            "name another column, or none."
        )
    kinds = FAULTS[name].kinds
    if chosen.kind not in kinds:
        raise ProjectError(
            f"--faults: '{column}' is a feature of kind {chosen.kind}, and {name} changes "
            f"{' or '.join(kinds)}; name another column, or none."
        )


def apply_faults(clean: TimedRows, faults: Sequence[FaultSwitch]) -> World:
    """Change the rows from the day of each fault on."""
    world = World(clean, clean, clean)
    for switch in faults:
        fault = FAULTS[switch.name]
        if fault.sent:
            world = replace(world, sent=_change(world.sent, switch))
        if fault.stored:
            world = replace(world, stored=_change(world.stored, switch))
    return world


def _change(rows: TimedRows, switch: FaultSwitch) -> TimedRows:
    change = FAULTS[switch.name].change
    later = (rows.days >= switch.day).to_numpy()
    if change is None or not later.any():
        return rows
    changed = change(rows.table[later], switch.column or "", rows.contract)
    return make_timed(rows.contract, pd.concat([rows.table[~later], changed]))
