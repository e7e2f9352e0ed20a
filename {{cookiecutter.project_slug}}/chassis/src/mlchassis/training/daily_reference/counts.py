"""Reference of a bundle for monitoring: counts of values by day, without values of persons."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlchassis.bundle.cells import Cells, Signal, count_cells
from mlchassis.bundle.daily_counts import (
    NO_DAY,
    DailyReference,
    LossEffects,
    measure_doubt,
    measure_loss,
    number_days,
)
from mlchassis.bundle.relations import Relations
from mlchassis.contract.model import Column, Contract, class_name
from mlchassis.evaluation.metrics import Floats, encode_target
from mlchassis.features.encoding import MISSING, Columns, columns_from_frame
from mlchassis.training.daily_reference.effects import CellColumn, fit_effects
from mlchassis.training.daily_reference.numbers import RelatedColumns, find_numbers
from mlchassis.training.daily_reference.pairs import CodedColumn, find_pairs

RANGES = 20
"""Ranges between quantiles of a numeric column."""
MAX_CATEGORIES = 50
MAX_DAYS = 400
"""Newest days that a reference covers: a year, and the weeks before it."""
MAX_LINES = 40_000
"""Days times columns; wide tables keep fewer days."""
MIN_DAYS = 60
_LARGEST = 1e300


def describe_days(
    contract: Contract, rows: pd.DataFrame, held_out: pd.DataFrame, scores: Floats
) -> DailyReference:
    """Describe the rows of all splits, and the answers to the held-out ones, day by day.

    Args:
        contract: Contract of the rows.
        rows: Rows of training, validation and test.
        held_out: Rows of validation and test.
        scores: Answers to the held-out rows, shape (rows, classes or 1).
    """
    rows = rows[_keep_days(name_event_days(rows, contract), len(contract.features))]
    days, numbers = number_days(name_event_days(rows, contract))
    held_out_days, held_out_numbers = number_days(name_event_days(held_out, contract))
    target = encode_target(held_out[contract.target.name].to_numpy(), contract.classes)
    loss = measure_loss(target, scores)
    predictions = read_predictions(contract, scores)
    columns = columns_from_frame(contract, rows)
    features = _count_features(contract, columns, numbers)
    reference = DailyReference(
        days=days,
        features=features,
        held_out_days=held_out_days,
        prediction=_count(_divide(predictions), predictions, held_out_numbers),
        loss=_count(divide_numbers(loss), loss, held_out_numbers),
        estimate=_divide_losses(measure_doubt(scores), loss),
        relations=find_relations(contract, columns, features, numbers),
    )
    cells = _assign_logged(contract, held_out, features)
    if not contract.classes:
        effects = _find_effects(reference, cells, predictions, loss, held_out_numbers)
        reference = reference.model_copy(update={"effects": effects})
    estimated = reference.estimate_loss(scores, cells)
    signal = _count(divide_numbers(estimated), estimated, held_out_numbers)
    return reference.model_copy(update={"estimated_loss": signal})


def _count_features(
    contract: Contract, columns: Columns, days: NDArray[np.intp]
) -> dict[str, Signal]:
    """Count the values of each feature column by day and cell."""
    return {
        column.name: _count(
            divide_column(column, columns[column.name], personal=column in contract.pii),
            columns[column.name],
            days,
        )
        for column in contract.features
    }


def find_relations(
    contract: Contract,
    columns: Columns,
    features: Mapping[str, Signal],
    days: NDArray[np.intp],
) -> Relations:
    """Find related columns among those that the service logs.

    Args:
        contract: Contract of the rows.
        columns: Values of each feature column.
        features: Their cells.
        days: Number of each row's day.
    """
    coded = _code_columns(contract, columns, features)
    strings = {column.name: column for column in coded if column.is_categorical}
    values = {column.name: columns[column.name] for column in coded if not column.is_categorical}
    related = RelatedColumns(values, strings, days)
    return Relations(pairs=find_pairs(coded, days), numbers=find_numbers(related))


def _code_columns(
    contract: Contract, columns: Columns, features: Mapping[str, Signal]
) -> list[CodedColumn]:
    """Return the cells of the columns that may be related: those of persons are not logged."""
    coded = []
    for column in contract.features:
        if column in contract.pii or column.kind == "timestamp":
            continue
        cells = features[column.name].cells
        assigned = cells.assign(columns[column.name])
        coded.append(CodedColumn(column.name, assigned, cells.size, not column.is_numeric))
    return coded


def _assign_logged(
    contract: Contract, rows: pd.DataFrame, features: Mapping[str, Signal]
) -> dict[str, NDArray[np.intp]]:
    """Return the cells of the feature columns that the service logs."""
    columns = columns_from_frame(contract, rows)
    return {
        column.name: features[column.name].cells.assign(columns[column.name])
        for column in contract.features
        if column not in contract.pii
    }


def _find_effects(
    reference: DailyReference,
    cells: Mapping[str, NDArray[np.intp]],
    predictions: Floats,
    loss: Floats,
    days: NDArray[np.intp],
) -> LossEffects:
    """Fit the effects of predictions and features on the loss of the held-out rows."""
    own = reference.prediction.cells
    columns = [
        CellColumn(own.assign(predictions), own.size),
        *(CellColumn(cells[name], reference.features[name].cells.size) for name in cells),
    ]
    fitted = fit_effects(columns, loss, days)
    prediction, *features = [tuple(effect.tolist()) for effect in fitted.by_column]
    return LossEffects(
        intercept=fitted.intercept,
        prediction=prediction,
        features=dict(zip(cells, features, strict=True)),
    )


def name_event_days(rows: pd.DataFrame, contract: Contract) -> Sequence[str]:
    """Return the day (UTC) of each row."""
    if contract.event_time is None:
        return [NO_DAY] * len(rows)
    days: list[str] = rows[contract.event_time.name].dt.strftime("%Y-%m-%d").to_list()
    return days


def read_predictions(contract: Contract, scores: Floats) -> NDArray[Any]:
    """Return the answers as one column: a probability, a class' name, or a number."""
    if len(contract.classes) <= 2:
        return scores[:, -1]
    names = np.array([class_name(label) for label in contract.classes], dtype=object)
    chosen: NDArray[Any] = names[scores.argmax(axis=1)]
    return chosen


