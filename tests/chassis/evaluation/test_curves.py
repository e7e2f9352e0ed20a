"""The curves of a model: what is drawn is what was measured."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import auc, roc_auc_score

from mlchassis.evaluation.curves import CURVE_POINTS, write_curves

TARGET = (np.random.default_rng(1).random(5000) < 0.3).astype(float)
SCORE = np.clip(0.3 + 0.2 * (TARGET - 0.3) + np.random.default_rng(2).normal(0, 0.1, 5000), 0, 1)
SCORES = np.column_stack([1 - SCORE, SCORE])
SCORES = np.column_stack([1 - SCORE, SCORE])


@pytest.fixture
def curves(tmp_path: Path) -> dict[str, pd.DataFrame]:
    write_curves(tmp_path, "binary", TARGET, SCORES, bins=10)
    return {path.stem: pd.read_csv(path) for path in tmp_path.iterdir()}


def test_the_roc_curve_holds_the_area_of_all_rows(curves: dict[str, pd.DataFrame]) -> None:
    roc = curves["roc"]
    area = auc(roc["false_positive_rate"], roc["true_positive_rate"])

    assert area == pytest.approx(roc_auc_score(TARGET, SCORE), abs=1e-3)


def test_curves_run_from_end_to_end_in_a_few_hundred_points(
    curves: dict[str, pd.DataFrame],
) -> None:
    assert set(curves) == {"roc", "precision_recall", "calibration"}
    assert curves["roc"].iloc[[0, -1]].to_numpy().tolist() == [[0, 0], [1, 1]]
    recall = curves["precision_recall"]["recall"].tolist()
    assert (recall[0], recall[-1]) == (0, 1)
    assert all(len(curve) <= CURVE_POINTS for curve in curves.values())


def test_the_reliability_curve_has_the_mean_of_each_bin(curves: dict[str, pd.DataFrame]) -> None:
    curve = curves["calibration"]

    assert len(curve) == 10
    assert curve["predicted"].mean() == pytest.approx(SCORE.mean(), abs=1e-3)
    assert curve["observed"].mean() == pytest.approx(TARGET.mean(), abs=1e-3)
    assert curve["predicted"].is_monotonic_increasing


def test_residuals_are_what_is_left_of_a_number(tmp_path: Path) -> None:
    write_curves(tmp_path, "regression", np.array([1.0, 2, 4]), np.array([[3.0], [1], [2]]), bins=2)
    curve = pd.read_csv(tmp_path / "residuals.csv")

    assert curve.to_numpy().tolist() == [[1, 1], [2, 2], [3, -2]]


def test_curves_keep_the_digits_of_small_and_of_large_numbers(tmp_path: Path) -> None:
    for unit in (1e-9, 1e9):
        target, scores = np.array([1.0, 2, 4]) * unit, np.array([[3.0], [1], [2]]) * unit
        write_curves(tmp_path, "regression", target, scores, bins=2)
        curve = pd.read_csv(tmp_path / "residuals.csv")
        assert curve.to_numpy() / unit == pytest.approx(np.array([[1, 1], [2, 2], [3, -2]]))
