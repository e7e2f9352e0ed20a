"""Bootstrap intervals: as wide as groups make them, and paired."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import skew, t, ttest_ind

from mlchassis.config.params import SplitParams
from mlchassis.contract.model import Column, Contract
from mlchassis.data.tables import coerce
from mlchassis.evaluation.bootstrap import (
    bootstrap,
    difference_between_splits,
    gain,
    group_rows,
    memoize_last,
    name_unit,
    number_units,
    paired_difference,
    resample,
)
from mlchassis.evaluation.metrics import Floats, Groups, Statistic, metrics_for, proportion

SETTINGS: dict[str, Any] = {"resamples": 200, "confidence": 0.9, "seed": 1}


def mean_of(values: Floats, groups: Groups) -> Statistic:
    return proportion(values, np.ones(len(values)), groups)


def draw_days(seed: int, days: int = 40, rows: int = 10) -> tuple[Floats, Groups]:
    """Rows whose days differ more than the rows of one day do; their true mean is 0."""
    generator = np.random.default_rng(seed)
    groups = np.repeat(np.arange(days), rows)
    return generator.normal(size=days)[groups] + generator.normal(0, 0.3, len(groups)), groups


def test_an_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    held = 0
    for seed in range(150):
        values, groups = draw_days(seed)
        interval = bootstrap({"mean": mean_of(values, groups)}, groups, 120, 0.9, seed)["mean"]
        held += interval.low <= 0 <= interval.high

    assert 0.8 <= held / 150 <= 0.97


def test_rows_taken_for_independent_would_give_intervals_that_are_far_too_narrow() -> None:
    values, groups = draw_days(1)
    by_day = bootstrap({"mean": mean_of(values, groups)}, groups, **SETTINGS)["mean"]
    rows = np.arange(len(values))
    by_row = bootstrap({"mean": mean_of(values, rows)}, rows, **SETTINGS)["mean"]

    assert by_day.high - by_day.low > 2 * (by_row.high - by_row.low)


def test_whole_groups_are_drawn_as_many_as_there_are() -> None:
    groups = np.array([0, 0, 0, 1, 2, 2])
    seen: list[list[float]] = []

    def watch(weights: Floats) -> float:
        seen.append(weights.tolist())
        return 0.0

    resample([watch], groups, resamples=50, seed=1)

    assert all(len(weights) == 3 and sum(weights) == 3 for weights in seen)
    assert len({tuple(weights) for weights in seen}) > 5


def test_the_value_is_that_of_all_rows_and_lies_in_its_interval() -> None:
    values, groups = draw_days(3)
    interval = bootstrap({"mean": mean_of(values, groups)}, groups, **SETTINGS)["mean"]

    assert interval.value == pytest.approx(values.mean())
    assert interval.low < interval.value < interval.high
    assert interval.as_dict() == {
        "value": interval.value,
        "low": interval.low,
        "high": interval.high,
    }


def test_more_confidence_gives_a_wider_interval_and_the_seed_decides() -> None:
    values, groups = draw_days(3)
    statistics = {"mean": mean_of(values, groups)}
    wide = bootstrap(statistics, groups, 200, 0.99, 1)["mean"]
    narrow = bootstrap(statistics, groups, 200, 0.6, 1)["mean"]

    assert wide.low < narrow.low < narrow.high < wide.high
    assert bootstrap(statistics, groups, 200, 0.6, 1)["mean"] == narrow
    assert bootstrap(statistics, groups, 200, 0.6, 2)["mean"] != narrow


def test_a_paired_difference_is_tighter_than_two_intervals() -> None:
    generator = np.random.default_rng(1)
    noise, groups = draw_days(5)
    target = noise
    better = (noise + generator.normal(0, 0.1, len(noise)))[:, None]
    worse = (noise + generator.normal(0, 0.4, len(noise)))[:, None]
    metric = metrics_for("regression")["rmse"]
    difference = paired_difference(metric, target, better, worse, groups, **SETTINGS)
    each = bootstrap(
        {
            "better": metric.prepare(target, better, groups),
            "worse": metric.prepare(target, worse, groups),
        },
        groups,
        **SETTINGS,
    )

    assert difference.low > 0
    unpaired = (each["better"].high - each["better"].low) + (each["worse"].high - each["worse"].low)
    assert difference.high - difference.low < unpaired


def test_equal_scores_gain_nothing_with_certainty() -> None:
    values, groups = draw_days(2)
    metric = metrics_for("regression")["rmse"]
    scores = values[:, None] + 0.1
    difference = paired_difference(metric, values, scores, scores, groups, **SETTINGS)

    assert (difference.value, difference.low, difference.high) == (0, 0, 0)


@pytest.mark.parametrize("name", ["rmse", "r2"])
def test_a_gain_is_positive_where_the_candidate_is_better(name: str) -> None:
    target = np.arange(10.0)
    metric = metrics_for("regression")[name]
    good = metric.prepare(target, target[:, None] + 0.1)
    bad = metric.prepare(target, target[:, None] + 2)

    assert gain(metric, good, bad)(np.ones(10)) > 0
    assert gain(metric, bad, good)(np.ones(10)) < 0


def test_a_model_is_asked_once_about_the_same_weights_and_again_about_others() -> None:
    asked: list[float] = []

    def statistic(weights: Floats) -> float:
        asked.append(float(weights.sum()))
        return asked[-1]

    remembered, ones, twos = memoize_last(statistic), np.ones(3), np.full(3, 2.0)

    assert [remembered(weights) for weights in (ones, ones, twos, ones)] == [3, 3, 6, 3]
    assert asked == [3, 6, 3]


def test_a_difference_between_splits_is_as_uncertain_as_both_together() -> None:
    # Windows of the same days, of which each is drawn by itself all the same.
    values, groups = draw_days(1)
    before, after = mean_of(values, groups), mean_of(values + 2, groups)
    alone = bootstrap({"mean": before}, groups, **SETTINGS)["mean"]
    difference = difference_between_splits((before, groups), (after, groups), **SETTINGS)

    assert difference.value == pytest.approx(2)
    width = difference.high - difference.low
    assert width == pytest.approx(np.sqrt(2) * (alone.high - alone.low), rel=0.25)


def test_resamples_that_say_nothing_are_left_out() -> None:
    # Of so few groups some resamples hold one class alone.
    groups = np.arange(6)
    scores = np.array([[0.9, 0.1], [0.6, 0.4], [0.7, 0.3], [0.5, 0.5], [0.2, 0.8], [0.4, 0.6]])
    statistic = metrics_for("binary")["roc_auc"].prepare(np.array([0.0, 0, 0, 0, 1, 1]), scores)
    interval = bootstrap({"roc_auc": statistic}, groups, **SETTINGS)["roc_auc"]

    assert (interval.value, interval.low, interval.high) == (1, 1, 1)


def settings(**changes: Any) -> SplitParams:
    usual = {"strategy": "time", "validation_days": 2, "test_days": 3, "min_rows": 1, "group": None}
    proportions = {"validation_proportion": 0.2, "test_proportion": 0.2}
    return SplitParams.model_validate(usual | proportions | changes)


@pytest.mark.parametrize(
    ("changes", "units", "name"),
    [
        ({}, [0, 1, 0, 2], "day"),
        ({"strategy": "random"}, [0, 1, 2, 3], "row"),
        ({"strategy": "group", "group": "who"}, [0, 0, 1, 2], "who"),
    ],
)
def test_the_resampling_unit_is_that_by_which_rows_are_split(
    changes: dict[str, Any], units: list[int], name: str
) -> None:
    moment = Column("moment", "timestamp", True, "", (), frozenset({"event_time"}))
    who = Column("who", "string", False, "", (), frozenset())
    contract = Contract("visits", "1.0.0", "", (moment, who))
    moments = [
        "2013-01-02T00:00:00Z",
        "2013-01-01T23:59:00Z",
        "2013-01-01T20:00:00-05:00",
        "2013-01-05T20:00:00Z",
    ]
    rows = coerce(pd.DataFrame({"moment": moments, "who": ["a", "a", "b", None]}), contract)

    assert number_units(rows, contract, settings(**changes)).tolist() == units
    # So few support no interval, and rows stand in for them.
    assert group_rows(rows, contract, settings(**changes)).tolist() == [0, 1, 2, 3]
    assert name_unit(contract, settings(**changes)) == name


@pytest.mark.parametrize("days", [5, 14, 15, 30])
@pytest.mark.parametrize("transform", [np.sin, np.exp])
def test_an_interval_is_wider_than_students_t_by_the_skewness(days: int, transform: Any) -> None:
    values, groups = draw_days(1, days)
    values = transform(values)
    by_day = values.reshape(days, -1).mean(axis=1)
    found = bootstrap({"mean": mean_of(values, groups)}, groups, 2000, 0.95, 1)["mean"]
    low, high = t.interval(0.95, days - 1, by_day.mean(), by_day.std(ddof=1) / np.sqrt(days))
    wider = 1 + abs(skew(by_day)) / np.sqrt(days)
    # Below 15 days the jackknife of a mean is exact; above, resamples scatter.
    scatter = 1e-6 if days < 15 else 0.07
    assert (found.high - found.low) / (high - low) == pytest.approx(wider, rel=scatter)


def test_a_rise_from_few_units_is_as_uncertain_as_students_t_says() -> None:
    (before, some), (after, others) = draw_days(1, 6), draw_days(2, 40)
    found = difference_between_splits(
        (mean_of(before, some), some), (mean_of(after, others), others), 300, 0.95, 1
    )
    by_day = [values.reshape(-1, 10).mean(axis=1) for values in (after, before)]
    low, high = ttest_ind(*by_day, equal_var=False).confidence_interval(0.95)
    assert found.high - found.low == pytest.approx(high - low, rel=0.1)
