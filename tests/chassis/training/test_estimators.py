"""The baselines and the candidate: what they answer, and fits that must not be used."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from mlchassis.bundle.scorer import OnnxModel
from mlchassis.config.estimator_params import LinearParams, PriorParams, TreesParams
from mlchassis.evaluation.metrics import Floats
from mlchassis.extensions.estimators import Dataset
from mlchassis.features.encoding import MISSING, FeatureMatrix
from mlchassis.training.estimators import lightgbm
from mlchassis.training.estimators.base import FittedPipeline, feature_frame
from mlchassis.training.estimators.lightgbm import LightgbmEstimator
from mlchassis.training.estimators.linear import LinearEstimator
from mlchassis.training.estimators.prior import PriorEstimator
from mlchassis.training.trained_model import TrainedModel, TrainingError, fit_model

ROWS = 2000
CLASSES = {"binary": 2, "multiclass": 3, "regression": 0}
LINEAR = LinearParams(inverse_regularization=1.0, max_iterations=500)


def settings(**changes: Any) -> TreesParams:
    usual = {
        "learning_rate": 0.1,
        "max_trees": 300,
        "patience": 15,
        "leaves": 7,
        "min_rows_per_leaf": 20,
        "feature_proportion": 1.0,
        "threads": 1,
    }
    return TreesParams.model_validate(usual | changes)


def draw(seed: int, task: Any = "binary") -> Dataset:
    """A sum, a product that no line can follow, words, and something missing in all of them."""
    generator = np.random.default_rng(seed)
    numeric = generator.normal(size=(ROWS, 3)).astype(np.float32)
    words = generator.choice(np.array(["a", "b", "c", MISSING], dtype=object), size=(ROWS, 2))
    signal = numeric[:, 0] + 2 * numeric[:, 1] * numeric[:, 2] + (words[:, 0] == "b")
    signal = signal + generator.normal(size=ROWS)
    target = {
        "binary": (signal > 0).astype(float),
        "multiclass": np.digitize(signal, [-1, 1]).astype(float),
        "regression": signal.astype(float),
    }[task]
    numeric[generator.random((ROWS, 3)) < 0.05] = np.nan
    matrix = FeatureMatrix(("x", "y", "z"), numeric, ("word", "other"), words)
    return Dataset(matrix, target, task, CLASSES[task])


def fit_prior(train: Dataset) -> TrainedModel:
    return fit_model(PriorEstimator(), train, train, PriorParams(), seed=1)


def fit_linear(train: Dataset, params: LinearParams = LINEAR) -> TrainedModel:
    return fit_model(LinearEstimator(min_category_count=10), train, train, params, seed=1)


def fit_trees(train: Dataset, validation: Dataset, seed: int = 1, **changes: Any) -> TrainedModel:
    estimator = LightgbmEstimator(min_category_count=10)
    return fit_model(estimator, train, validation, settings(**changes), seed)


def fit_all(task: Any) -> dict[str, Floats]:
    """The scores of each model on rows that none of them has seen."""
    train, validation, test = (draw(seed, task) for seed in (1, 2, 3))
    models = {
        "prior": fit_prior(train),
        "linear": fit_linear(train),
        "candidate": fit_trees(train, validation),
    }
    return {name: model.predict(test.features) for name, model in models.items()}


def test_the_candidate_follows_what_a_line_cannot() -> None:
    scores, target = fit_all("binary"), draw(3).target
    area = {name: roc_auc_score(target, part[:, 1]) for name, part in scores.items()}

    assert area["prior"] == 0.5
    assert 0.6 < area["linear"] < area["candidate"] - 0.1


def test_the_prior_answers_with_the_proportions_of_training() -> None:
    train = draw(1)
    scores = fit_prior(train).predict(draw(3).features)

    assert set(scores[:, 1]) == {train.target.mean()}


@pytest.mark.parametrize(("task", "width"), [("binary", 2), ("multiclass", 3), ("regression", 1)])
def test_every_model_scores_through_one_interface(task: Any, width: int) -> None:
    for name, scores in fit_all(task).items():
        assert scores.shape == (ROWS, width), name
        assert scores.dtype == np.float64
        assert np.isfinite(scores).all()
        if width > 1:
            np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-6)


def test_the_same_seed_gives_the_same_answers_to_the_bit() -> None:
    first, again = fit_all("binary"), fit_all("binary")

    for name, scores in first.items():
        np.testing.assert_array_equal(scores, again[name])
    # Where each tree is offered some of the features alone, the seed says which.
    train, validation = draw(1), draw(2)
    one, other = (fit_trees(train, validation, seed=7, feature_proportion=0.5) for _ in range(2))
    np.testing.assert_array_equal(
        one.predict(validation.features), other.predict(validation.features)
    )


def test_another_seed_gives_another_candidate() -> None:
    train, validation = draw(1), draw(2)
    models = [fit_trees(train, validation, seed, feature_proportion=0.5) for seed in (1, 2)]
    scores = [model.predict(validation.features) for model in models]

    assert not np.array_equal(scores[0], scores[1])


@pytest.mark.parametrize("kind", ["trees", "linear"])
def test_unseen_categories_are_scored_as_rare_ones(kind: str) -> None:
    train, validation = draw(1), draw(2)
    # Rare categories with a target of their own: a model that learned them differs elsewhere.
    train.features.categorical[:60, 0] = [f"rare {number % 20}" for number in range(60)]
    train.target[:60] = 1
    model = fit_trees(train, validation) if kind == "trees" else fit_linear(train)
    words = np.array(["rare 1", "rare 2", "never seen", "a"], dtype=object)
    others = np.repeat(validation.features.categorical[:1, 1], 4)
    probe = replace(
        validation.features,
        numeric=np.repeat(validation.features.numeric[:1], 4, axis=0),
        categorical=np.column_stack([words, others]),
    )
    scores = model.predict(probe)
    graph = OnnxModel(model.to_onnx(20))

    assert (scores[:3] == scores[0]).all()
    assert abs(scores[3, 1] - scores[0, 1]) > 0.05
    np.testing.assert_allclose(graph.score(probe), scores, atol=1e-6)


def test_a_candidate_that_still_gains_is_refused() -> None:
    with pytest.raises(
        TrainingError, match=r"still gaining after 20 trees; raise train\.trees\.max_trees"
    ):
        fit_trees(draw(1), draw(2), max_trees=20)


def test_a_linear_model_that_has_not_converged_is_refused() -> None:
    params = LinearParams(inverse_regularization=1.0, max_iterations=1)

    with (
        pytest.warns(match="did not converge"),
        pytest.raises(TrainingError, match=r"did not converge in 1 steps; raise train\.linear"),
    ):
        fit_linear(draw(1), params)


def test_training_stops_by_the_validation_window_alone() -> None:
    train, validation = draw(1), draw(2)
    shuffled = np.random.default_rng(1).permutation(validation.target)
    noisy = replace(validation, target=shuffled)
    trees = []
    for split in (validation, noisy):
        fitted = fit_trees(train, split).fitted
        assert isinstance(fitted, FittedPipeline)
        trees.append(fitted.pipeline[-1].best_iteration_)

    assert trees[0] > 5 * trees[1]


def test_a_missing_library_of_the_system_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str, *arguments: Any, **options: Any) -> Any:
        if name == "lightgbm":
            raise OSError("libgomp.so.1: cannot open shared object file")
        return real_import(name, *arguments, **options)

    real_import = __import__
    monkeypatch.setattr("builtins.__import__", fail)
    with pytest.raises(TrainingError, match=r"LightGBM cannot start .*apt-get install libgomp1"):
        lightgbm._import_lightgbm()


def test_a_frame_holds_numbers_first_and_words_as_objects() -> None:
    frame = feature_frame(draw(1).features)

    assert [str(dtype) for dtype in frame.dtypes] == ["float32"] * 3 + ["object"] * 2
    assert list(frame.columns) == ["x", "y", "z", "word", "other"]
