"""Effects of predictions and features on the error of a predicted number."""

import numpy as np
import pytest

from mlchassis.training.daily_reference.effects import CellColumn, add_effects, fit_effects

ROWS = 9_000
DAYS = np.arange(ROWS) // 100


def test_the_errors_of_each_combination_of_cells_are_found() -> None:
    draw = np.random.default_rng(1)
    shops = draw.integers(0, 3, ROWS)
    sizes = draw.integers(0, 5, ROWS)
    spread = 1 + 2.0 * shops + 0.5 * sizes
    loss = np.abs(draw.normal(0, spread))
    columns = [CellColumn(shops, 3), CellColumn(sizes, 5)]
    estimated = add_effects(fit_effects(columns, loss, DAYS), columns)
    expected = spread * np.sqrt(2 / np.pi)
    assert np.abs(estimated - expected).max() < 0.25
    assert estimated.mean() == pytest.approx(loss.mean(), rel=0.02)


def test_columns_without_an_effect_leave_the_mean() -> None:
    draw = np.random.default_rng(2)
    columns = [CellColumn(draw.integers(0, 50, ROWS), 50) for _ in range(20)]
    loss = draw.exponential(1, ROWS)
    estimated = add_effects(fit_effects(columns, loss, DAYS), columns)
    assert np.ptp(estimated) < 0.1
    assert estimated.mean() == pytest.approx(loss.mean(), rel=0.01)


def test_an_effect_that_only_single_days_have_is_not_learned() -> None:
    draw = np.random.default_rng(3)
    # Each day has its own cell: rows of the same day would confirm it, other days cannot.
    column = CellColumn(DAYS, int(DAYS.max()) + 1)
    by_day = draw.exponential(1, int(DAYS.max()) + 1)
    effects = fit_effects([column], by_day[DAYS] + draw.exponential(1, ROWS), DAYS)
    assert np.ptp(effects.by_column[0]) < 0.01


def test_rows_without_days_are_divided_too() -> None:
    draw = np.random.default_rng(4)
    cells = draw.integers(0, 2, ROWS)
    loss = draw.exponential(1 + 3 * cells)
    effects = fit_effects([CellColumn(cells, 2)], loss, np.zeros(ROWS, dtype=np.intp))
    assert np.ptp(effects.by_column[0]) == pytest.approx(3, abs=0.3)


def test_no_estimated_error_is_negative() -> None:
    draw = np.random.default_rng(5)
    columns = [CellColumn(draw.integers(0, 2, ROWS), 2) for _ in range(3)]
    together = columns[0].assigned * columns[1].assigned * columns[2].assigned
    effects = fit_effects(columns, together * draw.exponential(1, ROWS), DAYS)
    assert add_effects(effects, columns).min() == 0
