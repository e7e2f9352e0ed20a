"""Staleness: models of earlier months against newer ones on the same later months.

A backtest (Breck et al. 2017, "Models are not too stale"): for each of the newest months the world
is turned back to its beginning, and a model that was trained then is compared with those that had
been trained one, two, … months before.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from mlchassis.evaluation.bootstrap import (
    count_units,
    find_percentiles,
    gain,
    group_rows,
    once,
    resample,
)
from mlchassis.studies.fitting import NothingToStudyError, Task
from mlchassis.training.estimators import predict_scores

_LEAST_MONTHS = 2
"""Months of training that the oldest model has."""


def measure_age(
    task: Task, months: Mapping[str, pd.DataFrame], say: Callable[[str], None]
) -> dict[str, Any]:
    """The gap of an old model to a fresh one by age in months, and the age that is too much.

    Args:
        task: The problem.
        months: Labelled rows by month.
        say: Shows one line to the user, for each fit.

    Raises:
        NothingToStudyError: There is no time, or too few months.
    """
    names = sorted(months)
    if task.contract.event_time is None or len(names) < _LEAST_MONTHS + 2:
        raise NothingToStudyError(
            f"The table has {len(names)} months, and to see how a model ages takes at least "
            f"{_LEAST_MONTHS + 2}: leave the study 'age' out until there are more."
        )
    first = max(_LEAST_MONTHS + 1, len(names) - task.params.study.months)
    asked = range(first, len(names))
    models = {}
    for count in range(_LEAST_MONTHS, len(names)):
        say(f"age: training on the {count} months until {names[count - 1]}")
        models[count] = _fit_until(task, pd.concat([months[name] for name in names[:count]]))
    found: dict[int, list[Any]] = {}
    for number in asked:
        for age, gap in enumerate(_measure_month(task, months[names[number]], number, models), 1):
            found.setdefault(age, []).append(gap)
    ages = [_describe(age, gaps, task) for age, gaps in sorted(found.items())]
    limit, oldest = task.params.study.max_loss, 0
    for part in ages:
        if part["gap"]["value"] > limit:
            break
        oldest = part["months"]
    return {
        "metric": task.params.judge.metric,
        "max_loss": limit,
        "ages": ages,
        "max_age_months": oldest,
        "oldest_tried": ages[-1]["months"],
    }


def _fit_until(task: Task, rows: pd.DataFrame) -> Any:
    """A model as the pipeline makes it: the newest days stop the fit."""
    moments = rows[task.contract.event_time.name]  # type: ignore[union-attr]
    begin = moments.max() - pd.Timedelta(days=task.params.split.valid_days)
    late = (moments > begin).to_numpy()
    return task.fit(task.examples(rows[~late]), task.examples(rows[late]))


def _measure_month(
    task: Task, rows: pd.DataFrame, number: int, models: Mapping[int, Any]
) -> list[Any]:
    """Measure what the fresh model gains over each old one: value, resamples, number of units."""
    examples, groups = task.examples(rows), group_rows(rows, task.contract, task.params.split)
    counts = range(number, _LEAST_MONTHS - 1, -1)
    scores = [predict_scores(models[count], examples.features) for count in counts]
    asked = [once(task.metric.prepare(examples.target, part, groups)) for part in scores]
    gaps = [gain(task.metric, asked[0], old) for old in asked[1:]]
    values, draws = resample(gaps, groups, task.params.evaluate.resamples, task.params.seed)
    units = count_units(groups)
    return [(value, part, units) for value, part in zip(values, draws.T, strict=True)]


def _describe(age: int, gaps: list[Any], task: Task) -> dict[str, Any]:
    draws = np.mean([part for _, part, _ in gaps], axis=0)
    units = min(count for _, _, count in gaps)
    low, high = find_percentiles(draws, task.params.evaluate.confidence, units)
    value = float(np.mean([part for part, _, _ in gaps]))
    gap = {"value": value, "low": float(low), "high": float(high)}
    return {"months": age, "tried_in": len(gaps), "gap": gap}
