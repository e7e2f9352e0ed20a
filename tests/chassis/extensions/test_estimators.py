"""An estimator of a project: fitted, stored, converted and compared as the built-in ones."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
import pytest
import yaml
from numpy.typing import NDArray
from onnx import TensorProto, helper

import ml_service
from ml_service.features import compute_features
from mlchassis import Dataset, FeatureMatrix, ParamsSection, Project
from mlchassis.bundle.scorer import OnnxModel
from mlchassis.config.custom_params import extend_params
from mlchassis.config.params import TrainParams, parse_params
from mlchassis.errors import ProjectError
from mlchassis.extensions.checks import check_project
from mlchassis.extensions.onnx import compose, encode_categories
from mlchassis.training.estimator_files import load_estimator, save_estimator
from mlchassis.training.estimators.candidate import fit_candidate
from mlchassis.training.parity import check_parity, compare_scores
from mlchassis.training.results import TrainingReport, ValidationMetrics
from mlchassis.training.trained_model import TrainedModel, TrainingError

ROOT = Path(ml_service.__file__).parents[2]
WORDS = ["blue", "green", "red"]


@dataclass
class FittedSlope:
    """Model with scores `0.5 ± factor * code`, from the code of the one category."""

    factor: float
    tables: list[list[str]]

    def predict(self, features: FeatureMatrix) -> NDArray[Any]:
        places = {word: code for code, word in enumerate(self.tables[0])}
        codes = [places.get(word, len(places)) for word in features.categorical[:, 0]]
        high = self.factor * np.array(codes, dtype=np.float32).reshape(-1, 1)
        return np.hstack([1 - high, high])

    def to_onnx(self, opset: int) -> bytes:
        weight = helper.make_tensor(
            "weight", TensorProto.FLOAT, [1, 2], [-self.factor, self.factor]
        )
        start = helper.make_tensor("start", TensorProto.FLOAT, [2], [1.0, 0.0])
        nodes = [
            helper.make_node("Cast", ["codes"], ["numbers"], to=TensorProto.FLOAT),
            helper.make_node("MatMul", ["numbers", "weight"], ["product"]),
            helper.make_node("Add", ["product", "start"], ["scores"]),
        ]
        graph = helper.make_graph(
            nodes,
            "slope",
            [helper.make_tensor_value_info("codes", TensorProto.INT64, ["rows", 1])],
            [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["rows", 2])],
            [weight, start],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
        return compose(encode_categories(self.tables, opset), model.SerializeToString())


class Slope:
    """An estimator that learns the categories alone."""

    name = "slope"

    class Params(ParamsSection):
        """Its factor."""

        factor: float = 0.25

    def fit(self, train: Dataset, validation: Dataset, params: Params, seed: int) -> FittedSlope:
        assert (train.task, train.classes) == ("binary", 2)
        assert len(validation.target) == len(validation.features.numeric)
        return FittedSlope(params.factor, [sorted(set(train.features.categorical[:, 0]))])


def make_matrix(words: list[str]) -> FeatureMatrix:
    numbers = np.arange(len(words), dtype=np.float32).reshape(-1, 1)
    strings = np.array(words, dtype=object).reshape(-1, 1)
    return FeatureMatrix(("size",), numbers, ("color",), strings)


def make_dataset(words: list[str]) -> Dataset:
    target = np.arange(len(words), dtype=np.float64) % 2
    return Dataset(make_matrix(words), target, "binary", 2)


def make_params(**candidate: Any) -> TrainParams:
    document = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    document["train"]["candidate"] |= {"kind": "slope", **candidate}
    document["train"]["slope"] = {"factor": 0.125}
    model = extend_params([], {"slope": Slope.Params})
    return parse_params(yaml.safe_dump(document), model=model).train


def fit_slope() -> TrainedModel:
    dataset = make_dataset(WORDS * 2)
    return fit_candidate(dataset, dataset, make_params(), 1, [Slope()])


def test_the_candidate_is_fitted_with_its_own_section_of_the_parameters() -> None:
    scores = fit_slope().predict(make_matrix(["blue", "red", "pink"]))
    np.testing.assert_allclose(scores[:, 1], [0.0, 0.25, 0.375])


def test_an_exported_graph_takes_strings_and_answers_as_the_model_does() -> None:
    model, matrix = fit_slope(), make_matrix([*WORDS, "pink", ""])
    graph = model.to_onnx(20)

    onnx.checker.check_model(onnx.load_from_string(graph))
    expected = model.predict(matrix)
    np.testing.assert_allclose(OnnxModel(graph).score(matrix), expected)
    assert graph == model.to_onnx(20)


def test_a_fitted_estimator_is_stored_with_its_hash(tmp_path: Path) -> None:
    record = save_estimator(fit_slope(), tmp_path, "candidate")
    training = TrainingReport(
        single_feature_auc={},
        validation=ValidationMetrics(prior={}, linear={}, candidate={}),
        estimators={"candidate": record},
    )
    loaded = load_estimator(tmp_path, "candidate", training)

    assert record.file == "candidate.joblib"
    assert loaded == fit_slope()


def test_several_columns_of_categories_are_encoded_side_by_side() -> None:
    graph = encode_categories([["a", "b"], ["x"]], opset=20)
    strings = np.array([["b", "x"], ["a", "a"], ["", "x"]], dtype=object)
    matrix = FeatureMatrix((), np.empty((3, 0), np.float32), ("one", "two"), strings)

    np.testing.assert_array_equal(OnnxModel(graph).score(matrix), [[1, 0], [0, 1], [2, 0]])


def test_scores_of_another_shape_are_rejected_with_the_shape_to_return() -> None:
    model = TrainedModel(FittedSlope(0.1, [WORDS]), width=3, numeric=1, categorical=1)
    with pytest.raises(ProjectError, match=r"FittedSlope of .*: predict .* return \(2, 3"):
        model.predict(make_matrix(["red", "blue"]))


def test_a_graph_with_other_inputs_is_rejected() -> None:
    model = TrainedModel(FittedSlope(0.1, [WORDS]), width=2, numeric=1, categorical=0)
    with pytest.raises(ProjectError, match=r"has the inputs categorical; it may have numeric"):
        model.to_onnx(20)


class OneNumber(Slope):
    """An estimator of one number for each row: its factor."""

    def fit(self, train: Dataset, validation: Dataset, params: Any, seed: int) -> Any:
        return FittedNumber(float(train.target.mean()))


@dataclass
class FittedNumber:
    """One number for all rows."""

    number: float

    def predict(self, features: FeatureMatrix) -> NDArray[Any]:
        return np.full((len(features.numeric), 1), self.number)

    def to_onnx(self, opset: int) -> bytes:
        zero = helper.make_tensor("zero", TensorProto.FLOAT, [1, 1], [0.0])
        number = helper.make_tensor("number", TensorProto.FLOAT, [1], [self.number])
        graph = helper.make_graph(
            [
                helper.make_node("MatMul", ["numeric", "zero"], ["nothing"]),
                helper.make_node("Add", ["nothing", "number"], ["scores"]),
            ],
            "number",
            [helper.make_tensor_value_info("numeric", TensorProto.FLOAT, ["rows", 1])],
            [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["rows", 1])],
            [zero, number],
        )
        opsets = [helper.make_opsetid("", opset)]
        return bytes(
            helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString()
        )


def test_an_own_estimator_is_fitted_on_a_logarithmic_scale_as_the_built_in_ones() -> None:
    prices = np.array([1.0, 10.0, 100.0, 1.0, 10.0, 100.0])
    dataset = Dataset(make_matrix(WORDS * 2), prices, "regression", 0)
    params = make_params(target_scale="log")
    model = fit_candidate(dataset, dataset, params, 1, [OneNumber()])

    scores = model.predict(dataset.features)
    np.testing.assert_allclose(scores, np.full((6, 1), prices.mean()))
    graph = OnnxModel(model.to_onnx(20))
    check_parity(compare_scores(scores, graph.score(dataset.features), 1.0), 1e-5)


def test_a_fit_that_returns_something_else_is_rejected() -> None:
    class Lazy(Slope):
        def fit(self, train: Any, validation: Any, params: Any, seed: int) -> Any:
            return 7

    dataset = make_dataset(WORDS * 2)
    with pytest.raises(TrainingError, match=r"Lazy of .*test_estimators.py: fit returned int"):
        fit_candidate(dataset, dataset, make_params(), 1, [Lazy()])


class Nameless(Slope):
    """Its name is not a key of params.yaml."""

    name = "My model"


class Taken(Slope):
    """Its name is that of a built-in estimator."""

    name = "linear"


class Bare(Slope):
    """Its parameters are not a section."""

    Params = cast("Any", dict)


class Short(Slope):
    """It fits without validation rows and a seed."""

    fit = cast("Any", lambda self, train: None)


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (
            Slope,
            r"estimators\[0\] is the class Slope of .*; pass an instance: Slope\(",
        ),
        (
            Nameless(),
            r"estimators\[0\], Nameless of .*test_estimators.py, has the name 'My model'; write",
        ),
        (Taken(), r"the name 'linear', which is taken"),
        (Bare(), r"Bare of .*test_estimators.py has no parameters; write `class Params\(Par"),
        (
            Short(),
            r"estimators\[0\].fit is Short.<lambda>\(.*; it must be a function fit\(self, train",
        ),
    ],
)
def test_an_object_that_is_no_estimator_is_rejected_at_the_start(found: Any, sentence: str) -> None:
    with pytest.raises(ProjectError, match=sentence):
        check_project(Project(compute_features, estimators=[found]), "project.py", ())
