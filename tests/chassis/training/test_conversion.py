"""Conversion to ONNX: exact where this project uses it, and where known traps lie, refused.

The traps convert without a word. Each is converted here for real, so that parity has something to
refuse: should a library fix its converter, the test says so by failing.
"""

from typing import Any

import lightgbm
import numpy as np
import onnx
import pandas as pd
import pytest
import skl2onnx
from numpy.typing import NDArray
from onnxmltools import convert_lightgbm
from onnxmltools.convert.common.data_types import FloatTensorType
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.semi_supervised import LabelPropagation

from mlchassis.bundle.scorer import OnnxModel
from mlchassis.features.encoding import MISSING, FeatureMatrix
from mlchassis.training.conversion import ConversionError, convert_pipeline
from mlchassis.training.parity import Parity, ParityError, check_parity, compare_scores

ROWS = 3000
TOLERANCE = 1e-5
NO_WORDS = np.empty((ROWS, 0), dtype=object)
NO_NUMBERS = np.empty((ROWS, 0), dtype=np.float32)


def draw() -> np.random.Generator:
    return np.random.default_rng(1)


def answer(graph: bytes, numbers: NDArray[Any], words: NDArray[Any]) -> NDArray[np.float64]:
    return OnnxModel(graph).score(FeatureMatrix((), numbers, (), words))


def compare(
    model: Any, numbers: NDArray[Any] = NO_NUMBERS, words: NDArray[Any] = NO_WORDS
) -> Parity:
    """Convert a fitted model, and score the same rows by both model and graph."""
    graph = convert_pipeline(model, numbers.shape[1], words.shape[1], opset=20)
    table = numbers if not words.shape[1] else words
    if numbers.shape[1] and words.shape[1]:
        table = np.column_stack([numbers.astype(object), words])
    return compare_scores(model.predict_proba(table), answer(graph, numbers, words))


def draw_words(*choices: tuple[list[Any], list[float]]) -> NDArray[Any]:
    columns = np.empty((ROWS, len(choices)), dtype=object)
    generator = draw()
    for position, (words, proportions) in enumerate(choices):
        columns[:, position] = generator.choice(np.array(words, dtype=object), ROWS, p=proportions)
    return columns


def fit_trees(encoders: ColumnTransformer, words: NDArray[Any], target: NDArray[Any]) -> Pipeline:
    codes = encoders.fit_transform(words)
    trees = lightgbm.LGBMClassifier(n_estimators=20, n_jobs=1, verbose=-1)
    trees.fit(codes, target, categorical_feature=list(range(codes.shape[1])))
    return Pipeline([("prepare", encoders), ("model", trees)])


def encode(**settings: Any) -> OrdinalEncoder:
    return OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, **settings)


RARE = draw_words(
    (["a", "b", "c", "r", "s"], [0.4, 0.3, 0.28, 0.01, 0.01]),
    (["x", "y", "t", "u", "v"], [0.5, 0.44, 0.02, 0.02, 0.02]),
)
ODD = np.isin(RARE[:, 0], ["a", "r"]) ^ np.isin(RARE[:, 1], ["x", "u"])


def boosting_with_categories() -> Parity:
    generator = draw()
    numbers = np.column_stack([generator.normal(size=ROWS), generator.integers(0, 12, ROWS)])
    numbers = numbers.astype(np.float32)
    target = np.isin(numbers[:, 1], [0, 3, 7, 8]) ^ (numbers[:, 0] > 1)
    model = HistGradientBoostingClassifier(categorical_features=[1], random_state=1, max_iter=30)
    return compare(model.fit(numbers, target), numbers)


def forest_on_missing_numbers() -> Parity:
    numbers = draw().normal(size=(ROWS, 2)).astype(np.float32)
    numbers[draw().random(ROWS) < 0.3, 0] = np.nan
    target = np.isnan(numbers[:, 0]) | (numbers[:, 0] < 0)
    model = RandomForestClassifier(n_estimators=10, random_state=1)
    return compare(model.fit(numbers, target), numbers)


def categories_that_hold_none() -> Parity:
    words = draw_words((["a", "b", None], [0.4, 0.3, 0.3]))
    # A frame makes NaN of None; the graph is asked with the None that a request holds.
    frame = pd.DataFrame(words)
    target = [word is None for word in words[:, 0]]
    trees = lightgbm.LGBMClassifier(n_estimators=20, n_jobs=1, verbose=-1)
    model = make_pipeline(encode(), trees).fit(frame, target)
    graph = convert_pipeline(model, 0, 1, opset=20)
    return compare_scores(model.predict_proba(frame), answer(graph, NO_NUMBERS, words))


def one_encoder_for_columns_with_rare_categories() -> Parity:
    encoders = ColumnTransformer([("words", encode(min_frequency=100), [0, 1])])
    return compare(fit_trees(encoders, RARE, ODD), words=RARE)


SILENT = [
    boosting_with_categories,
    forest_on_missing_numbers,
    categories_that_hold_none,
    one_encoder_for_columns_with_rare_categories,
]


