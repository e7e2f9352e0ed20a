"""The scikit-learn pipeline that the built-in estimators fit."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer

from mlchassis.evaluation.metrics import Floats
from mlchassis.extensions.estimators import Dataset
from mlchassis.features.encoding import FeatureMatrix
from mlchassis.training.conversion import convert_pipeline


@dataclass(frozen=True)
class FittedPipeline:
    """A fitted scikit-learn estimator over the columns of `feature_frame`.

    Attributes:
        pipeline: Fitted model with `predict_proba` for classes, else `predict`.
        numeric: Number of numeric columns.
        categorical: Number of categorical columns.
    """

    pipeline: Any
    numeric: int
    categorical: int

    def predict(self, features: FeatureMatrix) -> Floats:
        """Return class probabilities, or numbers as one column: shape (rows, classes or 1)."""
        frame = feature_frame(features)
        if hasattr(self.pipeline, "predict_proba"):
            return np.asarray(self.pipeline.predict_proba(frame), dtype=np.float64)
        return np.asarray(self.pipeline.predict(frame), dtype=np.float64).reshape(-1, 1)

    def to_onnx(self, opset: int) -> bytes:
        """Return the graph of preprocessing and model."""
        return convert_pipeline(self.pipeline, self.numeric, self.categorical, opset)


def wrap_pipeline(pipeline: Any, train: Dataset) -> FittedPipeline:
    """Return a fitted pipeline with the widths of the features that it was fitted to."""
    matrix = train.features
    return FittedPipeline(pipeline, len(matrix.numeric_names), len(matrix.categorical_names))


def feature_frame(matrix: FeatureMatrix) -> pd.DataFrame:
    """Return both matrices side by side: float32 columns, then columns of strings."""
    numeric = pd.DataFrame(matrix.numeric, columns=list(matrix.numeric_names))
    categorical = pd.DataFrame(
        matrix.categorical, columns=list(matrix.categorical_names), dtype=object
    )
    return pd.concat([numeric, categorical], axis=1)


def prepare_columns(
    matrix: FeatureMatrix, numeric: Any, encoders: Sequence[Any]
) -> ColumnTransformer:
    """Preprocess all numeric columns together, and each categorical one by its encoder.

    skl2onnx cannot convert a transformer without columns.
    """
    first = len(matrix.numeric_names)
    parts = [("numeric", numeric, list(range(first)))] if first else []
    parts += [
        (f"categorical_{position}", encoder, [position])
        for position, encoder in enumerate(encoders, start=first)
    ]
    return ColumnTransformer(parts)
