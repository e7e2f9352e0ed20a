"""Every metric equals scikit-learn's, with weights and ties."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics as reference
from sklearn.calibration import calibration_curve

from mlchassis.evaluation.metrics import calibration_bins, encode_target, metrics_for

Arrays = NDArray[Any]
Reference = Callable[[Arrays, Arrays, Arrays], float]


def positive(score: Callable[..., float]) -> Reference:
    return lambda y, p, w: score(y, p[:, 1], sample_weight=w)


def of_labels(score: Callable[..., float]) -> Reference:
    return lambda y, p, w: score(y, p.argmax(axis=1), sample_weight=w)


def of_numbers(score: Callable[..., float]) -> Reference:
    return lambda y, p, w: score(y, p[:, 0], sample_weight=w)


def log_loss(y: Arrays, p: Arrays, w: Arrays) -> float:
    return float(reference.log_loss(y, p, sample_weight=w, labels=range(p.shape[1])))


def macro_roc_auc(y: Arrays, p: Arrays, w: Arrays) -> float:
    areas = [reference.roc_auc_score(y == k, p[:, k], sample_weight=w) for k in range(p.shape[1])]
    return float(np.mean(areas))


def multiclass_brier(y: Arrays, p: Arrays, w: Arrays) -> float:
    parts = [
        reference.brier_score_loss(y == k, p[:, k], sample_weight=w) for k in range(p.shape[1])
    ]
    return float(np.sum(parts) / 2)


REFERENCES: dict[str, dict[str, Reference]] = {
    "binary": {
        "roc_auc": positive(reference.roc_auc_score),
        "pr_auc": positive(reference.average_precision_score),
        "log_loss": log_loss,
        "brier": positive(reference.brier_score_loss),
    },
    "multiclass": {
        "roc_auc": macro_roc_auc,
        "accuracy": of_labels(reference.accuracy_score),
        "log_loss": log_loss,
        "brier": multiclass_brier,
    },
    "regression": {
        "rmse": of_numbers(reference.root_mean_squared_error),
        "mae": of_numbers(reference.mean_absolute_error),
        "r2": of_numbers(reference.r2_score),
    },
}
CASES = [(task, name) for task, found in REFERENCES.items() for name in found]


def draw(task: Any, seed: int, rows: int, grid: int) -> tuple[Arrays, Arrays, Arrays]:
    """Target, scores on a grid (so that there are ties) and whole weights, some of them 0."""
    generator = np.random.default_rng(seed)
    weights = generator.poisson(1.0, rows).astype(float)
    if task == "regression":
        target = generator.normal(size=rows).round(1)
        scores = (target[:, None] + generator.normal(size=(rows, 1))).round(1)
        weights[:2] = 1
        target[:2] = [0.0, 1.0]
        return target, scores, weights
    classes = 2 if task == "binary" else 3
    target = generator.integers(classes, size=rows).astype(float)
    # Each class must count at least once.
    target[:classes], weights[:classes] = range(classes), 1
    parts = generator.integers(1, grid + 1, size=(rows, classes)).astype(float)
    scores = parts / parts.sum(axis=1, keepdims=True)
    if task == "binary":
        scores[:, 1] = np.round(scores[:, 1] * grid) / grid
        scores[:, 0] = 1 - scores[:, 1]
    return target, scores, weights


@pytest.mark.one_python
@pytest.mark.parametrize(("task", "name"), CASES)
@settings(max_examples=25, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10**6), rows=st.integers(5, 80), grid=st.integers(1, 50))
def test_a_metric_equals_scikit_learns(
    task: Any, name: str, seed: int, rows: int, grid: int
) -> None:
    target, scores, weights = draw(task, seed, rows, grid)
    statistic = metrics_for(task)[name].prepare(target, scores)

    for weight in (weights, np.ones(rows), weights * 2.5):
        expected = REFERENCES[task][name](target, scores, weight)
        assert statistic(weight) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("count", [3, 450])
@pytest.mark.parametrize("task", list(REFERENCES))
def test_rows_of_a_group_weigh_the_same(task: Any, count: int) -> None:
    target, scores, _ = draw(task, seed=5, rows=500, grid=9)
    generator = np.random.default_rng(1)
    groups = np.append(generator.integers(count, size=499), count - 1)
    weights = generator.poisson(1.0, count).astype(float)

    for name, metric in metrics_for(task).items():
        by_group = metric.prepare(target, scores, groups)(weights)
        assert by_group == pytest.approx(metric.prepare(target, scores)(weights[groups])), name


@pytest.mark.parametrize("task", list(REFERENCES))
def test_a_weight_of_two_is_a_row_that_is_there_twice(task: Any) -> None:
    target, scores, weights = draw(task, seed=3, rows=60, grid=7)
    repeated = np.repeat(np.arange(60), weights.astype(int))
    # The bins of the calibration error are those of all rows, so it is left out.
    for name, metric in metrics_for(task).items():
        if name != "ece":
            twice = metric.prepare(target[repeated], scores[repeated])(np.ones(len(repeated)))
            assert metric.prepare(target, scores)(weights) == pytest.approx(twice), name


def test_the_calibration_error_is_the_mean_gap_of_equally_filled_bins() -> None:
    generator = np.random.default_rng(5)
    score = generator.random(1000)
    target = (generator.random(1000) < score**2).astype(float)
    scores = np.column_stack([1 - score, score])
    observed, predicted = calibration_curve(target, score, n_bins=10, strategy="quantile")

    error = metrics_for("binary", bins=10)["ece"].prepare(target, scores)(np.ones(1000))
    assert error == pytest.approx(np.abs(observed - predicted).mean(), abs=1e-9)


def test_the_calibration_error_of_many_classes_is_that_of_the_chosen_one() -> None:
    scores = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8], [0.8, 0.1, 0.1]])
    metric = metrics_for("multiclass")["ece"]

    assert metric.prepare(np.array([0.0, 1, 2, 0]), scores)(np.ones(4)) == pytest.approx(0.2)
    assert metric.prepare(np.array([0.0, 1, 2, 1]), scores)(np.ones(4)) == pytest.approx(0.05)


def test_a_sure_and_wrong_answer_has_a_finite_loss() -> None:
    scores = np.array([[1.0, 0], [1, 0]])
    loss = metrics_for("binary")["log_loss"].prepare(np.array([1.0, 0]), scores)

    assert 10 < loss(np.ones(2)) < 20


@pytest.mark.parametrize("name", ["roc_auc", "pr_auc"])
@pytest.mark.parametrize("weights", [[0.0, 0, 1, 1], [1.0, 1, 0, 0]])
def test_an_area_without_one_of_the_classes_is_no_number_and_no_noise(
    name: str, weights: list[float]
) -> None:
    scores = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.2, 0.8]])
    statistic = metrics_for("binary")[name].prepare(np.array([0.0, 0, 1, 1]), scores)

    assert statistic(np.ones(4)) == 1
    # Average precision is known where all rows are positive; the area under the ROC is not.
    known = name == "pr_auc" and weights[-1] == 1
    assert np.isnan(statistic(np.array(weights))) != known


def test_a_resample_without_spread_has_no_r2() -> None:
    statistic = metrics_for("regression")["r2"].prepare(
        np.array([1.0, 2, 2]), np.array([[1.0], [2], [3]])
    )

    assert np.isnan(statistic(np.array([0.0, 1, 1])))


@pytest.mark.parametrize("bins", [2, 5, 10])
def test_bins_are_equally_filled_and_ties_proportion_one(bins: int) -> None:
    score = np.random.default_rng(1).permutation(1000) / 1000
    label = calibration_bins(score, bins)

    assert np.bincount(label).tolist() == [1000 // bins] * bins
    assert len(set(calibration_bins(np.full(50, 0.3), bins))) == 1


def test_labels_become_their_positions_and_numbers_stay() -> None:
    words = np.array(["b", "a", "c", "a"], dtype=object)

    assert encode_target(words, ("a", "b", "c")).tolist() == [1, 0, 2, 0]
    assert encode_target(np.array([True, False]), (False, True)).tolist() == [1, 0]
    assert encode_target(np.array([1.5, -2]), ()).tolist() == [1.5, -2]


@pytest.mark.parametrize("task", list(REFERENCES))
def test_each_metric_knows_which_way_is_better(task: Any) -> None:
    target, scores, _ = draw(task, seed=3, rows=200, grid=50)
    truth = target[:, None]
    if task != "regression":
        truth = np.eye(scores.shape[1])[target.astype(int)]
    better = (scores + truth) / 2

    for name, metric in metrics_for(task).items():
        after, before = (metric.prepare(target, found)(np.ones(200)) for found in (better, scores))
        gain = after - before
        # A surer answer need not be a better calibrated one.
        assert name == "ece" or (gain > 0) is metric.higher_is_better, name
