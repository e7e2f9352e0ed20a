"""Fit any estimator, built-in or of the project, and check what it returns."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlchassis.config.section import ParamsSection
from mlchassis.errors import ProjectError
from mlchassis.extensions.estimators import Dataset, Estimator, FittedEstimator
from mlchassis.features.encoding import FeatureMatrix
from mlchassis.team_code.errors import call_function
from mlchassis.team_code.signatures import describe

_INPUTS = {"numeric": "float", "categorical": "string"}
_OWN_PACKAGE = f"{__name__.partition('.')[0]}."


class TrainingError(ProjectError):
    """A fit that must not be used."""


@dataclass(frozen=True)
class TrainedModel:
    """A fitted estimator whose scores and graph are checked. It is a `FittedEstimator` itself.

    Attributes:
        fitted: The fitted estimator.
        width: Columns of its scores: the number of classes, or 1.
        numeric: Number of numeric features.
        categorical: Number of categorical features.
    """

    fitted: FittedEstimator
    width: int
    numeric: int
    categorical: int

    def predict(self, features: FeatureMatrix) -> NDArray[np.float64]:
        """Return scores, shape (rows, classes or 1).

        Raises:
            ProjectError: The estimator failed, or returned another shape.
        """
        predicted = _call(self.fitted.predict, features, use="a prediction")
        scores = np.asarray(predicted, dtype=np.float64)
        expected = (len(features.numeric), self.width)
        if scores.shape != expected:
            raise ProjectError(
                f"{describe(type(self.fitted))}: predict returned scores of shape {scores.shape}; "
                f"return {expected}: a row for each row, a column for each class, or one number."
            )
        return scores

    def to_onnx(self, opset: int) -> bytes:
        """Return the estimator's ONNX graph.

        Raises:
            ProjectError: The estimator failed, or its graph has other inputs.
        """
        graph = _call(self.fitted.to_onnx, opset, use="an export")
        if not isinstance(graph, bytes):
            raise ProjectError(
                f"{describe(type(self.fitted))}: to_onnx returned {type(graph).__name__}; return "
                "the bytes of a graph: `model.SerializeToString()`."
            )
        self._check_inputs(graph)
        return graph

    def _check_inputs(self, content: bytes) -> None:
        """Reject a graph with an input that the features do not fill."""
        import onnx

        inputs = {value.name for value in onnx.load_from_string(content).graph.input}
        widths = {"numeric": self.numeric, "categorical": self.categorical}
        expected = {name for name, width in widths.items() if width}
        if not inputs <= expected:
            allowed = ", ".join(f"{name} ({_INPUTS[name]})" for name in sorted(expected))
            raise ProjectError(
                f"{describe(type(self.fitted))}: the graph of to_onnx has the inputs "
                f"{', '.join(sorted(inputs))}; it may have {allowed}."
            )


def fit_model(
    estimator: Estimator, train: Dataset, validation: Dataset, params: ParamsSection, seed: int
) -> TrainedModel:
    """Fit an estimator with its section of params.yaml.

    Raises:
        TrainingError: The fit must not be used, or the estimator returned something else.
        ProjectError: An estimator of the project failed.
    """
    fitted = _call(estimator.fit, train, validation, params, seed, use="training")
    if not isinstance(fitted, FittedEstimator):
        raise TrainingError(
            f"{describe(type(estimator))}: fit returned {type(fitted).__name__}; return an object "
            "with `predict(features)` and `to_onnx(opset)`."
        )
    return TrainedModel(
        fitted,
        width=max(1, train.classes),
        numeric=len(train.features.numeric_names),
        categorical=len(train.features.categorical_names),
    )


def _call(function: Callable[..., Any], *arguments: Any, use: str) -> Any:
    """Call a method of an estimator; an error in the project's code names its file and line."""
    if function.__module__.startswith(_OWN_PACKAGE):
        return function(*arguments)
    return call_function(function, *arguments, use=use)
