"""Permutation importance of each column, and the cost of serving it.

Permutation importance is the loss of the metric on the validation split when the column's values
are shuffled among the rows (Breiman 2001, Fisher et al. 2019): all features that are made of the
column are shuffled with it. Correlated columns share their importance, so a small one does not
prove that both can go. A column of seeded noise is measured too: its importance must be
insignificant.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlchassis.contract.model import Contract
from mlchassis.data.datasets import join_target
from mlchassis.evaluation.bootstrap import (
    Interval,
    count_units,
    gain,
    group_rows,
    memoize_last,
    resample,
)
from mlchassis.evaluation.metrics import Statistic
from mlchassis.evaluation.results import MeasuredInterval
from mlchassis.evaluation.slices import simultaneous
from mlchassis.extensions.estimators import FittedEstimator
from mlchassis.features.code import FeatureCode
from mlchassis.features.encoding import (
    Columns,
    FeatureMatrix,
    columns_from_frame,
    columns_from_rows,
)
from mlchassis.studies.fitting import Problem
from mlchassis.studies.results import ColumnImportance

NOISE = "(noise)"
_RECORDS = 1000
_ROUNDS = 5


@dataclass(frozen=True, slots=True)
class _Shuffling:
    """A fitted model, and the rows whose columns are shuffled."""

    problem: Problem
    model: FittedEstimator
    columns: Columns
    target: NDArray[np.float64]
    groups: NDArray[Any]

    def score(self, columns: Columns) -> Statistic:
        """Return the metric of the model on these columns, as a statistic of row weights."""
        matrix = _make_matrix(columns, self.problem.features)
        scores = np.asarray(self.model.predict(matrix))
        return memoize_last(self.problem.metric.prepare(self.target, scores, self.groups))


def measure_importance(
    problem: Problem,
    train: pd.DataFrame,
    validation: pd.DataFrame,
    say: Callable[[str], None],
) -> list[ColumnImportance]:
    """Measure each column's importance, with simultaneous intervals, and its cost; largest first.

    Args:
        problem: The problem.
        train: Rows to fit.
        validation: Rows to stop the fit, and to shuffle.
        say: Callback that prints one line to the user, for each column.
    """
    contract = problem.contract
    settings = problem.params.evaluate
    generator = np.random.default_rng(problem.params.seed)
    shuffling = _fit_with_noise(problem, train, validation, generator)
    statistics = _shuffle_each(shuffling, generator, say)
    groups = shuffling.groups
    values, draws = resample(statistics, groups, settings.resamples, problem.params.seed)
    units = [count_units(groups)] * len(statistics)
    intervals = simultaneous(values, draws, settings.confidence, units)
    measured = [
        _describe(name, interval, contract, train, validation)
        for name, interval in zip(shuffling.columns, intervals, strict=True)
    ]
    return sorted(measured, key=lambda part: -part.importance.value)


def _fit_with_noise(
    problem: Problem,
    train: pd.DataFrame,
    validation: pd.DataFrame,
    generator: np.random.Generator,
) -> _Shuffling:
    """Fit a model to the columns and one of noise."""
    contract = problem.contract
    seen, columns = (
        {**columns_from_frame(contract, rows), NOISE: generator.normal(size=len(rows))}
        for rows in (train, validation)
    )
    fitted = join_target(_make_matrix(seen, problem.features), train, contract)
    measured = join_target(_make_matrix(columns, problem.features), validation, contract)
    model = problem.fit(fitted, measured)
    groups = group_rows(validation, contract, problem.params.split)
    return _Shuffling(problem, model, columns, measured.target, groups)


def _shuffle_each(
    shuffling: _Shuffling, generator: np.random.Generator, say: Callable[[str], None]
) -> list[Statistic]:
    """Return the loss by shuffling of each column, as a statistic of row weights."""
    problem = shuffling.problem
    columns = shuffling.columns
    unshuffled = shuffling.score(columns)
    statistics = []
    for number, name in enumerate(columns, start=1):
        say(f"importance: shuffling {name} ({number} of {len(columns)})")
        orders = [
            generator.permutation(len(shuffling.target))
            for _ in range(problem.params.study.repeats)
        ]
        shuffled = [shuffling.score({**columns, name: columns[name][order]}) for order in orders]
        statistics.append(_mean([gain(problem.metric, unshuffled, part) for part in shuffled]))
    return statistics


def _make_matrix(columns: Columns, features: FeatureCode) -> FeatureMatrix:
    """Return the features of the columns, with the noise beside them."""
    rest = {name: values for name, values in columns.items() if name != NOISE}
    matrix = features.arrange(rest)
    numeric = np.column_stack([matrix.numeric, columns[NOISE].astype(np.float32)])
    return replace(matrix, numeric_names=(*matrix.numeric_names, NOISE), numeric=numeric)


def _mean(statistics: list[Statistic]) -> Statistic:
    return lambda weights: float(np.mean([statistic(weights) for statistic in statistics]))


def _describe(
    name: str,
    interval: Interval,
    contract: Contract,
    train: pd.DataFrame,
    validation: pd.DataFrame,
) -> ColumnImportance:
    """Return importance and cost of a column; noise costs nothing."""
    is_noise = name == NOISE
    return ColumnImportance(
        column=name,
        importance=MeasuredInterval.of(interval),
        shown=interval.low > 0,
        missing=None if is_noise else float(train[name].isna().mean()),
        microseconds=None if is_noise else _time_reading(name, contract, validation),
    )


def _time_reading(name: str, contract: Contract, validation: pd.DataFrame) -> float:
    """Measure the microseconds to read one value of a request."""
    alone = replace(contract, columns=(contract.column(name),))
    values = validation[name].head(_RECORDS).astype(object)
    records = [{name: value} for value in values.where(values.notna(), None)]
    nanoseconds = []
    for _ in range(_ROUNDS):
        begin = time.perf_counter_ns()
        columns_from_rows(alone, records)
        nanoseconds.append(time.perf_counter_ns() - begin)
    return min(nanoseconds) / len(records) / 1000
