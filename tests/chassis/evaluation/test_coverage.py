"""Coverage of the confidence intervals: how often one of 95 % holds the true value.

`COVERAGE_REPETITIONS=1000` repeats each case that often, and `COVERAGE_TABLE` names a file that
then holds the table of `docs/intervals.md`.
"""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mlchassis.evaluation.bootstrap import bootstrap
from mlchassis.evaluation.metrics import Floats, Groups, Statistic, metrics_for

REPETITIONS = int(os.environ.get("COVERAGE_REPETITIONS", "60"))
UNITS = (5, 8, 12, 15, 20, 30, 60)
EFFECTS = {"no": 0.0, "yes": 0.5, "strongly": 0.7}
"""Standard deviation of what a day adds, where that of one row is 1 (of its log odds, about 2)."""
RESAMPLES = 300

Draw = Callable[[np.random.Generator, int, float], tuple[Statistic, Groups]]


def draw_days(generator: np.random.Generator, days: int) -> Groups:
    """Draw the day of each row; days have 20 to 60 rows."""
    return np.repeat(np.arange(days), generator.integers(20, 61, days))


def draw_error(
    generator: np.random.Generator, days: int, effect: float
) -> tuple[Statistic, Groups]:
    """Draw a regression whose errors share a day's part: mean absolute error."""
    groups = draw_days(generator, days)
    target = generator.normal(size=len(groups)) + effect * generator.normal(size=days)[groups]
    zero = np.zeros((len(target), 1))
    return metrics_for("regression")["mae"].prepare(target, zero, groups), groups


def draw_answers(
    generator: np.random.Generator, days: int, effect: float
) -> tuple[Floats, Floats, Groups]:
    """Draw a yes or no whose odds share a day's part, and a model that does not know it."""
    groups = draw_days(generator, days)
    known = generator.normal(size=len(groups))
    logit = known + effect * generator.normal(size=days)[groups] - 0.5
    target = (generator.random(len(groups)) < 1 / (1 + np.exp(-logit))).astype(np.float64)
    probability = 1 / (1 + np.exp(0.5 - known))
    return target, np.column_stack([1 - probability, probability]), groups


def draw_roc_auc(
    generator: np.random.Generator, days: int, effect: float
) -> tuple[Statistic, Groups]:
    """Draw a yes or no: area under the ROC curve."""
    target, scores, groups = draw_answers(generator, days, effect)
    return metrics_for("binary")["roc_auc"].prepare(target, scores, groups), groups


def draw_brier(
    generator: np.random.Generator, days: int, effect: float
) -> tuple[Statistic, Groups]:
    """Draw a yes or no: gain in Brier score over a constant probability."""
    target, scores, groups = draw_answers(generator, days, effect)
    constant = np.full(scores.shape, [0.6, 0.4])
    mine, theirs = (
        metrics_for("binary")["brier"].prepare(target, answers, groups)
        for answers in (scores, constant)
    )
    return lambda weights: theirs(weights) - mine(weights), groups


STATISTICS: dict[str, Draw] = {
    "mean absolute error": draw_error,
    "ROC AUC": draw_roc_auc,
    "gain in Brier score": draw_brier,
}


def find_truth(draw: Draw, effect: float) -> float:
    """Compute the value of very many days."""
    # More groups than this make the area under the ROC curve a sum over rows.
    statistic, groups = draw(np.random.default_rng(0), 10_000, effect)
    return statistic(np.ones(int(groups.max()) + 1))


def measure_coverage(draw: Draw, days: int, effect: float, repetitions: int) -> float:
    """Measure in which part of the repetitions an interval of 95 % holds the true value."""
    truth, held = find_truth(draw, effect), 0
    for seed in range(repetitions):
        statistic, groups = draw(np.random.default_rng([seed, days]), days, effect)
        (found,) = bootstrap({"it": statistic}, groups, RESAMPLES, 0.95, seed).values()
        held += found.low <= truth <= found.high
    return held / repetitions


@pytest.mark.one_python
@pytest.mark.parametrize("effect", EFFECTS)
@pytest.mark.parametrize("name", STATISTICS)
def test_intervals_hold_the_truth_as_often_as_they_say(name: str, effect: str) -> None:
    few = UNITS if REPETITIONS >= 1000 else (5, 15, 30)
    found = {
        days: measure_coverage(STATISTICS[name], days, EFFECTS[effect], REPETITIONS) for days in few
    }
    # Few repetitions scatter more: three standard errors are allowed beside the two points.
    margin = 0.02 if REPETITIONS >= 1000 else 0.02 + 3 * np.sqrt(0.95 * 0.05 / REPETITIONS)
    if table := os.environ.get("COVERAGE_TABLE"):
        cells = " | ".join(f"{100 * proportion:.1f} %" for proportion in found.values())
        with Path(table).open("a", encoding="utf-8") as file:
            file.write(f"| {name} | {effect} | {cells} |\n")
    margin += 1e-9  # A proportion of exactly 93 or 97 % is within two points.
    assert {days: c for days, c in found.items() if days >= 15 and abs(c - 0.95) > margin} == {}
    assert min(found.values()) > 0.9 - (margin - 0.02)
