"""Rows of the prediction log as counts by day, in the cells of a bundle's reference."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlchassis.bundle.bundle import Bundle
from mlchassis.bundle.cells import Cells, Counts, count_cells
from mlchassis.bundle.daily_counts import DailyReference, measure_loss, number_days
from mlchassis.bundle.relations import Relation
from mlchassis.contract.model import Column, class_name
from mlchassis.features.encoding import MISSING
from mlchassis.monitoring.labels import Labels, spell_key
from mlchassis.monitoring.prediction_log import LoggedRow

Floats = NDArray[np.float64]
Daily = dict[str, Counts]
"""Rows by cell, by day."""


@dataclass(slots=True)
class DayLoss:
    """Losses of one day.

    Attributes:
        answered: Rows that the deployed model answered.
        labeled: Rows among them with a label.
        loss: Sum of their losses.
        estimated: Sum of the estimated losses of all answered rows.
    """

    answered: int = 0
    labeled: int = 0
    loss: float = 0.0
    estimated: float = 0.0


@dataclass(slots=True)
class LogCounts:
    """Counts of the log by day.

    Attributes:
        rows: Rows of each day.
        features: Of each feature column that is logged.
        prediction: Answers of the deployed model.
        losses: Losses of the deployed model.
        relations: Of related columns, by the names of both.
    """

    rows: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    features: dict[str, Daily] = field(default_factory=lambda: defaultdict(dict))
    prediction: Daily = field(default_factory=dict)
    losses: dict[str, DayLoss] = field(default_factory=lambda: defaultdict(DayLoss))
    relations: dict[tuple[str, str], Daily] = field(default_factory=lambda: defaultdict(dict))


class LogCounter:
    """Counter of the log's chunks.

    Args:
        bundle: The deployed bundle.
        reference: Its reference.
        labels: Known outcomes.
    """

    def __init__(self, bundle: Bundle, reference: DailyReference, labels: Labels) -> None:
        self._bundle = bundle
        self._contract = bundle.contract
        self._reference = reference
        self._labels = labels
        self._class_names = [class_name(label) for label in self._contract.classes]
        self.counts = LogCounts()

    def add(self, rows: Sequence[LoggedRow]) -> None:
        """Count some rows."""
        for row in rows:
            self.counts.rows[row.day] += 1
        for column in self._contract.features:
            if column not in self._contract.pii:
                self._add_feature(column, rows)
        for relation in self._reference.relations.every:
            self._add_relation(relation, rows)
        answered = [row for row in rows if row.digest == self._bundle.digest]
        if answered:
            self._add_answers(answered)

    def _add_feature(self, column: Column, rows: Sequence[LoggedRow]) -> None:
        """Count a column of the rows whose contract has it, in the type of today's contract."""
        logged = [row for row in rows if column.name in row.inputs]
        if not logged:
            return
        values, readable = read_values(column, [row.inputs[column.name] for row in logged])
        days = [row.day for row, is_readable in zip(logged, readable, strict=True) if is_readable]
        cells = self._reference.features[column.name].cells
        add_counts(self.counts.features[column.name], cells, values, days)

    def _add_relation(self, relation: Relation, rows: Sequence[LoggedRow]) -> None:
        """Count a relation in the rows that have all its columns, in the type of today's."""
        usable = [row for row in rows if self._has_columns(row, relation.columns)]
        if not usable:
            return
        numbers = {}
        cells = {}
        for name in relation.columns:
            column = self._contract.column(name)
            values, _ = read_values(column, [row.inputs[name] for row in usable])
            cells[name] = self._reference.features[name].cells.assign(values)
            if column.is_numeric:
                numbers[name] = values
        assigned = relation.assign(numbers, cells)
        days = [row.day for row in usable]
        add_cells(self.counts.relations[relation.names], assigned, relation.signal.cells.size, days)

    def _has_columns(self, row: LoggedRow, names: Sequence[str]) -> bool:
        return all(
            name in row.inputs and _is_readable(self._contract.column(name), row.inputs[name])
            for name in names
        )

    def _add_answers(self, rows: Sequence[LoggedRow]) -> None:
        scores = read_scores(rows, self._class_names)
        days = [row.day for row in rows]
        cells = self._reference.prediction.cells
        add_counts(self.counts.prediction, cells, self._name_answers(scores), days)
        estimates = self._reference.estimate_loss(scores, self._assign_features(rows))
        losses = self._find_losses(rows, scores)
        for day, loss, estimated in zip(days, losses, estimates.tolist(), strict=True):
            total = self.counts.losses[day]
            total.answered += 1
            total.estimated += estimated
            if loss is not None:
                total.labeled += 1
                total.loss += loss

    def _assign_features(self, rows: Sequence[LoggedRow]) -> dict[str, NDArray[np.intp]]:
        """Return the cells of the columns that have an effect on the loss.

        A value that a row lacks, or has in another type, counts as missing.
        """
        effects = self._reference.effects
        cells = {}
        for name in effects.features if effects is not None else ():
            division = self._reference.features[name].cells
            column = self._contract.column(name)
            values, readable = read_values(column, [row.inputs.get(name) for row in rows])
            assigned = np.full(len(rows), division.size - 1)
            assigned[readable] = division.assign(values)
            cells[name] = assigned
        return cells

    def _name_answers(self, scores: Floats) -> NDArray[Any]:
        if len(self._class_names) <= 2:
            return scores[:, -1]
        chosen: NDArray[Any] = np.array(self._class_names, dtype=object)[scores.argmax(axis=1)]
        return chosen

    def _find_losses(self, rows: Sequence[LoggedRow], scores: Floats) -> list[float | None]:
        """Return the loss of each row; None where no label is known."""
        key = self._contract.key
        if key is None or not self._labels:
            return [None] * len(rows)
        known = [self._labels.get(spell_key(row.key, key)) for row in rows]
        places = [place for place, target in enumerate(known) if target is not None]
        target = np.array([target for target in known if target is not None])
        losses: list[float | None] = [None] * len(rows)
        if places:
            measured = measure_loss(target, scores[places]).tolist()
            for place, loss in zip(places, measured, strict=True):
                losses[place] = loss
        return losses


