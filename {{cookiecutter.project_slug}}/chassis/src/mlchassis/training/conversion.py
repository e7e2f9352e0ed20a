"""A fitted pipeline to one ONNX graph with the inputs `numeric` and `categorical`."""

import warnings
from functools import cache
from typing import Any

import numpy as np

from mlchassis.errors import ProjectError
from mlchassis.training.category_encoding import CategoryEncoder, MeanEncoder
from mlchassis.training.custom_model import CustomModel
from mlchassis.training.log_target import LogTargetRegressor


class ConversionError(ProjectError):
    """A model that cannot be written as an ONNX graph."""


def convert_model(estimator: Any, numeric: int, categorical: int, opset: int) -> bytes:
    """Converts preprocessing and model together.

    Conversion alone proves nothing: some estimators convert without a word into a graph that
    answers otherwise. `parity` is what proves it.

    Args:
        estimator: A fitted estimator over numeric columns followed by categorical ones.
        numeric: Number of numeric columns.
        categorical: Number of categorical columns.
        opset: ONNX operator set to aim at.

    Raises:
        ConversionError: No converter knows the estimator or a step of it.
    """
    if isinstance(estimator, CustomModel):
        return estimator.convert(numeric, categorical, opset)
    if isinstance(estimator, LogTargetRegressor):
        return _convert_log_target(estimator, numeric, categorical, opset)
    _register_converters()
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType
    from sklearn.base import is_classifier

    inputs = [("numeric", FloatTensorType([None, numeric]))] if numeric else []
    if categorical:
        inputs.append(("categorical", StringTensorType([None, categorical])))
    options = {id(estimator): {"zipmap": False}} if is_classifier(estimator) else None
    try:
        with warnings.catch_warnings():
            # Converters look at deprecated names of their own dependencies.
            warnings.simplefilter("ignore")
            graph = to_onnx(
                estimator,
                initial_types=inputs,
                target_opset={"": opset, "ai.onnx.ml": 3},
                options=options,
            )
    except Exception as error:  # Converters raise whatever they meet.
        raise ConversionError(
            f"The model cannot be converted to ONNX ({type(error).__name__}: "
            f"{' '.join(str(error).split())[:200]}); use an estimator that skl2onnx supports."
        ) from error
    graph.producer_version = graph.doc_string = ""
    # skl2onnx keeps them in a set, whose order is another one in each process.
    opsets = sorted(graph.opset_import, key=lambda entry: str(entry.domain))
    del graph.opset_import[:]
    graph.opset_import.extend(opsets)
    serialised: bytes = graph.SerializeToString(deterministic=True)
    return serialised


def _convert_log_target(
    estimator: LogTargetRegressor, numeric: int, categorical: int, opset: int
) -> bytes:
    """Append the way back from the logarithm, in double precision, to the inner model's graph."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    inner = convert_model(estimator.model, numeric, categorical, opset)
    model = onnx.load_from_string(inner)
    graph = model.graph
    (score,) = graph.output
    constants = {
        "log_target_factor": estimator.factor,
        "log_target_offset": estimator.offset,
        "log_target_least": 0.0,
    }
    graph.initializer.extend(
        numpy_helper.from_array(np.array(value, dtype=np.float64), name)
        for name, value in constants.items()
    )
    graph.node.extend(
        [
            helper.make_node("Cast", [score.name], ["log_target_score"], to=TensorProto.DOUBLE),
            helper.make_node("Exp", ["log_target_score"], ["log_target_exp"]),
            helper.make_node("Mul", ["log_target_exp", "log_target_factor"], ["log_target_scaled"]),
            helper.make_node(
                "Sub", ["log_target_scaled", "log_target_offset"], ["log_target_shifted"]
            ),
            helper.make_node("Max", ["log_target_shifted", "log_target_least"], ["target"]),
        ]
    )
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info("target", TensorProto.DOUBLE, [None, 1]))
    serialized: bytes = model.SerializeToString(deterministic=True)
    return serialized


@cache
def _register_converters() -> None:
    """Register the converters of our encoder and of LightGBM's estimators; once per process."""
    from skl2onnx import update_registered_converter

    for encoder in (CategoryEncoder, MeanEncoder):
        update_registered_converter(
            encoder, encoder.__name__, _infer_encoder_shape, _convert_encoder
        )
    _register_lightgbm()


def _infer_encoder_shape(operator: Any) -> None:
    from skl2onnx.common.data_types import FloatTensorType

    rows = operator.inputs[0].get_first_dimension()
    width = len(operator.raw_operator.default_)
    operator.outputs[0].type = FloatTensorType([rows, width])


def _convert_encoder(scope: Any, operator: Any, container: Any) -> None:
    """One lookup for each number of a category, side by side."""
    encoder, result = operator.raw_operator, operator.outputs[0].full_name
    # A lookup without an entry is no valid node; this entry says what the default says.
    table = encoder.table_ or {"": encoder.default_}
    width = len(encoder.default_)
    outputs = [scope.get_unique_variable_name("lookup") for _ in range(width)]
    for position, output in enumerate(outputs):
        container.add_node(
            "LabelEncoder",
            operator.inputs[0].full_name,
            output,
            op_domain="ai.onnx.ml",
            op_version=2,
            name=scope.get_unique_operator_name("Lookup"),
            keys_strings=[name.encode("utf-8") for name in table],
            values_floats=[numbers[position] for numbers in table.values()],
            default_float=encoder.default_[position],
        )
    name = scope.get_unique_operator_name("Lookups")
    container.add_node("Concat", outputs, result, op_version=13, name=name, axis=1)


def _register_lightgbm() -> None:
    import lightgbm
    from skl2onnx import update_registered_converter
    from skl2onnx.common.shape_calculator import (
        calculate_linear_classifier_output_shapes,
        calculate_linear_regressor_output_shapes,
    )

    update_registered_converter(
        lightgbm.LGBMClassifier,
        "LightGbmLGBMClassifier",
        calculate_linear_classifier_output_shapes,
        _convert_lightgbm,
        options={
            "nocl": [True, False],
            "zipmap": [True, False, "columns"],
            "raw_scores": [True, False],
        },
    )
    update_registered_converter(
        lightgbm.LGBMRegressor,
        "LightGbmLGBMRegressor",
        calculate_linear_regressor_output_shapes,
        _convert_lightgbm,
        options={"split": None},
    )


def _convert_lightgbm(scope: Any, operator: Any, container: Any) -> None:
    """Converts as onnxmltools does, with thresholds rounded towards minus infinity.

    LightGBM compares with a double half-way between two values, ONNX with a float32. Rounded to
    the nearest, the threshold between two neighbouring float32 values can become the upper one,
    and that value then takes the other branch. Rounded down, `x <= threshold` is the same for
    every float32.
    """
    from onnxmltools.convert.lightgbm.operator_converters.LightGbm import convert_lightgbm

    add_node = container.add_node

    def add_exact_node(*arguments: Any, **attributes: Any) -> None:
        if "nodes_values" in attributes:
            attributes["nodes_values"] = _round_down(attributes["nodes_values"])
        add_node(*arguments, **attributes)

    container.add_node = add_exact_node
    try:
        convert_lightgbm(scope, operator, container)
    finally:
        container.add_node = add_node


def _round_down(thresholds: list[float]) -> list[float]:
    exact = np.array(thresholds, dtype=np.float64)
    near = exact.astype(np.float32)
    lower = np.where(near > exact, np.nextafter(near, np.float32(-np.inf)), near)
    rounded: list[float] = lower.astype(np.float64).tolist()
    return rounded
