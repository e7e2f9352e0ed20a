"""A regression on the logarithm of a skewed target, which predicts in the target's own unit."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mlchassis.config.section import ParamsSection
from mlchassis.evaluation.metrics import Floats
from mlchassis.extensions.estimators import Dataset, Estimator
from mlchassis.features.encoding import FeatureMatrix
from mlchassis.training.trained_model import TrainedModel, TrainingError, fit_model


@dataclass(frozen=True)
class LogTargetModel:
    """A fitted regression of `log(target + offset)`, shifted or not.

    Predictions are `exp(score) * factor - offset`, never below zero. The factor makes their mean
    the target's mean: the exponential of a mean of logarithms lies below it (Duan, Smearing
    estimate, 1983).

    Attributes:
        model: The fitted model of the logarithm.
        offset: In the target's unit; above zero where the target may be zero.
        factor: Without unit.
    """

    model: TrainedModel
    offset: float
    factor: float = 1.0

    def predict(self, features: FeatureMatrix) -> Floats:
        """Return numbers in the target's unit, shape (rows, 1)."""
        scores = self.model.predict(features)
        return np.maximum(np.exp(scores) * self.factor - self.offset, 0.0)

    def to_onnx(self, opset: int) -> bytes:
        """Return the inner model's graph, with the exponential in double precision at its end."""
        import onnx
        from onnx import TensorProto, helper

        model = onnx.load_from_string(self.model.to_onnx(opset))
        graph = model.graph
        graph.initializer.extend(self._make_constants())
        graph.node.extend(_make_exponential(graph.output[-1].name))
        del graph.output[:]
        graph.output.append(helper.make_tensor_value_info("target", TensorProto.DOUBLE, [None, 1]))
        serialized: bytes = model.SerializeToString(deterministic=True)
        return serialized

    def _make_constants(self) -> list[Any]:
        from onnx import numpy_helper

        constants = {
            "log_target_factor": self.factor,
            "log_target_offset": self.offset,
            "log_target_least": 0.0,
        }
        return [
            numpy_helper.from_array(np.array(value, dtype=np.float64), name)
            for name, value in constants.items()
        ]


def _make_exponential(score: str) -> list[Any]:
    """Return the nodes from the inner model's score to the number in the target's unit."""
    from onnx import TensorProto, helper

    return [
        helper.make_node("Cast", [score], ["log_target_score"], to=TensorProto.DOUBLE),
        helper.make_node("Exp", ["log_target_score"], ["log_target_exp"]),
        helper.make_node("Mul", ["log_target_exp", "log_target_factor"], ["log_target_scaled"]),
        helper.make_node("Sub", ["log_target_scaled", "log_target_offset"], ["log_target_shifted"]),
        helper.make_node("Max", ["log_target_shifted", "log_target_least"], ["target"]),
    ]


def fit_log_target(
    estimator: Estimator, train: Dataset, validation: Dataset, params: ParamsSection, seed: int
) -> TrainedModel:
    """Fit an estimator to the logarithm of the target.

    Raises:
        TrainingError: The target has no logarithm, or the fit must not be used.
    """
    offset = _find_offset(train)
    # A validation split may hold smaller targets than training does, zero among them.
    least = train.target.min() + offset
    logarithms = [np.log(np.maximum(part.target + offset, least)) for part in (train, validation)]
    # Around zero, where the graph's sums of single precision are finest; the factor of the
    # predictions takes the center back.
    center = logarithms[0].mean()
    inner = fit_model(
        estimator,
        replace(train, target=logarithms[0] - center),
        replace(validation, target=logarithms[1] - center),
        params,
        seed,
    )
    exponentials = np.exp(inner.predict(train.features)[:, 0])
    factor = float((train.target + offset).mean() / exponentials.mean())
    return replace(inner, fitted=LogTargetModel(inner, offset, factor))


def _find_offset(train: Dataset) -> float:
    """Choose the offset, or name the setting that the target does not allow."""
    if train.task != "regression":
        raise TrainingError(
            "train.candidate.target_scale is 'log', which classes do not have; set it to 'plain' "
            "in params.yaml."
        )
    try:
        return choose_offset(train.target)
    except ValueError as error:
        raise TrainingError(
            f"train.candidate.target_scale is 'log', but {error}; set it to 'plain' in params.yaml."
        ) from None


def choose_offset(target: Floats) -> float:
    """Return what is added before the logarithm is taken: 0 where every target is positive.

    Else a small positive value of the target itself, so that the scale does not depend on its unit.

    Raises:
        ValueError: A target is negative, or none is positive.
    """
    if target.min() < 0 or not (target > 0).any():
        raise ValueError("only targets of zero and more have a logarithmic scale")
    return 0.0 if target.min() > 0 else float(np.quantile(target[target > 0], 0.05))
