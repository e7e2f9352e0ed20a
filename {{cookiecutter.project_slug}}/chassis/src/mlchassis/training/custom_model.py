"""A fitted estimator of the project, behind the interface of the built-in ones."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlchassis.contract.model import Task
from mlchassis.errors import ProjectError
from mlchassis.extensions.estimators import Dataset, FittedEstimator
from mlchassis.extensions.signatures import call_project, describe_place
from mlchassis.features.encoding import FeatureMatrix

_INPUTS = {"numeric": "float", "categorical": "string"}


@dataclass(frozen=True, slots=True)
class CustomModel:
    """Fitted estimator of a project, with the width of its scores."""

    fitted: FittedEstimator
    width: int

    def score(self, features: pd.DataFrame) -> NDArray[np.float64]:
        """Return scores of shape (rows, classes or 1).

        Raises:
            ProjectError: The estimator failed, or returned another shape.
        """
        found = call_project(self.fitted.predict, read_matrix(features), use="a prediction")
        scores = np.asarray(found, dtype=np.float64)
        expected = (len(features), self.width)
        if scores.shape != expected:
            raise ProjectError(
                f"{describe_place(self.fitted)}: predict returned scores of shape {scores.shape}; "
                f"return {expected}: a row for each row, a column for each class, or one number."
            )
        return scores

    def convert(self, numeric: int, categorical: int, opset: int) -> bytes:
        """Return the estimator's ONNX graph, whose inputs are checked.

        Raises:
            ProjectError: The estimator failed, or its graph has other inputs.
        """
        import onnx

        content = call_project(self.fitted.to_onnx, opset, use="an export")
        place = describe_place(self.fitted)
        if not isinstance(content, bytes):
            raise ProjectError(
                f"{place}: to_onnx returned {type(content).__name__}; return the bytes of a graph: "
                "`model.SerializeToString()`."
            )
        graph = onnx.load_from_string(content).graph
        found = {value.name for value in graph.input}
        expected = {
            name for name, width in (("numeric", numeric), ("categorical", categorical)) if width
        }
        if not found <= expected:
            raise ProjectError(
                f"{place}: the graph of to_onnx has the inputs {', '.join(sorted(found))}; it may "
                f"have {', '.join(f'{name} ({_INPUTS[name]})' for name in sorted(expected))}."
            )
        return content


def make_dataset(features: pd.DataFrame, target: NDArray[np.float64], task: Task) -> Dataset:
    """Return a frame of features and its target as a project's estimator takes them."""
    classes = 0 if task == "regression" else int(target.max()) + 1
    return Dataset(read_matrix(features), target, task, classes)


def read_matrix(features: pd.DataFrame) -> FeatureMatrix:
    """Return both matrices of a frame that has numeric columns first, then columns of strings."""
    numeric = [name for name, kind in features.dtypes.items() if kind != np.dtype(object)]
    categorical = [name for name in features.columns if name not in numeric]
    strings: Any = features[categorical].to_numpy(dtype=object)
    return FeatureMatrix(
        numeric_names=tuple(map(str, numeric)),
        numeric=features[numeric].to_numpy(dtype=np.float32),
        categorical_names=tuple(map(str, categorical)),
        categorical=strings,
    )
