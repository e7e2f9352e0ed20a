"""Fairness: treatment of groups of people, by the contract's `sensitive` columns.

Two groups may differ in how often an answer is given (demographic parity), in how often it is given
where it is true (equal opportunity; Hardt et al. 2016), and in how far scores lie from what came
true (calibration). No model makes all three zero where the base rates of the groups differ
(Kleinberg et al. 2016), so each is measured, and has a limit, of its own. Beside that, the plainest
form of a counterfactual (Kusner et al. 2017): rows whose answer changes when the sensitive value
alone does.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, Literal, NamedTuple, Unpack

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlchassis.config.params import Resampling
from mlchassis.contract.model import Contract, class_name
from mlchassis.evaluation.bootstrap import (
    LEAST_UNITS,
    Interval,
    bootstrap,
    count_units,
    resample,
    widen_at_ends,
)
from mlchassis.evaluation.confusion import decide
from mlchassis.evaluation.metrics import Floats, Groups, Statistic, encode_target, proportion
from mlchassis.evaluation.results import (
    CounterfactualFlips,
    Disparity,
    Fairness,
    GroupResult,
    MeasuredInterval,
)
from mlchassis.evaluation.slices import (
    MAX_CATEGORIES,
    MISSING_LABEL,
    Slice,
    find_slices,
    simultaneous,
)

FLIPPED_ROWS = 2000
"""Rows whose sensitive value is changed: evenly spaced over the split."""
MAX_CHANGE = 0.1
"""A number that changes by more standard deviations of the target is another answer."""
_LEAST_ROWS = 50
"""Rows behind a proportion; of fewer a bootstrap says nothing."""

Score = Callable[[pd.DataFrame], Floats]
"""A frame to probabilities or numbers, shape (rows, classes or 1)."""
Kind = Literal["rate", "true_positive_rate", "calibration"]


class Measure(NamedTuple):
    """A quotient of two sums over rows, each given by row."""

    kind: Kind
    name: str
    part: Floats
    whole: Floats


def list_measures(
    contract: Contract, target: Floats, scores: Floats, threshold: float | None
) -> list[Measure]:
    """Quantities to compare between groups: positive answers, each class, or the number.

    Numbers are in standard deviations of the target, so that one limit fits every table.
    """
    ones = np.ones(len(target))
    if contract.task == "regression":
        unit = float(target.std()) or 1.0
        return [
            Measure("rate", "mean answer", scores[:, 0] / unit, ones),
            Measure("calibration", "mean error", (scores[:, 0] - target) / unit, ones),
        ]
    predicted = decide(scores, threshold)
    if contract.task == "binary":
        return _list_class_measures("", predicted == 1, target == 1, scores[:, 1])
    return [
        measure
        for position, label in enumerate(contract.classes)
        for measure in _list_class_measures(
            f" of {class_name(label)}",
            predicted == position,
            target == position,
            scores[:, position],
        )
    ]


def _list_class_measures(
    suffix: str, predicted: NDArray[np.bool_], true: NDArray[np.bool_], probability: Floats
) -> list[Measure]:
    """Measures of one class.

    Args:
        suffix: Appended to the name of each measure.
        predicted: Rows for which the class is predicted.
        true: Rows of the class.
        probability: The predicted probability of the class.
    """
    every = np.ones(len(true))
    found = true.astype(np.float64)
    return [
        Measure("rate", f"rate{suffix}", predicted.astype(np.float64), every),
        Measure("true_positive_rate", f"true positive rate{suffix}", predicted * found, found),
        Measure("calibration", f"calibration{suffix}", probability - found, every),
    ]


@dataclass(frozen=True, slots=True)
class _GroupMeasure:
    """A measure in one group of people.

    Attributes:
        units: Number of resampling units in the group.
    """

    group: Slice
    measure: Measure
    units: int

    def prepare(self, groups: Groups) -> Statistic:
        """Return the measure as a function of the weights of resampling units."""
        rows = self.group.rows
        return proportion(self.measure.part[rows], self.measure.whole[rows], groups[rows])

    def is_comparable(self, other: "_GroupMeasure") -> bool:
        """True for the same measure in groups by the same columns."""
        same_measure = self.measure.name == other.measure.name
        return same_measure and list(self.group.where) == list(other.group.where)


def measure_disparities(
    slices: Sequence[Slice],
    measures: Sequence[Measure],
    groups: Groups,
    **settings: Unpack[Resampling],
) -> list[Disparity]:
    """Compare every two groups by the same columns, the one with the higher value first.

    Args:
        slices: The groups of people.
        measures: Measures to compare.
        groups: The resampling unit of each row.
        settings: Those of `bootstrap`; all intervals hold at once.
    """
    counted = _list_group_measures(slices, measures, groups)
    if not counted:
        return []
    statistics = [each.prepare(groups) for each in counted]
    values, draws = resample(statistics, groups, settings["resamples"], settings["seed"])
    pairs = _pair_groups(counted, values)
    if not pairs:
        return []
    high = [first for first, _ in pairs]
    low = [second for _, second in pairs]
    disparities = simultaneous(
        values[high] - values[low],
        draws[:, high] - draws[:, low],
        settings["confidence"],
        [min(counted[first].units, counted[second].units) for first, second in pairs],
    )
    return [
        _describe_disparity(counted, values, pair, disparity)
        for pair, disparity in zip(pairs, disparities, strict=True)
    ]


def _list_group_measures(
    slices: Sequence[Slice], measures: Sequence[Measure], groups: Groups
) -> list[_GroupMeasure]:
    """List the measures of each group that has enough rows and units for them."""
    return [
        _GroupMeasure(part, measure, count_units(groups[part.rows]))
        for part in slices
        if count_units(groups[part.rows]) >= LEAST_UNITS
        for measure in measures
        if measure.whole[part.rows].sum() >= _LEAST_ROWS
    ]


def _pair_groups(counted: Sequence[_GroupMeasure], values: Floats) -> list[tuple[int, int]]:
    """Return the positions of comparable measures, the one with the higher value first."""
    return [
        (first, second) if values[first] >= values[second] else (second, first)
        for first, second in combinations(range(len(counted)), 2)
        if counted[first].is_comparable(counted[second])
    ]


def _describe_disparity(
    counted: Sequence[_GroupMeasure], values: Floats, pair: tuple[int, int], disparity: Interval
) -> Disparity:
    """Describe the disparity of a pair of positions, for a report."""
    measure = counted[pair[0]].measure
    return Disparity(
        kind=measure.kind,
        measure=measure.name,
        groups=[
            GroupResult(**counted[position].group.as_dict(), value=float(values[position]))
            for position in pair
        ],
        disparity=MeasuredInterval.of(disparity),
    )


def measure_counterfactual_flips(
    rows: pd.DataFrame,
    contract: Contract,
    answers_differ: Callable[[Floats, Floats], NDArray[np.bool_]],
    score: Score,
    groups: Groups,
    **settings: Unpack[Resampling],
) -> list[CounterfactualFlips]:
    """Counterfactual flip rate of each sensitive feature.

    `settings` are those of `bootstrap`. Every column must pass a gate, so that their number calls
    for no correction.
    """
    features = [column.name for column in contract.sensitive if column in contract.features]
    if not features:
        return []
    places = np.linspace(0, len(rows) - 1, min(FLIPPED_ROWS, len(rows))).astype(int)
    chosen = rows.iloc[places].reset_index(drop=True)
    before = score(chosen)
    ones = np.ones(len(chosen))
    units = np.unique(groups[places], return_inverse=True)[1]
    proportions: dict[str, Statistic] = {}
    for name in features:
        flipped = np.zeros(len(chosen), dtype=bool)
        for value in list_alternatives(rows[name]):
            same = pd.Series([value] * len(chosen), dtype=chosen[name].dtype)
            flipped |= answers_differ(before, score(chosen.assign(**{name: same})))
        proportions[name] = proportion(flipped, ones, units)
    rates = bootstrap(proportions, units, **settings)
    return [
        _describe_flips(name, len(chosen), rate, settings["confidence"])
        for name, rate in rates.items()
    ]


def _describe_flips(name: str, rows: int, rate: Interval, confidence: float) -> CounterfactualFlips:
    """Describe the flip rate of a column; without a flip in few rows it is not known to be 0."""
    bounded = widen_at_ends(rate, rows, confidence).clip(0.0, 1.0)
    return CounterfactualFlips(column=name, rows=rows, rate=MeasuredInterval.of(bounded))


def list_alternatives(values: "pd.Series[Any]") -> list[Any]:
    """To what a sensitive value is changed: to those there are, or to the middles of quarters."""
    present = values.dropna()
    if pd.api.types.is_numeric_dtype(present) and present.nunique() > MAX_CATEGORIES:
        middles = present.quantile([0.125, 0.375, 0.625, 0.875], interpolation="nearest")
        return list(middles.unique())
    return list(present.value_counts().index[:MAX_CATEGORIES])


def _number_personal(slices: Sequence[Slice], contract: Contract) -> list[Slice]:
    """Groups by columns tagged `pii` under numbers: a report holds no value of such a column.

    They are numbered in the order of their labels, so that whoever has the rows knows them again.
    """
    numbers: dict[tuple[str, str], str] = {}
    for column in (column.name for column in contract.sensitive if column in contract.pii):
        labels = {part.where[column] for part in slices if column in part.where} - {MISSING_LABEL}
        for position, label in enumerate(sorted(labels), start=1):
            numbers[column, label] = f"group {position}"
    return [
        replace(
            part,
            where={
                column: numbers.get((column, label), label) for column, label in part.where.items()
            },
        )
        for part in slices
    ]


def describe_fairness(
    rows: pd.DataFrame,
    contract: Contract,
    score: Score,
    threshold: float | None,
    groups: Groups,
    *,
    min_rows: int,
    **settings: Unpack[Resampling],
) -> Fairness | None:
    """Disparities between groups, and counterfactual flips; None where no column is sensitive."""
    columns = [column.name for column in contract.sensitive]
    if not columns:
        return None
    target = encode_target(rows[contract.target.name].to_numpy(), contract.classes)
    slices = _number_personal(find_slices(rows, columns, min_rows), contract)
    measures = list_measures(contract, target, score(rows), threshold)

    def answers_differ(before: Floats, after: Floats) -> NDArray[np.bool_]:
        if contract.task == "regression":
            return np.asarray(np.abs(after - before)[:, 0] > MAX_CHANGE * target.std())
        return np.asarray(decide(before, threshold) != decide(after, threshold))

    return Fairness(
        columns=columns,
        min_rows=min_rows,
        disparities=measure_disparities(slices, measures, groups, **settings),
        counterfactual_flips=measure_counterfactual_flips(
            rows, contract, answers_differ, score, groups, **settings
        ),
    )
