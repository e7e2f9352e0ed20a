"""False alarms and detection of the drift tests, on windows of consecutive days.

`MONITOR_SEEDS=100` repeats the faults that often (`make prove`).
"""

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from mlchassis.bundle.daily_counts import DailyReference
from mlchassis.contract.model import Contract
from mlchassis.data.tables import coerce
from mlchassis.features.encoding import columns_from_frame
from mlchassis.monitoring.drift.thresholds import (
    History,
    Limits,
    cut_windows,
    draw_rows,
    find_limits,
    find_nearest,
    find_statistics,
)

SEEDS = int(os.environ.get("MONITOR_SEEDS", "20"))
WINDOWS = 200
DAYS = 7
Fault = Callable[[pd.DataFrame, np.random.Generator], pd.DataFrame]


def shift_by_half_a_deviation(rows: pd.DataFrame, _draw: np.random.Generator) -> pd.DataFrame:
    return rows.assign(size=rows["size"] + 0.5 * rows["size"].std())


def swap_categories(rows: pd.DataFrame, _draw: np.random.Generator) -> pd.DataFrame:
    return rows.assign(shop=rows["shop"].replace({"north": "west", "west": "north"}))


def remove_a_fifth(rows: pd.DataFrame, draw: np.random.Generator) -> pd.DataFrame:
    return rows.assign(price=rows["price"].mask(draw.random(len(rows)) < 0.2))


def change_the_unit(rows: pd.DataFrame, _draw: np.random.Generator) -> pd.DataFrame:
    return rows.assign(price=rows["price"] * 1.1)


FAULTS: dict[str, Fault] = {
    "0.5 SD shift": shift_by_half_a_deviation,
    "category swap": swap_categories,
    "20 % nulls": remove_a_fifth,
    "unit change (factor 1.1)": change_the_unit,
}


@pytest.fixture(scope="module")
def history(daily_reference: DailyReference) -> dict[str, History]:
    """The columns of the reference that hold no persons."""
    return {
        name: History(signal.cells, signal.counts)
        for name, signal in daily_reference.features.items()
        if name not in ("customer", "age")
    }


def draw_limits(history: dict[str, History], rows: int) -> Limits:
    return find_limits(history, DAYS, rows, 400, 0.005, np.random.default_rng(0))


def count_rows(
    history: dict[str, History], rows: pd.DataFrame, contract: Contract
) -> dict[str, np.ndarray]:
    frame = coerce(rows, contract)
    columns = columns_from_frame(contract, frame)
    return {
        name: np.bincount(column.cells.assign(columns[name]), minlength=column.cells.size).astype(
            float
        )[None]
        for name, column in history.items()
    }


def has_alarm(history: dict[str, History], counts: dict[str, np.ndarray], limits: Limits) -> bool:
    return any(
        values[0] > limits.by_test[name, statistic]
        for name, column in history.items()
        for statistic, values in find_nearest(column, DAYS, counts[name]).items()
    )


def test_at_most_one_of_a_hundred_windows_of_the_reference_alarms(
    history: dict[str, History],
) -> None:
    limits = draw_limits(history, 1000)
    draw = np.random.default_rng(9)
    starts = np.resize(np.arange(limits.blocks), WINDOWS)
    alarms = np.zeros(WINDOWS, dtype=bool)
    for name, column in history.items():
        sample = draw_rows(cut_windows(column.counts, starts, DAYS), 1000, draw)
        # Compared with the other days, as the days of production are other days.
        for statistic, values in find_nearest(column, DAYS, sample, starts).items():
            alarms |= values > limits.by_test[name, statistic]
    interval = binomtest(int(alarms.sum()), WINDOWS).proportion_ci()
    assert alarms.mean() <= 0.01, interval
    assert interval.high <= 0.04


@pytest.mark.one_python
def test_windows_after_the_reference_rarely_alarm(
    history: dict[str, History], shop_contract: Contract, make_rows: Callable[..., pd.DataFrame]
) -> None:
    limits = draw_limits(history, DAYS * 200)
    rows = [make_rows(DAYS, seed=100 + seed) for seed in range(2 * SEEDS)]
    alarms = [has_alarm(history, count_rows(history, part, shop_contract), limits) for part in rows]
    assert np.mean(alarms) <= 0.025


def detect(
    history: dict[str, History],
    fault: Fault,
    size: int,
    contract: Contract,
    make_rows: Callable[..., pd.DataFrame],
) -> float:
    """Return the proportion of windows with the fault that alarm."""
    limits = draw_limits(history, size)
    hits = []
    for seed in range(SEEDS):
        draw = np.random.default_rng(seed)
        days = -(-size // 200) if size > DAYS * 200 else DAYS
        rows = make_rows(days, seed=500 + seed).sample(size, random_state=seed)
        hits.append(has_alarm(history, count_rows(history, fault(rows, draw), contract), limits))
    return float(np.mean(hits))


@pytest.mark.one_python
@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_detected_in_a_thousand_rows(
    name: str,
    history: dict[str, History],
    shop_contract: Contract,
    make_rows: Callable[..., pd.DataFrame],
) -> None:
    assert detect(history, FAULTS[name], 1000, shop_contract, make_rows) >= 0.95


def test_more_columns_raise_each_limit(history: dict[str, History]) -> None:
    alone = draw_limits({"size": history["size"]}, 1000).by_test
    together = draw_limits(history, 1000).by_test
    assert together["size", "distribution"] >= alone["size", "distribution"]


def test_fewer_rows_raise_each_limit(history: dict[str, History]) -> None:
    few = draw_limits(history, 100).by_test
    many = draw_limits(history, 5000).by_test
    assert all(few[test] > many[test] for test in many if test[1] == "distribution")


def test_limits_are_equal_in_every_run(history: dict[str, History]) -> None:
    assert draw_limits(history, 500) == draw_limits(history, 500)


def test_a_season_of_the_reference_is_no_drift(
    history: dict[str, History], shop_contract: Contract, make_rows: Callable[..., pd.DataFrame]
) -> None:
    limits = draw_limits(history, 1400)
    start = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=100)
    later = count_rows(history, make_rows(DAYS, seed=70, start=start), shop_contract)
    assert not has_alarm(history, later, limits)
    season = history["season"]
    whole = season.counts.sum(axis=0, keepdims=True).astype(float)
    from_whole = find_statistics(season.cells, whole, later["season"])["distribution"][0, 0]
    nearest = find_nearest(season, DAYS, later["season"])["distribution"][0]
    assert nearest < from_whole / 3


def test_a_reference_of_one_window_is_compared_as_a_whole(history: dict[str, History]) -> None:
    short = {name: History(h.cells, h.counts[:3]) for name, h in history.items()}
    limits = draw_limits(short, 500)
    assert limits.blocks == 1
    same = {name: h.counts.sum(axis=0).astype(float)[None] for name, h in short.items()}
    assert not has_alarm(short, same, limits)
