"""Codes of categories: one for each frequent one, one for all others; the graph agrees."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeRegressor

from mlchassis.bundle.scorer import OnnxModel
from mlchassis.features.encoding import MISSING, FeatureMatrix
from mlchassis.training.category_encoding import CategoryEncoder, MeanEncoder
from mlchassis.training.conversion import convert_pipeline

TRAIN = ["b"] * 5 + ["a"] * 4 + [MISSING] * 3 + ["r", "s"] + ["M\u00fcnchen"] * 3


def column(words: list[str]) -> NDArray[np.object_]:
    return np.array(words, dtype=object).reshape(-1, 1)


def test_rare_and_unseen_categories_proportion_the_last_code() -> None:
    encoder = CategoryEncoder(min_count=3).fit(column(TRAIN))
    probe = ["a", "b", MISSING, "M\u00fcnchen", "r", "s", "never seen", ""]

    assert list(encoder.table_) == [MISSING, "M\u00fcnchen", "a", "b"]
    assert encoder.transform(column(probe)).ravel().tolist() == [2, 3, 0, 1, 4, 4, 4, 4]


def test_the_order_of_rows_does_not_change_the_codes() -> None:
    one = CategoryEncoder(min_count=3).fit(column(TRAIN))
    other = CategoryEncoder(min_count=3).fit(column(TRAIN[::-1]))

    assert one.table_ == other.table_


@pytest.mark.parametrize("min_count", [1, 3, 100], ids=["no rare", "some rare", "all rare"])
def test_the_graph_gives_the_same_codes(min_count: int) -> None:
    words = column([*TRAIN, "never seen", "", "\u6f22\u5b57"])
    target = np.arange(len(TRAIN), dtype=float)
    model = make_pipeline(CategoryEncoder(min_count), DecisionTreeRegressor(random_state=1))
    model.fit(column(TRAIN), target)
    graph = OnnxModel(convert_pipeline(model, 0, 1, opset=20))
    matrix = FeatureMatrix((), np.empty((len(words), 0), np.float32), (), words)

    np.testing.assert_allclose(graph.score(matrix).ravel(), model.predict(words), atol=1e-5)


def draw_ids(rows: int = 4000, ids: int = 400) -> tuple[NDArray[np.object_], NDArray[np.float64]]:
    """Identifiers that say nothing about the target."""
    draw = np.random.default_rng(1)
    names = np.array([f"id {number}" for number in draw.integers(0, ids, rows)], dtype=object)
    return names.reshape(-1, 1), draw.normal(size=rows)


def test_means_of_training_rows_do_not_hold_their_own_target() -> None:
    ids, target = draw_ids()
    folded = MeanEncoder("regression", seed=1).fit_transform(ids, target)
    fitted = MeanEncoder("regression", seed=1).fit(ids, target).transform(ids)

    assert abs(np.corrcoef(folded[:, 0], target)[0, 1]) < 0.05
    # The means themselves do, so a model that was fitted to them would learn noise.
    assert np.corrcoef(fitted[:, 0], target)[0, 1] > 0.2


@pytest.mark.parametrize(("task", "width"), [("regression", 1), ("binary", 1), ("multiclass", 3)])
def test_an_unseen_category_gets_the_mean_of_all_rows(task: Any, width: int) -> None:
    ids, target = draw_ids()
    labels = {"regression": target, "binary": target > 0, "multiclass": np.digitize(target, [0, 1])}
    encoder = MeanEncoder(task, seed=1).fit(ids, labels[task].astype(float))
    found = encoder.transform(column(["never seen", "id 1"]))
    classes = np.unique(labels[task])[-width:]
    overall = [np.mean(labels[task] == label) for label in classes]

    assert found.shape == (2, width)
    np.testing.assert_allclose(found[0], [target.mean()] if task == "regression" else overall, 1e-6)
    assert (found[0] != found[1]).all()


@pytest.mark.parametrize("task", ["regression", "binary", "multiclass"])
def test_the_graph_gives_the_same_means(task: Any) -> None:
    ids, target = draw_ids()
    labels = {"regression": target, "binary": target > 0, "multiclass": np.digitize(target, [0, 1])}
    encoder = MeanEncoder(task, seed=1)
    model = make_pipeline(encoder, DecisionTreeRegressor(random_state=1))
    model.fit(ids, labels[task].astype(float))
    graph = OnnxModel(convert_pipeline(model, 0, 1, opset=20))
    words = np.concatenate([ids[:500], column(["never seen", MISSING, ""])])
    matrix = FeatureMatrix((), np.empty((len(words), 0), np.float32), (), words)

    np.testing.assert_allclose(graph.score(matrix).ravel(), model.predict(words), atol=1e-6)
