"""A logarithmic scale for skewed targets: exact in the graph, unbiased in the target's unit."""

from typing import Any

import numpy as np
import pytest

from mlchassis.bundle.scorer import OnnxModel
from mlchassis.config.params import TrainParams
from mlchassis.features.encoding import FeatureMatrix
from mlchassis.training.conversion import convert_model
from mlchassis.training.estimators import (
    Examples,
    TrainingError,
    feature_frame,
    fit_candidate,
    predict_scores,
)
from mlchassis.training.log_target import LogTargetRegressor, choose_offset
from mlchassis.training.parity import check_parity, compare_scores

ROWS = 3000


def settings(**candidate: Any) -> TrainParams:
    return TrainParams.model_validate(
        {
            "max_single_feature_auc": 1.0,
            "cost_false_positive": 1.0,
            "cost_false_negative": 1.0,
            "min_category_count": 10,
            "linear": {"inverse_regularisation": 1.0, "max_iterations": 500},
            "candidate": {
                "learning_rate": 0.1,
                "max_trees": 500,
                "patience": 15,
                "leaves": 15,
                "min_rows_per_leaf": 20,
                "feature_share": 1.0,
                "threads": 1,
                **candidate,
            },
        }
    )


def draw_prices(seed: int, zeros: float = 0.0) -> tuple[FeatureMatrix, Examples]:
    """Prices whose logarithm is a sum, some of them free."""
    draw = np.random.default_rng(seed)
    numeric = draw.normal(size=(ROWS, 3)).astype(np.float32)
    price = np.exp(8 + 1.5 * numeric[:, 0] + numeric[:, 1] + draw.normal(size=ROWS))
    price[draw.random(ROWS) < zeros] = 0
    matrix = FeatureMatrix(("x", "y", "z"), numeric, (), np.empty((ROWS, 0), dtype=object))
    return matrix, Examples(feature_frame(matrix), price, categorical=0)


@pytest.mark.parametrize("kind", ["trees", "linear"])
@pytest.mark.parametrize("zeros", [0.0, 0.2])
def test_the_graph_answers_in_the_targets_unit(kind: str, zeros: float) -> None:
    (_, train), (_, valid), (matrix, test) = (draw_prices(seed, zeros) for seed in (1, 2, 3))
    model = fit_candidate(
        train, valid, "regression", settings(kind=kind, target_scale="log"), seed=1
    )
    expected = predict_scores(model, test.features)
    found = OnnxModel(convert_model(model, 3, 0, opset=20)).score(matrix)

    assert isinstance(model, LogTargetRegressor)
    check_parity(compare_scores(expected, found, float(train.target.std())), 1e-5)
    assert (found >= 0).all()
    assert found.mean() == pytest.approx(test.target.mean(), rel=0.2)


def test_prices_are_told_better_on_a_logarithmic_scale() -> None:
    (_, train), (_, valid), (_, test) = (draw_prices(seed) for seed in (1, 2, 3))
    error = {
        scale: np.abs(
            predict_scores(
                fit_candidate(train, valid, "regression", settings(target_scale=scale), seed=1),
                test.features,
            )[:, 0]
            - test.target
        ).mean()
        for scale in ("plain", "log")
    }

    assert error["log"] < 0.95 * error["plain"]


@pytest.mark.parametrize(
    ("target", "offset"), [([1.0, 2.0, 4.0], 0.0), ([0.0, 2.0, 2.0], 2.0), ([0.0, 0.02], 0.02)]
)
def test_the_offset_follows_the_targets_unit(target: list[float], offset: float) -> None:
    assert choose_offset(np.array(target)) == pytest.approx(offset)


@pytest.mark.parametrize(("task", "shift"), [("regression", -1e9), ("binary", 0.0)])
def test_a_target_without_logarithm_is_refused(task: Any, shift: float) -> None:
    (_, train), (_, valid) = (draw_prices(seed) for seed in (1, 2))
    train.target[:] += shift
    with pytest.raises(TrainingError, match=r"target_scale is 'log', .* set it to 'plain'"):
        fit_candidate(train, valid, task, settings(target_scale="log"), seed=1)
