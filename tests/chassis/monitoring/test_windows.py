"""Windows of the log, compared with the reference from end to end."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mlchassis.bundle.bundle import Bundle
from mlchassis.bundle.daily_counts import DailyReference
from mlchassis.config.params import MonitorParams
from mlchassis.monitoring.counting import LogCounter
from mlchassis.monitoring.drift.windows import (
    Reference,
    compare_window,
    drop_stray_days,
    list_windows,
)
from mlchassis.monitoring.prediction_log import LogFacts, read_log
from mlchassis.monitoring.results import Performance, Window

NOW = datetime(2025, 6, 1, tzinfo=UTC)
START = datetime(2024, 4, 20, tzinfo=UTC)
Compare = Callable[..., Window]


@pytest.fixture
def compare(
    monitored_bundle: Bundle,
    daily_reference: DailyReference,
    monitor_params: MonitorParams,
    write_log: Callable[..., Path],
    tmp_path: Path,
) -> Compare:
    """Function that logs rows and compares their newest window."""

    def run(rows: pd.DataFrame, *, labeled: int = 0) -> Window:
        write_log(tmp_path, rows)
        known = rows[:labeled]
        labels = dict(zip(known["order_id"], known["returned"].astype(float), strict=True))
        counter = LogCounter(monitored_bundle, daily_reference, labels)
        for chunk in read_log(tmp_path, monitored_bundle.contract, NOW, LogFacts()):
            counter.add(chunk)
        days = list_windows(list(counter.counts.rows), monitor_params)[-1]
        reference = Reference.read(daily_reference, ["customer", "age"])
        return compare_window(days, counter.counts, reference, monitor_params, seed=1)[0]

    return run


def get_performance(window: Window) -> Performance:
    assert window.performance is not None
    return window.performance


def test_windows_are_counted_back_from_the_newest_day() -> None:
    days = ["2024-01-01", "2024-01-20", "2024-01-21"]
    windows = list_windows(days, MonitorParams(window_days=7, windows=3))
    assert [(window[0], window[-1]) for window in windows] == [
        ("2024-01-01", "2024-01-07"),
        ("2024-01-08", "2024-01-14"),
        ("2024-01-15", "2024-01-21"),
    ]
    assert list_windows(["2024-01-21"], MonitorParams()) == [
        [f"2024-01-{day}" for day in range(15, 22)]
    ]
    assert list_windows([], MonitorParams()) == []


@pytest.mark.parametrize(
    ("later", "kept"),
    [
        ({}, ["2024-01-20", "2024-01-21"]),
        # A client wrote the next year.
        ({"2025-01-20": 1}, ["2024-01-20", "2024-01-21"]),
        ({"2024-01-22": 300, "2025-01-20": 199}, ["2024-01-20", "2024-01-21"]),
        # Rows about the future are usual here; the last one of them is stray.
        ({"2024-03-01": 500, "2025-01-20": 1}, ["2024-01-20", "2024-01-21", "2024-03-01"]),
        ({"2024-03-01": 300, "2024-03-02": 200}, ["2024-01-20", "2024-01-21", "2024-03-01"]),
    ],
)
def test_few_rows_about_the_future_move_no_window(later: dict[str, int], kept: list[str]) -> None:
    rows = {"2024-01-21": 3, "2024-01-20": 3, **later}
    assert drop_stray_days(rows, datetime(2024, 1, 21, 23, tzinfo=UTC), 500) == kept


def test_rows_about_the_future_alone_have_windows() -> None:
    now = datetime(2024, 1, 21, tzinfo=UTC)
    assert drop_stray_days({"2024-02-01": 2, "2024-02-02": 1}, now, 500) == ["2024-02-01"]
    assert drop_stray_days({}, now, 500) == []


def test_rows_like_those_of_the_reference_are_quiet(
    compare: Compare, make_rows: Callable[..., pd.DataFrame]
) -> None:
    window = compare(make_rows(7, seed=40, start=START), labeled=1400)
    assert (window.rows, window.enough, window.alarms) == (1400, True, [])
    found = get_performance(window)
    assert (found.answered, found.labeled, found.maturity) == (1400, 1400, 1.0)
    assert not found.alarm
    assert not found.expects_alarm
    assert found.value == pytest.approx(found.reference, abs=0.02)
    assert found.low is not None
    assert found.high is not None
    assert found.low < found.reference < found.high


def test_a_shift_of_one_column_names_it_and_what_follows_from_it(
    compare: Compare, make_rows: Callable[..., pd.DataFrame]
) -> None:
    rows = make_rows(7, seed=41, start=START)
    window = compare(rows.assign(size=rows["size"] + 5))
    assert {test.column for test in window.alarms} == {"size", "prediction"}
    (size,) = [found for found in window.distances if found.column == "size"]
    assert size.wasserstein == pytest.approx(0.5, abs=0.1)


def test_too_few_rows_are_not_tested(
    compare: Compare, make_rows: Callable[..., pd.DataFrame]
) -> None:
    window = compare(make_rows(7, seed=42, start=START).sample(499, random_state=1))
    assert (window.rows, window.enough, window.tests, window.performance) == (499, False, [], None)


@pytest.mark.parametrize(("labeled", "is_known"), [(350, False), (650, False), (700, True)])
def test_realized_performance_waits_for_enough_labels(
    compare: Compare, make_rows: Callable[..., pd.DataFrame], labeled: int, is_known: bool
) -> None:
    found = get_performance(compare(make_rows(7, seed=43, start=START), labeled=labeled))
    assert [found.value is not None, found.limit is not None] == [is_known, is_known]
    assert found.maturity == labeled / 1400
    assert found.estimated == pytest.approx(found.reference, abs=0.02)


def test_labels_of_one_day_give_no_interval(
    compare: Compare, make_rows: Callable[..., pd.DataFrame]
) -> None:
    rows = make_rows(7, seed=43, start=START).assign(ordered_at=START)
    found = get_performance(compare(rows, labeled=1400))
    assert found.value is not None
    assert (found.low, found.high) == (None, None)


def test_the_estimate_follows_harder_rows(
    compare: Compare, make_rows: Callable[..., pd.DataFrame]
) -> None:
    # Rows near the decision boundary alone: probabilities near a half are wrong more often.
    rows = make_rows(40, seed=44, start=START)
    hard = rows[(rows["size"] - 50).abs() < 3]
    hard = hard.assign(ordered_at=[START + timedelta(days=k % 7) for k in range(len(hard))])
    draw = np.random.default_rng(1)
    hard = hard.assign(returned=draw.random(len(hard)) < 0.5)
    found = get_performance(compare(hard, labeled=len(hard)))
    assert found.expects_alarm
    assert found.estimated == pytest.approx(found.value, abs=0.01)


def test_concept_drift_is_seen_by_labels_and_not_by_the_estimate(
    compare: Compare, make_rows: Callable[..., pd.DataFrame]
) -> None:
    rows = make_rows(7, seed=45, start=START)
    # Equal inputs and answers, opposite outcomes.
    window = compare(rows.assign(returned=~rows["returned"]), labeled=1400)
    found = get_performance(window)
    assert window.alarms == []
    assert found.alarm
    assert not found.expects_alarm
    assert found.estimated == pytest.approx(found.reference, abs=0.02)
    assert found.value is not None
    assert found.value > found.reference + 0.05


def test_the_same_weeks_of_the_year_before_are_shown(
    compare: Compare, make_rows: Callable[..., pd.DataFrame]
) -> None:
    season = compare(make_rows(7, seed=46, start=START + timedelta(days=320))).season
    assert season is not None
    assert (season.start, season.rows) == ("2024-03-07", 1400)
    assert {found.column for found in season.distances} == {"size", "price", "season", "shop"}


def test_without_a_year_before_there_is_no_season(
    compare: Compare, make_rows: Callable[..., pd.DataFrame]
) -> None:
    assert compare(make_rows(7, seed=47, start=START)).season is None
