"""ONNX graphs for estimators of libraries that take no strings, such as PyTorch."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import NodeProto

IR_VERSION = 9
"""Of composed graphs. ONNX Runtime knows fewer versions than the package onnx may write."""


def encode_categories(tables: Sequence[Sequence[str]], opset: int) -> bytes:
    """Return a graph from strings to codes: `categorical` to `codes`, both (rows, columns).

    Args:
        tables: For each column its categories. A category's code is its position (int64); every
            other string has the number of categories as its code.
        opset: ONNX operator set.
    """
    from onnx import TensorProto, helper

    nodes = [
        node
        for column, categories in enumerate(tables)
        for node in _make_column_nodes(column, categories)
    ]
    parts = [f"codes_{column}" for column in range(len(tables))]
    nodes.append(helper.make_node("Concat", parts, ["codes"], axis=1))
    shape: list[str | int | None] = ["rows", len(tables)]
    graph = helper.make_graph(
        nodes,
        "encoder",
        [helper.make_tensor_value_info("categorical", TensorProto.STRING, shape)],
        [helper.make_tensor_value_info("codes", TensorProto.INT64, shape)],
    )
    versions = [helper.make_opsetid("", opset), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(graph, opset_imports=versions, ir_version=IR_VERSION)
    encoded: bytes = model.SerializeToString(deterministic=True)
    return encoded


def _make_column_nodes(column: int, categories: Sequence[str]) -> list["NodeProto"]:
    """Return the nodes that turn one column of strings into its codes."""
    from onnx import TensorProto, helper

    index = helper.make_tensor(f"column_{column}", TensorProto.INT64, [1], [column])
    return [
        helper.make_node("Constant", [], [f"column_{column}"], value=index),
        helper.make_node(
            "Gather", ["categorical", f"column_{column}"], [f"strings_{column}"], axis=1
        ),
        helper.make_node(
            "LabelEncoder",
            [f"strings_{column}"],
            [f"codes_{column}"],
            domain="ai.onnx.ml",
            keys_strings=list(categories),
            values_int64s=list(range(len(categories))),
            default_int64=len(categories),
        ),
    ]


def compose(encoder: bytes, graph: bytes) -> bytes:
    """Return one graph in which the encoder's outputs are inputs of the other graph.

    Args:
        encoder: A graph whose outputs have the names of inputs of `graph`.
        graph: The model; its further inputs stay inputs.
    """
    import onnx
    from onnx import compose as onnx_compose
    from onnx import helper

    first = onnx.load_from_string(encoder)
    second = onnx.load_from_string(graph)
    versions = {
        entry.domain: entry.version for entry in (*first.opset_import, *second.opset_import)
    }
    for model in (first, second):
        model.ir_version = IR_VERSION
        del model.opset_import[:]
        model.opset_import.extend(
            helper.make_opsetid(domain, version) for domain, version in sorted(versions.items())
        )
    names = [output.name for output in first.graph.output]
    merged = onnx_compose.merge_models(first, second, io_map=[(name, name) for name in names])
    merged.producer_name = merged.producer_version = merged.doc_string = ""
    composed: bytes = merged.SerializeToString(deterministic=True)
    return composed
