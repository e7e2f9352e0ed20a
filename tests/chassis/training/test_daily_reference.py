"""Reference by day: counts of every row, without values of persons."""

import numpy as np
import pandas as pd
import pytest

from mlchassis.bundle.daily_counts import DailyReference, measure_doubt, measure_loss
from mlchassis.contract.model import Contract
from mlchassis.evaluation.metrics import metrics_for
from mlchassis.features.encoding import MISSING
from mlchassis.training.daily_reference.counts import (
    MAX_CATEGORIES,
    describe_days,
    divide_categories,
    divide_numbers,
    name_event_days,
)


def test_every_row_is_counted_on_its_day(daily_reference: DailyReference) -> None:
    assert len(daily_reference.days) == 120
    assert daily_reference.days[0] == "2024-01-01"
    for signal in daily_reference.features.values():
        assert signal.counts.sum(axis=1).tolist() == [200] * 120
    assert daily_reference.prediction.counts.sum(axis=1).tolist() == [200] * 60
    assert daily_reference.held_out_days == daily_reference.days[60:]


def test_a_column_of_persons_has_the_count_of_missing_values_alone(
    daily_reference: DailyReference,
) -> None:
    for name in ("customer", "age"):
        cells = daily_reference.features[name].cells
        assert (cells.size, cells.edges, cells.categories) == (2, (), ())
    assert "Somebody" not in daily_reference.model_dump_json()


def test_a_reference_survives_json(daily_reference: DailyReference) -> None:
    again = DailyReference.model_validate_json(daily_reference.model_dump_json())
    assert again == daily_reference


def test_ranges_hold_equally_many_numbers_and_mark_values_outside() -> None:
    cells = divide_numbers(np.arange(1000, dtype=float))
    found = cells.assign(np.array([-5.0, 0.0, 500.0, 999.0, 5000.0, np.nan]))
    assert found.tolist() == [0, 0, 11, 20, 21, 22]
    assert cells.means[-1] == 999
    assert np.bincount(cells.assign(np.arange(1000.0))).max() <= 51


def test_numbers_without_any_value_have_one_range() -> None:
    cells = divide_numbers(np.full(5, np.nan))
    assert cells.assign(np.array([1.0, np.nan])).tolist() == [0, 1]


def test_rare_and_new_categories_proportion_a_cell() -> None:
    words = [f"w{number:02d}" for number in range(60)] + ["common"] * 5 + [MISSING]
    cells = divide_categories(np.array(words, dtype=object))
    assert cells.categories[0] == "common"
    assert len(cells.categories) == MAX_CATEGORIES
    found = cells.assign(np.array(["common", "w59", "never seen", MISSING], dtype=object))
    assert found.tolist() == [0, MAX_CATEGORIES, MAX_CATEGORIES, MAX_CATEGORIES + 1]


def test_the_estimate_repeats_the_mean_loss_of_the_held_out_rows(
    daily_reference: DailyReference,
) -> None:
    loss = daily_reference.loss
    realized = loss.counts[:, :-1].sum(axis=0) @ np.array(loss.cells.means)
    assert realized / loss.counts.sum() == pytest.approx(0.21, abs=0.02)
    assert np.ptp(daily_reference.estimate.means) > 0.05


def test_the_loss_is_the_brier_score_or_the_absolute_error() -> None:
    draw = np.random.default_rng(1)
    scores = draw.dirichlet(np.ones(3), 50)
    target = draw.integers(0, 3, 50).astype(float)
    brier = metrics_for("multiclass")["brier"].prepare(target, scores)(np.ones(50))
    assert measure_loss(target, scores).mean() == pytest.approx(brier)
    assert measure_loss(np.array([3.0]), np.array([[5.0]])).tolist() == [2.0]


def test_doubt_is_the_expected_brier_score_of_right_probabilities() -> None:
    draw = np.random.default_rng(2)
    scores = draw.dirichlet(np.ones(3), 200_000)
    target = (draw.random(len(scores))[:, None] > scores.cumsum(axis=1)).sum(axis=1)
    realized = measure_loss(target.astype(float), scores).mean()
    assert measure_doubt(scores).mean() == pytest.approx(realized, abs=0.002)


def test_days_are_those_of_utc(shop_contract: Contract) -> None:
    written = ["2024-05-01T23:30:00-02:00", "2024-05-01T23:30:00+00:00"]
    rows = pd.DataFrame({"ordered_at": pd.to_datetime(written, utc=True)})
    assert name_event_days(rows, shop_contract) == ["2024-05-02", "2024-05-01"]


def test_a_long_reference_keeps_its_newest_days(
    shop_contract: Contract, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlchassis.training.daily_reference.counts.MAX_DAYS", 60)
    days = pd.date_range("2020-01-01", periods=100, tz="UTC")
    rows = pd.DataFrame({"ordered_at": days, "size": 1.0, "price": 1.0, "season": 1.0, "age": 1})
    rows = rows.assign(shop="north", customer="x", returned=[True, False] * 50)
    found = describe_days(shop_contract, rows, rows, np.full((100, 2), 0.5))
    assert found.days == tuple(days[-60:].strftime("%Y-%m-%d"))
