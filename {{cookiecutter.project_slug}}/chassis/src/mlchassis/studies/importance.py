"""Permutation importance of each column, and the cost of serving it.

Worth is what the metric loses on the validation window when the column's values are shuffled among
the rows (permutation importance; Breiman 2001, Fisher et al. 2019): all features that are made of
the column are shuffled with it. Columns that say nearly the same share their worth, so that a small
one is no proof that both can go. A column of seeded noise goes along: whoever believes this table
believes that noise is worth nothing.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from mlchassis.contract.model import Contract
from mlchassis.data.datasets import make_examples
from mlchassis.evaluation.bootstrap import count_units, gain, group_rows, once, resample
from mlchassis.evaluation.metrics import Statistic
from mlchassis.evaluation.slices import simultaneous
from mlchassis.features.code import FeatureCode
from mlchassis.features.encoding import (
    Columns,
    FeatureMatrix,
    columns_from_frame,
    columns_from_rows,
)
from mlchassis.studies.fitting import Task
from mlchassis.training.estimators import feature_frame, predict_scores

NOISE = "(noise)"
_RECORDS = 1000
_ROUNDS = 5


def measure_worth(
    task: Task, train: pd.DataFrame, valid: pd.DataFrame, say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Worth with an interval that holds for all columns at once, and costs; the worthiest first.

    Args:
        task: The problem.
        train: Rows to fit.
        valid: Rows to stop the fit, and to shuffle.
        say: Shows one line to the user, for each column.
    """
    contract, settings = task.contract, task.params.evaluate
    generator = np.random.default_rng(task.params.seed)
    seen, columns = (
        {**columns_from_frame(contract, rows), NOISE: generator.normal(size=len(rows))}
        for rows in (train, valid)
    )
    examples = make_examples(_matrix(columns, task.features), valid, contract)
    model = task.fit(make_examples(_matrix(seen, task.features), train, contract), examples)

    groups = group_rows(valid, contract, task.params.split)

    def ask(changed: Columns) -> Statistic:
        scores = predict_scores(model, feature_frame(_matrix(changed, task.features)))
        return once(task.metric.prepare(examples.target, scores, groups))

    straight, statistics = ask(columns), []
    for number, name in enumerate(columns, start=1):
        say(f"worth: shuffling {name} ({number} of {len(columns)})")
        orders = [generator.permutation(len(valid)) for _ in range(task.params.study.repeats)]
        shuffled = [ask({**columns, name: columns[name][order]}) for order in orders]
        statistics.append(_mean([gain(task.metric, straight, part) for part in shuffled]))
    values, draws = resample(statistics, groups, settings.resamples, task.params.seed)
    units = [count_units(groups)] * len(statistics)
    found = [
        {
            "column": name,
            "worth": interval.as_dict(),
            "shown": interval.low > 0,
            **_costs(name, contract, train, valid),
        }
        for name, interval in zip(
            columns, simultaneous(values, draws, settings.confidence, units), strict=True
        )
    ]
    return sorted(found, key=lambda part: -part["worth"]["value"])


def _matrix(columns: Columns, features: FeatureCode) -> FeatureMatrix:
    """The features of the columns, and the noise beside them as it is."""
    rest = {name: values for name, values in columns.items() if name != NOISE}
    matrix = features.arrange(rest)
    numeric = np.column_stack([matrix.numeric, columns[NOISE].astype(np.float32)])
    return replace(matrix, numeric_names=(*matrix.numeric_names, NOISE), numeric=numeric)


def _mean(statistics: list[Statistic]) -> Statistic:
    return lambda weights: float(np.mean([statistic(weights) for statistic in statistics]))


def _costs(
    name: str, contract: Contract, train: pd.DataFrame, valid: pd.DataFrame
) -> dict[str, float | None]:
    """Share of missing values in training, and microseconds to read one value of a request."""
    if name == NOISE:
        return {"missing": None, "microseconds": None}
    alone = replace(contract, columns=(contract.column(name),))
    values = valid[name].head(_RECORDS).astype(object)
    records = [{name: value} for value in values.where(values.notna(), None)]
    taken = []
    for _ in range(_ROUNDS):
        begin = time.perf_counter_ns()
        columns_from_rows(alone, records)
        taken.append(time.perf_counter_ns() - begin)
    return {
        "missing": float(train[name].isna().mean()),
        "microseconds": min(taken) / len(records) / 1000,
    }