def read_scores(rows: Sequence[LoggedRow], class_names: Sequence[str]) -> Floats:
    """Return the logged answers, shape (rows, classes or 1)."""
    if not class_names:
        return np.array([[row.prediction] for row in rows], dtype=np.float64)
    return np.array(
        [[(row.probabilities or {})[name] for name in class_names] for row in rows],
        dtype=np.float64,
    )


def read_values(column: Column, values: Sequence[Any]) -> tuple[NDArray[Any], list[bool]]:
    """Return the values that have the column's type, and which they are.

    An older contract may have had numbers where this one has strings.
    """
    readable = [_is_readable(column, value) for value in values]
    kept = [value for value, is_readable in zip(values, readable, strict=True) if is_readable]
    if column.kind == "string":
        return np.array([MISSING if v is None else v for v in kept], dtype=object), readable
    if column.kind == "timestamp":
        # Only whether there is one: times always move on.
        return np.array([np.nan if v is None else 0.0 for v in kept]), readable
    return np.array(kept, dtype=np.float64), readable


def _is_readable(column: Column, value: Any) -> bool:
    expected: tuple[type, ...] = (str,) if column.kind in ("string", "timestamp") else (int, float)
    return value is None or isinstance(value, expected)


def add_counts(daily: Daily, cells: Cells, values: NDArray[Any], names: Sequence[str]) -> None:
    """Add values to the counts of their days."""
    if not len(values):
        return
    add_cells(daily, cells.assign(values), cells.size, names)


def add_cells(daily: Daily, assigned: NDArray[np.intp], size: int, names: Sequence[str]) -> None:
    """Add rows that have been divided into cells to the counts of their days."""
    days, numbers = number_days(names)
    counts = count_cells(assigned, numbers, len(days), size)
    for day, row in zip(days, counts, strict=True):
        daily[day] = daily[day] + row if day in daily else row


def sum_days(daily: Mapping[str, Counts], days: Sequence[str], size: int) -> Counts:
    """Return the rows by cell of some days together."""
    counts = [daily[day] for day in days if day in daily]
    return np.sum(counts, axis=0) if counts else np.zeros(size, dtype=np.int64)
