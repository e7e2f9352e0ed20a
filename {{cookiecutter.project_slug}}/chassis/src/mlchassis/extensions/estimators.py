"""The protocol of a project's own estimators."""

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from mlchassis.config.section import ParamsSection
from mlchassis.contract.model import Task
from mlchassis.features.encoding import FeatureMatrix
from mlchassis.team_code.signatures import Signature

FIT = Signature(
    "(self, train: Dataset, validation: Dataset, params: Params, seed: int) -> FittedEstimator", 4
)


@dataclass(frozen=True, slots=True)
class Dataset:
    """Features with their target.

    Attributes:
        features: Both matrices, of equal length.
        target: Shape (rows,): classes by their position, numbers of a regression.
        task: The kind of problem.
        classes: The number of classes; 0 for a regression.
    """

    features: FeatureMatrix
    target: NDArray[np.float64]
    task: Task
    classes: int


@runtime_checkable
class FittedEstimator(Protocol):
    """A trained model. It is stored with joblib, so its class lies in a module of the project."""

    def predict(self, features: FeatureMatrix) -> NDArray[Any]:
        """Return probabilities, shape (rows, classes), or numbers, shape (rows, 1)."""
        ...

    def to_onnx(self, opset: int) -> bytes:
        """Return a graph with the inputs `numeric` and `categorical` and the scores as last output.

        `numeric` is float32, shape (rows, numeric features); `categorical` strings, shape (rows,
        categorical features). An input without features is left out.
        """
        ...


class Estimator(Protocol):
    """A kind of model that `train.candidate.kind` names."""

    @property
    def name(self) -> str:
        """Its name, which is that of its section `train.NAME` in params.yaml too."""
        ...

    @property
    def Params(self) -> type[ParamsSection]:  # noqa: N802 - a class within the estimator
        """The model of that section."""
        ...

    def fit(self, train: Dataset, validation: Dataset, params: Any, seed: int) -> FittedEstimator:
        """Fit a model to `train`; `validation` may decide when to stop.

        Args:
            train: Rows to fit.
            validation: Later or other rows, for early stopping.
            params: The section `train.NAME`: an instance of `Params`.
            seed: Of every random draw: equal seeds give equal models.
        """
        ...