def divide_column(column: Column, values: NDArray[Any], *, personal: bool) -> Cells:
    """Divide a feature column into cells; only the missing cells of a person's column or a time."""
    if personal or column.kind == "timestamp":
        return Cells(kind="numeric" if column.is_numeric else "categorical", means=(0.0,))
    return _divide(values)


def _divide(values: NDArray[Any]) -> Cells:
    return divide_categories(values) if values.dtype.kind == "O" else divide_numbers(values)


def divide_categories(values: NDArray[Any]) -> Cells:
    """Divide strings into the most common categories and the rest."""
    counts = Counter(values.tolist())
    counts.pop(MISSING, None)
    common = sorted(counts, key=lambda category: (-counts[category], category))
    return Cells(kind="categorical", categories=tuple(common[:MAX_CATEGORIES]))


def divide_numbers(values: Floats) -> Cells:
    """Divide numbers into ranges that hold equally many of them."""
    present = np.clip(values[~np.isnan(values)], -_LARGEST, _LARGEST)
    if not len(present):
        return Cells(kind="numeric", means=(0.0,))
    # Values of the column itself: a mean of two of the largest numbers overflows.
    levels = np.linspace(0, 1, RANGES + 1)
    edges = np.unique(np.quantile(present, levels, method="inverted_cdf"))
    cells = np.searchsorted(edges, present, side="left")
    means = _average(present, cells, len(edges) + 1, empty=[*edges, edges[-1]])
    return Cells(kind="numeric", edges=tuple(edges.tolist()), means=means)


def _divide_losses(doubt: Floats, loss: Floats) -> Cells:
    """Divide doubts, or predicted numbers, and average the loss in each range."""
    divided = divide_numbers(doubt)
    cells = divided.assign(doubt)
    means = _average(loss, cells, len(divided.means), empty=[loss.mean()] * len(divided.means))
    return divided.model_copy(update={"means": (*means[:-1], means[-2])})


def _average(
    values: Floats, cells: NDArray[np.intp], size: int, empty: Sequence[float]
) -> tuple[float, ...]:
    """Return the mean of the values in each cell; `empty` where there is none."""
    counts = np.bincount(cells, minlength=size)
    sums = np.bincount(cells, values, minlength=size)
    means = np.where(counts > 0, sums / np.maximum(counts, 1), empty)
    return tuple(means.tolist())


def _count(cells: Cells, values: NDArray[Any], days: NDArray[np.intp]) -> Signal:
    day_count = int(days.max()) + 1
    return Signal.from_counts(cells, count_cells(cells.assign(values), days, day_count, cells.size))


def _keep_days(names: Sequence[str], columns: int) -> NDArray[np.bool_]:
    """Choose the rows of the newest days."""
    most = max(MIN_DAYS, min(MAX_DAYS, MAX_LINES // max(1, columns)))
    newest = sorted(set(names))[-most:]
    return np.isin(np.array(names, dtype=str), newest)