@pytest.mark.parametrize("convert", SILENT)
def test_a_silently_wrong_conversion_is_refused_by_parity(convert: Any) -> None:
    parity = convert()

    assert parity.max_error > 0.1
    with pytest.raises(ParityError, match="it was converted wrongly, so it is not exported"):
        check_parity(parity, TOLERANCE)


def test_missing_words_as_one_word_convert_exactly() -> None:
    words = draw_words((["a", "b", MISSING], [0.4, 0.3, 0.3]))
    encoders = ColumnTransformer([("words", encode(), [0])])

    check_parity(compare(fit_trees(encoders, words, words[:, 0] == MISSING), words=words), 1e-6)


def test_an_encoder_for_each_column_converts_exactly() -> None:
    encoder = encode(min_frequency=100)
    encoders = ColumnTransformer([("first", encoder, [0]), ("second", encoder, [1])])
    model = fit_trees(encoders, RARE, ODD)
    unseen = RARE.copy()
    unseen[::7, 0], unseen[::5, 1] = "never seen", ""

    check_parity(compare(model, words=RARE), 1e-6)
    check_parity(compare(model, words=unseen), 1e-6)


def neighbors() -> NDArray[np.float32]:
    """Pairs of neighboring float32 values, of which either may have the even last bit."""
    starts = np.linspace(1, 100, 40, dtype=np.float32)
    odd = np.nextafter(starts, np.float32(np.inf))
    pairs = [starts, odd, np.nextafter(odd, np.float32(np.inf))]
    return np.sort(np.concatenate(pairs)).reshape(-1, 1)


@pytest.fixture(scope="module")
def fine_trees() -> Any:
    """Trees that tell every value from its neighbor."""
    values = np.repeat(neighbors(), 5, axis=0)
    target = np.arange(len(values)) // 5 % 2
    trees = lightgbm.LGBMClassifier(
        n_estimators=40, min_child_samples=1, min_data_in_bin=1, n_jobs=1, verbose=-1
    )
    return trees.fit(values, target)


def test_the_stock_converter_takes_neighboring_numbers_for_one(fine_trees: Any) -> None:
    types = [("numeric", FloatTensorType([None, 1]))]
    stock = convert_lightgbm(fine_trees, initial_types=types, zipmap=False, target_opset=15)
    expected = fine_trees.predict_proba(neighbors())
    parity = compare_scores(expected, answer(stock.SerializeToString(), neighbors(), NO_WORDS))

    assert parity.max_error > 0.01
    with pytest.raises(ParityError):
        check_parity(parity, TOLERANCE)


def test_ours_tells_every_number_from_its_neighbor(fine_trees: Any) -> None:
    check_parity(compare(fine_trees, neighbors()), 1e-6)


def test_numbers_and_words_convert_together_and_exactly() -> None:
    numbers = draw().normal(size=(ROWS, 2)).astype(np.float32)
    prepare = ColumnTransformer(
        [("numbers", StandardScaler(), [0, 1]), ("words", OneHotEncoder(), [2, 3])]
    )
    model = make_pipeline(prepare, LogisticRegression(max_iter=500))
    model.fit(np.column_stack([numbers.astype(object), RARE]), ODD ^ (numbers[:, 0] > 0))

    check_parity(compare(model, numbers, RARE), 1e-6)


def test_a_regression_converts_to_one_number_a_row() -> None:
    numbers = draw().normal(size=(ROWS, 2)).astype(np.float32)
    model = LinearRegression().fit(numbers, numbers @ [1.0, 2.0])
    graph = convert_pipeline(model, 2, 0, opset=20)
    found = answer(graph, numbers, NO_WORDS)

    assert found.shape == (ROWS, 1)
    check_parity(compare_scores(model.predict(numbers).reshape(-1, 1), found), 1e-5)


def test_the_same_model_gives_the_same_bytes(fine_trees: Any) -> None:
    assert convert_pipeline(fine_trees, 1, 0, opset=20) == convert_pipeline(
        fine_trees, 1, 0, opset=20
    )


def test_the_order_of_opsets_which_is_chance_does_not_change_the_bytes(
    fine_trees: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reverse(*arguments: Any, **options: Any) -> Any:
        graph = to_onnx(*arguments, **options)
        opsets = list(graph.opset_import)[::-1]
        del graph.opset_import[:]
        graph.opset_import.extend(opsets)
        return graph

    straight = convert_pipeline(fine_trees, 1, 0, opset=20)
    to_onnx = skl2onnx.to_onnx
    monkeypatch.setattr(skl2onnx, "to_onnx", reverse)

    assert convert_pipeline(fine_trees, 1, 0, opset=20) == straight


def test_the_graph_says_nothing_about_where_it_was_made(fine_trees: Any) -> None:
    graph = onnx.load_from_string(convert_pipeline(fine_trees, 1, 0, opset=20))

    assert (graph.producer_version, graph.doc_string) == ("", "")
    assert {entry.domain: entry.version for entry in graph.opset_import} == {
        "": 20,
        "ai.onnx.ml": 3,
    }


def test_a_model_that_no_converter_knows_is_refused_with_a_sentence() -> None:
    with pytest.raises(ConversionError, match=r"cannot be converted to ONNX .*; use an estimator"):
        convert_pipeline(LabelPropagation(), 1, 0, opset=20)
