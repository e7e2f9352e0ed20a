"""A fitted pipeline to one ONNX graph with the inputs `numeric` and `categorical`."""

import warnings
from functools import cache
from typing import Any

import numpy as np

from mlchassis.errors import ProjectError
from mlchassis.training.category_encoding import CategoryEncoder, MeanEncoder


class ConversionError(ProjectError):
    """A model that cannot be written as an ONNX graph."""


def convert_pipeline(pipeline: Any, numeric: int, categorical: int, opset: int) -> bytes:
    """Convert preprocessing and model together.

    A conversion proves nothing: some estimators are converted without a warning into a graph that
    predicts otherwise. `parity` proves it.

    Args:
        pipeline: A fitted estimator over numeric columns followed by categorical ones.
        numeric: Number of numeric columns.
        categorical: Number of categorical columns.
        opset: ONNX operator set to aim at.

    Raises:
        ConversionError: No converter knows the estimator or a step of it.
    """
    _register_converters()
    graph = _run_converters(pipeline, numeric, categorical, opset)
    graph.producer_version = graph.doc_string = ""
    # skl2onnx keeps them in a set, whose order is another one in each process.
    opsets = sorted(graph.opset_import, key=lambda entry: str(entry.domain))
    del graph.opset_import[:]
    graph.opset_import.extend(opsets)
    serialized: bytes = graph.SerializeToString(deterministic=True)
    return serialized


def _run_converters(pipeline: Any, numeric: int, categorical: int, opset: int) -> Any:
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType
    from sklearn.base import is_classifier

    inputs = [("numeric", FloatTensorType([None, numeric]))] if numeric else []
    if categorical:
        inputs.append(("categorical", StringTensorType([None, categorical])))
    options = {id(pipeline): {"zipmap": False}} if is_classifier(pipeline) else None
    try:
        with warnings.catch_warnings():
            # Converters look at deprecated names of their own dependencies.
            warnings.simplefilter("ignore")
            return to_onnx(
                pipeline,
                initial_types=inputs,
                target_opset={"": opset, "ai.onnx.ml": 3},
                options=options,
            )
    except Exception as error:  # Converters raise whatever they meet.
        raise ConversionError(
            f"The model cannot be converted to ONNX ({type(error).__name__}: "
            f"{' '.join(str(error).split())[:200]}); use an estimator that skl2onnx supports."
        ) from error


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
    """Add one lookup for each number of a category, side by side."""
    encoder = operator.raw_operator
    result = operator.outputs[0].full_name
    # A lookup without an entry is not a valid node; this entry says what the default says.
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
    """Convert as onnxmltools does, with thresholds rounded towards minus infinity.

    LightGBM compares with a double half-way between two values, ONNX with a float32. Rounded to
    the nearest, the threshold between two neighboring float32 values can become the upper one,
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
