"""Staleness: models of earlier months against newer ones on the same later months.

A backtest (Breck et al. 2017, "Models are not too stale"): for each of the newest months the world
is turned back to its beginning, and a model that was trained then is compared with those that had
been trained one, two, … months before. The calendar counts: of quarters the next older model is
three months old.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mlchassis.evaluation.bootstrap import (
    count_units,
    find_percentiles,
    gain,
    group_rows,
    memoize_last,
    resample,
)
from mlchassis.evaluation.metrics import Floats
from mlchassis.evaluation.results import MeasuredInterval
from mlchassis.extensions.estimators import FittedEstimator
from mlchassis.studies.fitting import NothingToStudyError, Problem
from mlchassis.studies.results import AgeLoss, Staleness

_LEAST_MONTHS = 2
"""Months of training that the oldest model has."""


@dataclass(frozen=True, slots=True)
class _Gap:
    """Gain of a new model over an old one on one month.

    Attributes:
        value: The gain.
        draws: The gain in each resample.
        units: Number of resampled units, such as days.
    """

    value: float
    draws: Floats
    units: int


def measure_staleness(
    problem: Problem, months: Mapping[str, pd.DataFrame], say: Callable[[str], None]
) -> Staleness:
    """Measure what an old model loses against a new one, by its age, and find the oldest allowed.

    Args:
        problem: The problem.
        months: Labeled rows by month.
        say: Callback that prints one line to the user, for each fit and each month left out.

    Raises:
        NothingToStudyError: There is no time, or too few months or labels.
    """
    # Labels of the newest month may all be still to come.
    months = {name: months[name] for name in sorted(months) if len(months[name])}
    if problem.contract.event_time is None or len(months) < _LEAST_MONTHS + 2:
        raise NothingToStudyError(
            f"The table has {len(months)} months, and to see how a model ages takes at least "
            f"{_LEAST_MONTHS + 2}: leave the study 'staleness' out until there are more."
        )
    gaps = _collect_gaps(problem, months, _fit_models(problem, months, say), say)
    ages = [_describe(age, part, problem) for age, part in sorted(gaps.items())]
    limit = problem.params.study.max_loss
    return Staleness(
        metric=problem.params.judge.metric,
        max_loss=limit,
        ages=ages,
        max_age_months=_find_oldest(ages, limit),
        oldest_tried=ages[-1].months,
    )


def _collect_gaps(
    problem: Problem,
    months: Mapping[str, pd.DataFrame],
    models: Mapping[int, FittedEstimator],
    say: Callable[[str], None],
) -> dict[int, list[_Gap]]:
    """Return the gaps of each age on the newest months on which the metric can be measured.

    Raises:
        NothingToStudyError: There is no such month.
    """
    metric = problem.params.judge.metric
    names = list(months)
    gaps: dict[int, list[_Gap]] = {}
    tried = 0
    for number in reversed(range(_LEAST_MONTHS + 1, len(names))):
        rows = months[names[number]]
        compared = _compare_ages(problem, rows, number, models)
        if any(np.isnan(gap.value) for gap in compared):
            say(
                f"staleness: {names[number]} is left out: {metric} cannot be measured on its "
                f"{len(rows):,} labeled rows"
            )
            continue
        for age, gap in zip(_list_ages(names[:number]), compared, strict=True):
            gaps.setdefault(age, []).append(gap)
        tried += 1
        if tried == problem.params.study.months:
            break
    if not gaps:
        raise NothingToStudyError(
            f"There is no month on which {metric} can be measured: leave the study 'staleness' out "
            "until more rows have labels."
        )
    return gaps


def _list_ages(names: Sequence[str]) -> list[int]:
    """List how much older the models of earlier months are than the one of the last month."""
    earlier = names[_LEAST_MONTHS - 1 : -1]
    return [_count_months(name, names[-1]) for name in reversed(earlier)]


def _count_months(earlier: str, later: str) -> int:
    """Count the months of the calendar from one to another, such as 2013-11 to 2014-02: 3."""
    years, months = (
        int(b) - int(a) for a, b in zip(earlier.split("-"), later.split("-"), strict=True)
    )
    return 12 * years + months


def _fit_models(
    problem: Problem, months: Mapping[str, pd.DataFrame], say: Callable[[str], None]
) -> dict[int, FittedEstimator]:
    """Fit a model to the first months, for each number of months from the least."""
    names = list(months)
    models = {}
    for count in range(_LEAST_MONTHS, len(names)):
        say(f"staleness: training on the {count} months to {names[count - 1]}")
        models[count] = _fit(problem, pd.concat([months[name] for name in names[:count]]))
    return models


def _fit(problem: Problem, rows: pd.DataFrame) -> FittedEstimator:
    """Fit a model as the pipeline does: the newest days stop the fit.

    Raises:
        NothingToStudyError: These are all days.
    """
    timestamps = rows[problem.contract.event_time.name]  # type: ignore[union-attr]
    days = problem.params.split.validation_days
    begin = timestamps.max() - pd.Timedelta(days=days)
    is_late = (timestamps > begin).to_numpy()
    if is_late.all():
        raise NothingToStudyError(
            f"The oldest model is trained on {_LEAST_MONTHS} months, and all their days are taken "
            f"to stop the fit, by split.validation_days ({days}): lower it, or leave the study "
            "'staleness' out."
        )
    return problem.fit(problem.make_dataset(rows[~is_late]), problem.make_dataset(rows[is_late]))


def _compare_ages(
    problem: Problem, rows: pd.DataFrame, number: int, models: Mapping[int, FittedEstimator]
) -> list[_Gap]:
    """Return the gain of the newest model over each older one on a month, by age."""
    dataset = problem.make_dataset(rows)
    groups = group_rows(rows, problem.contract, problem.params.split)
    statistics = []
    for count in range(number, _LEAST_MONTHS - 1, -1):
        scores = np.asarray(models[count].predict(dataset.features))
        statistics.append(memoize_last(problem.metric.prepare(dataset.target, scores, groups)))
    gains = [gain(problem.metric, statistics[0], old) for old in statistics[1:]]
    settings = problem.params.evaluate
    values, draws = resample(gains, groups, settings.resamples, problem.params.seed)
    units = count_units(groups)
    return [_Gap(value, part, units) for value, part in zip(values, draws.T, strict=True)]


def _describe(age: int, gaps: list[_Gap], problem: Problem) -> AgeLoss:
    """Average the gaps of an age over the months."""
    draws = np.mean([gap.draws for gap in gaps], axis=0)
    units = min(gap.units for gap in gaps)
    low, high = find_percentiles(draws, problem.params.evaluate.confidence, units)
    value = float(np.mean([gap.value for gap in gaps]))
    interval = MeasuredInterval(value=value, low=float(low), high=float(high))
    return AgeLoss(months=age, tried_in=len(gaps), gap=interval)


def _find_oldest(ages: list[AgeLoss], limit: float) -> int:
    """Return the age in months before the first one that loses more than the limit."""
    oldest = 0
    for part in ages:
        if part.gap.value > limit:
            break
        oldest = part.months
    return oldest
