"""Numbers that other columns predict, found for the reference of a bundle.

A ridge regression on linear and squared terms and on categories predicts each number. Its residuals
are counted by day, each by a fit that has not seen its block of days.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from mlchassis.bundle.cells import Cells, Signal, count_cells
from mlchassis.bundle.relations import NumberRelation, Prediction, Scale, standardize
from mlchassis.training.daily_reference.effects import divide_into_folds
from mlchassis.training.daily_reference.pairs import CodedColumn

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

FOLDS = 6
"""Blocks of days; the residual of a row comes from a fit on the other blocks."""
MAX_ROWS = 8_000
"""Rows of a fit."""
PENALTY = 10.0
"""Rows that each coefficient is given without an effect."""
MAX_TARGETS = 40
"""Numbers that are tried; a wide table has more."""
MAX_RELATIONS = 16
MAX_LINES = 6_000
"""Days times relations."""
MAX_NUMBERS = 12
MAX_STRINGS = 3
"""Most related columns that predict a number."""
MIN_EXPLAINED = 0.5
"""Proportion of a number's variance that its prediction must explain on other days."""
RANGES = (0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
"""Quantiles of the residuals that divide their ranges."""
_DIGITS = 6


@dataclass(frozen=True, slots=True)
class RelatedColumns:
    """Columns of the reference that may be related.

    Attributes:
        numbers: Values of each column of numbers.
        strings: Each column of strings.
        days: Number of each row's day.
    """

    numbers: Mapping[str, Floats]
    strings: Mapping[str, CodedColumn]
    days: Indices

    def select(self, rows: Indices) -> "RelatedColumns":
        """Return some of the rows."""
        strings = {
            name: CodedColumn(name, column.cells[rows], column.size, is_categorical=True)
            for name, column in self.strings.items()
        }
        numbers = {name: values[rows] for name, values in self.numbers.items()}
        return RelatedColumns(numbers, strings, self.days[rows])

    def keep(self, numbers: Sequence[str], strings: Sequence[str]) -> "RelatedColumns":
        """Return some of the columns; a copy of the rows of a wide table would be large."""
        return RelatedColumns(
            {name: self.numbers[name] for name in numbers},
            {name: self.strings[name] for name in strings},
            self.days,
        )

    @property
    def cells(self) -> dict[str, Indices]:
        """Cells of the strings."""
        return {name: column.cells for name, column in self.strings.items()}


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A number with the columns that predict it.

    Attributes:
        by_fold: Prediction for each block of days, from the other blocks.
        explained: Proportion of the variance that these explain.
    """

    column: str
    partner: str
    prediction: Prediction
    by_fold: list[Prediction]
    explained: float


@dataclass(frozen=True, slots=True)
class _Predictors:
    """Names of the columns that predict a number, in order."""

    numbers: list[str]
    strings: list[str]


def find_numbers(columns: RelatedColumns) -> tuple[NumberRelation, ...]:
    """Find the numbers that other columns predict, and count their residuals.

    Args:
        columns: Columns that the service logs.
    """
    scales = _find_scales(columns.numbers)
    folds = divide_into_folds(columns.days, FOLDS)
    rows = np.linspace(0, len(folds) - 1, min(MAX_ROWS, len(folds))).astype(np.intp)
    sample = columns.select(rows)
    # The order in which threads add decides on the last bits.
    with threadpool_limits(limits=1):
        tried = [_try(name, sample, folds[rows], scales) for name in list(scales)[:MAX_TARGETS]]
        found = [each for each in tried if each and each.explained >= MIN_EXPLAINED]
        found.sort(key=lambda each: (-each.explained, each.column))
        most = max(1, min(MAX_RELATIONS, MAX_LINES // (int(columns.days.max()) + 1)))
        return tuple(_describe(each, columns, folds, scales) for each in found[:most])


def _find_scales(numbers: Mapping[str, Floats]) -> dict[str, Scale]:
    """Return the standardization of each number that varies."""
    scales = {}
    for name, values in numbers.items():
        present = values[np.isfinite(values)]
        if not len(present):
            continue
        # Numbers near the largest possible one have no finite deviation.
        with np.errstate(over="ignore", invalid="ignore"):
            center = _round(float(present.mean()))
            deviation = _round(float(present.std()))
        if np.isfinite(center) and np.isfinite(deviation) and deviation > 0:
            scales[name] = Scale(center=center, deviation=deviation)
    return scales


def _try(
    name: str, sample: RelatedColumns, folds: Indices, scales: Mapping[str, Scale]
) -> _Candidate | None:
    """Fit a number on the rows that have it; None if no column is related to it."""
    present = np.flatnonzero(~np.isnan(sample.numbers[name]))
    rows = sample.select(present)
    target = scales[name].standardize(rows.numbers[name])
    predictors = _choose_predictors(name, target, rows, scales)
    if predictors is None:
        return None
    scaled = standardize(rows.numbers, scales, predictors.numbers, len(target))
    design = _make_design(scaled, [rows.strings[name] for name in predictors.strings])
    whole, by_fold = _fit(design, target, folds[present], predictors, rows.strings)
    predicted = np.empty(len(target))
    for fold, prediction in enumerate(by_fold):
        chosen = np.flatnonzero(folds[present] == fold)
        cells = {name: column.cells[chosen] for name, column in rows.strings.items()}
        predicted[chosen] = prediction.predict(scaled[chosen], cells)
    spread = float(((target - target.mean()) ** 2).mean())
    explained = 1 - float(((target - predicted) ** 2).mean()) / spread if spread else 0.0
    partner = _find_partner(whole, scaled, rows)
    return _Candidate(name, partner, whole, by_fold, explained)


def _choose_predictors(
    name: str, target: Floats, rows: RelatedColumns, scales: Mapping[str, Scale]
) -> _Predictors | None:
    """Choose the columns that tell most of a number, each by itself."""
    centered = target - target.mean() if len(target) else target
    numbers = {
        other: _correlate(centered, scales[other].standardize(rows.numbers[other]))
        for other in scales
        if other != name
    }
    strings = {other: _compare_means(centered, column) for other, column in rows.strings.items()}
    if not (numbers or strings) or len(target) < FOLDS:
        return None
    # A bundle sorts the keys of its JSON, and products are in the order of the numbers.
    return _Predictors(sorted(_rank(numbers)[:MAX_NUMBERS]), sorted(_rank(strings)[:MAX_STRINGS]))


def _find_partner(prediction: Prediction, scaled: Floats, rows: RelatedColumns) -> str:
    """Return the column whose terms move the prediction most."""
    predicted = prediction.predict(scaled, rows.cells)
    moved = {}
    for place, name in enumerate(prediction.linear):
        without = scaled.copy()
        without[:, place] = 0.0
        moved[name] = float((predicted - prediction.predict(without, rows.cells)).std())
    for name, effects in prediction.categories.items():
        moved[name] = float(np.array(effects)[rows.strings[name].cells].std())
    return max(moved, key=lambda name: (round(moved[name], _DIGITS), name))


def _rank(explained: Mapping[str, float]) -> list[str]:
    return sorted(explained, key=lambda name: (-explained[name], name))


def _correlate(centered: Floats, other: Floats) -> float:
    """Return the squared correlation with another number, where it has a value."""
    has_value = ~np.isnan(other)
    if not has_value.any():
        return 0.0
    first = centered[has_value] - centered[has_value].mean()
    second = other[has_value] - other[has_value].mean()
    product = float((first**2).sum()) * float((second**2).sum())
    return round(float((first * second).sum()) ** 2 / product, 6) if product else 0.0


def _compare_means(centered: Floats, column: CodedColumn) -> float:
    """Return the proportion of the variance between the categories of a column."""
    total = float((centered**2).sum())
    counts = np.bincount(column.cells, minlength=column.size)
    sums = np.bincount(column.cells, centered, minlength=column.size)
    between = float((sums**2 / np.maximum(counts, 1)).sum())
    return round(between / total, 6) if total else 0.0


def _make_design(scaled: Floats, strings: Sequence[CodedColumn]) -> Floats:
    """Return the terms of each row, shape (rows, terms); see `_read_coefficients`."""
    known = np.nan_to_num(scaled)
    count = known.shape[1]
    products = [known[:, [place]] * known[:, place:] for place in range(count)]
    indicators = [np.eye(column.size)[column.cells] for column in strings]
    return np.hstack([known, np.isnan(scaled).astype(np.float64), *products, *indicators])


def _fit(
    design: Floats,
    target: Floats,
    folds: Indices,
    predictors: _Predictors,
    strings: Mapping[str, CodedColumn],
) -> tuple[Prediction, list[Prediction]]:
    """Fit on all rows, and on all but each block of days."""
    terms = np.hstack([design, np.ones((len(design), 1)), target[:, np.newaxis]])
    blocks = [terms[folds == fold] for fold in range(FOLDS)]
    moments = [block.T @ block for block in blocks]
    whole: Floats = np.sum(moments, axis=0)
    sizes = {name: strings[name].size for name in predictors.strings}
    fits = [
        _read_coefficients(_solve(each), predictors.numbers, sizes)
        for each in (whole, *(whole - moment for moment in moments))
    ]
    return fits[0], fits[1:]


def _solve(moments: Floats) -> Floats:
    """Solve the ridge regression of the last column on the others; the intercept comes last."""
    left = moments[:-1, :-1].copy()
    penalties = np.full(len(left), PENALTY)
    # Without rows, anything but zero would be a division by zero.
    penalties[-1] = 1e-6
    left[np.diag_indices_from(left)] += penalties
    return np.linalg.solve(left, moments[:-1, -1]).astype(np.float64)


def _read_coefficients(
    solution: Floats, numbers: Sequence[str], strings: Mapping[str, int]
) -> Prediction:
    """Name the coefficients, in the order of the terms of `_make_design`."""
    rounded = [_round(value) for value in solution.tolist()]
    count = len(numbers)
    sizes = [count, count, *range(count, 0, -1), *strings.values()]
    edges = np.cumsum([0, *sizes]).tolist()
    linear, missing, *others = [rounded[first:last] for first, last in pairwise(edges)]
    return Prediction(
        intercept=rounded[-1],
        linear=dict(zip(numbers, linear, strict=True)),
        missing=dict(zip(numbers, missing, strict=True)),
        products=tuple(map(tuple, others[:count])),
        categories=dict(zip(strings, map(tuple, others[count:]), strict=True)),
    )


def _describe(
    candidate: _Candidate, columns: RelatedColumns, folds: Indices, scales: Mapping[str, Scale]
) -> NumberRelation:
    """Count the residuals of all rows by day."""
    name = candidate.column
    used = [name, *candidate.prediction.linear]
    columns = columns.keep(used, list(candidate.prediction.categories))
    own = scales[name].standardize(columns.numbers[name])
    residuals = np.empty(len(own))
    for fold, prediction in enumerate(candidate.by_fold):
        rows = columns.select(np.flatnonzero(folds == fold))
        scaled = standardize(rows.numbers, scales, used[1:], len(rows.days))
        residuals[folds == fold] = own[folds == fold] - prediction.predict(scaled, rows.cells)
    cells = divide_residuals(residuals)
    day_count = int(columns.days.max()) + 1
    counts = count_cells(cells.assign(residuals), columns.days, day_count, cells.size)
    return NumberRelation(
        column=name,
        partner=candidate.partner,
        scales={other: scales[other] for other in used},
        prediction=candidate.prediction,
        signal=Signal.from_counts(cells, counts),
    )


def divide_residuals(residuals: Floats) -> Cells:
    """Divide residuals into ranges; differences below a hundredth do not matter."""
    present = residuals[~np.isnan(residuals)]
    rounded = np.round(np.quantile(present, RANGES), 2)
    # Between the hundredths: a residual of zero belongs to one range, whatever its last bits are.
    return Cells(kind="numeric", edges=tuple(np.round(np.unique(rounded) + 0.005, 3).tolist()))


def _round(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
