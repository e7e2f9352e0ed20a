"""Codes of categories: one for each frequent one, one for all others; the graph agrees."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeRegressor

from {{ cookiecutter.package_name }}.columns import MISSING, FeatureMatrix
from {{ cookiecutter.package_name }}.modelling.conversion import convert_model
from {{ cookiecutter.package_name }}.modelling.encoding import CategoryEncoder
from {{ cookiecutter.package_name }}.scoring import OnnxModel

TRAIN = ["b"] * 5 + ["a"] * 4 + [MISSING] * 3 + ["r", "s"] + ["M\u00fcnchen"] * 3


def column(words: list[str]) -> NDArray[np.object_]:
    return np.array(words, dtype=object).reshape(-1, 1)


def test_rare_and_unseen_categories_share_the_last_code() -> None:
    encoder = CategoryEncoder(min_count=3).fit(column(TRAIN))
    probe = ["a", "b", MISSING, "M\u00fcnchen", "r", "s", "never seen", ""]

    assert encoder.categories_ == [MISSING, "M\u00fcnchen", "a", "b"]
    assert encoder.transform(column(probe)).ravel().tolist() == [2, 3, 0, 1, 4, 4, 4, 4]


def test_the_order_of_rows_does_not_change_the_codes() -> None:
    one = CategoryEncoder(min_count=3).fit(column(TRAIN))
    other = CategoryEncoder(min_count=3).fit(column(TRAIN[::-1]))

    assert one.categories_ == other.categories_


@pytest.mark.parametrize("min_count", [1, 3, 100], ids=["no rare", "some rare", "all rare"])
def test_the_graph_gives_the_same_codes(min_count: int) -> None:
    words = column([*TRAIN, "never seen", "", "\u6f22\u5b57"])
    target = np.arange(len(TRAIN), dtype=float)
    model = make_pipeline(CategoryEncoder(min_count), DecisionTreeRegressor(random_state=1))
    model.fit(column(TRAIN), target)
    graph = OnnxModel(convert_model(model, 0, 1, opset=20))
    matrix = FeatureMatrix((), np.empty((len(words), 0), np.float32), (), words)

    np.testing.assert_allclose(graph.score(matrix).ravel(), model.predict(words), atol=1e-5)
