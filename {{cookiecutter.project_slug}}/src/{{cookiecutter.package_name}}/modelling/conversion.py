"""A fitted pipeline to one ONNX graph with the inputs `numeric` and `categorical`."""

import warnings
from functools import cache
from typing import Any

import numpy as np

from ..errors import ProjectError
from .encoding import CategoryEncoder


class ConversionError(ProjectError):
    """A model that cannot be written as an ONNX graph."""


def convert_model(estimator: Any, numeric: int, categorical: int, opset: int) -> bytes:
    """Converts preprocessing and model together.

    Conversion alone proves nothing: some estimators convert without a word into a graph that
    answers otherwise. `parity` is what proves it.

    Args:
        estimator: A fitted estimator over numeric columns followed by categorical ones.
        numeric: How many numeric columns there are.
        categorical: How many categorical columns there are.
        opset: ONNX operator set to aim at.

    Raises:
        ConversionError: No converter knows the estimator or a step of it.
    """
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


@cache
def _register_converters() -> None:
    """Register the converters of our encoder and of LightGBM's estimators; once per process."""
    from skl2onnx import update_registered_converter

    update_registered_converter(
        CategoryEncoder, "CategoryEncoder", _infer_encoder_shape, _convert_encoder
    )
    _register_lightgbm()


def _infer_encoder_shape(operator: Any) -> None:
    from skl2onnx.common.data_types import FloatTensorType

    rows = operator.inputs[0].get_first_dimension()
    operator.outputs[0].type = FloatTensorType([rows, 1])


def _convert_encoder(scope: Any, operator: Any, container: Any) -> None:
    """A lookup whose default is the code of rare categories, so that unseen ones get it too."""
    categories = operator.raw_operator.categories_
    other = float(len(categories))
    # A lookup without an entry is no valid node; this entry says what the default says.
    codes = {name: float(code) for code, name in enumerate(categories)} or {"": other}
    container.add_node(
        "LabelEncoder",
        operator.inputs[0].full_name,
        operator.outputs[0].full_name,
        op_domain="ai.onnx.ml",
        op_version=2,
        name=scope.get_unique_operator_name("CategoryEncoder"),
        keys_strings=[name.encode("utf-8") for name in codes],
        values_floats=list(codes.values()),
        default_float=other,
    )


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
