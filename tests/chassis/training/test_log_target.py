"""A logarithmic scale for skewed targets: exact in the graph, unbiased in the target's unit."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mlchassis.bundle.scorer import OnnxModel
from mlchassis.config.params import TrainParams
from mlchassis.extensions.estimators import Dataset
from mlchassis.features.encoding import FeatureMatrix
from mlchassis.training.estimators.candidate import fit_candidate
from mlchassis.training.log_target import LogTargetModel, choose_offset
from mlchassis.training.parity import check_parity, compare_scores
from mlchassis.training.trained_model import TrainingError

ROWS = 3000


def settings(**candidate: Any) -> TrainParams:
    return TrainParams.model_validate(
        {
            "max_single_feature_auc": 1.0,
            "cost_false_positive": 1.0,
            "cost_false_negative": 1.0,
            "min_category_count": 10,
            "linear": {"inverse_regularization": 1.0, "max_iterations": 500},
            "candidate": candidate,
            "trees": {
                "learning_rate": 0.1,
                "max_trees": 500,
                "patience": 15,
                "leaves": 15,
                "min_rows_per_leaf": 20,
                "feature_proportion": 1.0,
                "threads": 1,
            },
        }
    )


def draw_prices(seed: int, zeros: float = 0.0) -> Dataset:
    """Prices whose logarithm is a sum, some of them free."""
    draw = np.random.default_rng(seed)
    numeric = draw.normal(size=(ROWS, 3)).astype(np.float32)
    price = np.exp(8 + 1.5 * numeric[:, 0] + numeric[:, 1] + draw.normal(size=ROWS))
    price[draw.random(ROWS) < zeros] = 0
    matrix = FeatureMatrix(("x", "y", "z"), numeric, (), np.empty((ROWS, 0), dtype=object))
    return Dataset(matrix, price, "regression", 0)


@pytest.mark.parametrize("kind", ["trees", "linear"])
@pytest.mark.parametrize("zeros", [0.0, 0.2])
def test_the_graph_answers_in_the_targets_unit(kind: str, zeros: float) -> None:
    train, validation, test = (draw_prices(seed, zeros) for seed in (1, 2, 3))
    model = fit_candidate(train, validation, settings(kind=kind, target_scale="log"), seed=1)
    expected = model.predict(test.features)
    found = OnnxModel(model.to_onnx(20)).score(test.features)

    assert isinstance(model.fitted, LogTargetModel)
    check_parity(compare_scores(expected, found, float(train.target.std())), 1e-5)
    assert (found >= 0).all()
    assert found.mean() == pytest.approx(test.target.mean(), rel=0.2)


def test_prices_are_told_better_on_a_logarithmic_scale() -> None:
    train, validation, test = (draw_prices(seed) for seed in (1, 2, 3))
    error = {}
    for scale in ("plain", "log"):
        model = fit_candidate(train, validation, settings(target_scale=scale), seed=1)
        error[scale] = np.abs(model.predict(test.features)[:, 0] - test.target).mean()

    assert error["log"] < 0.95 * error["plain"]


@pytest.mark.parametrize(
    ("target", "offset"), [([1.0, 2.0, 4.0], 0.0), ([0.0, 2.0, 2.0], 2.0), ([0.0, 0.02], 0.02)]
)
def test_the_offset_follows_the_targets_unit(target: list[float], offset: float) -> None:
    assert choose_offset(np.array(target)) == pytest.approx(offset)


@pytest.mark.parametrize(("task", "shift"), [("regression", -1e9), ("binary", 0.0)])
def test_a_target_without_logarithm_is_refused(task: Any, shift: float) -> None:
    train, validation = (draw_prices(seed) for seed in (1, 2))
    train.target[:] += shift
    with pytest.raises(TrainingError, match=r"target_scale is 'log', .* set it to 'plain'"):
        fit_candidate(replace(train, task=task), validation, settings(target_scale="log"), seed=1)
