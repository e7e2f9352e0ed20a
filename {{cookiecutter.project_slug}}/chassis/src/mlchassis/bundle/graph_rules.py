"""Rules for ONNX graphs, checked before ONNX Runtime loads them.

A graph may keep its weights in other files and may name operators of libraries that somebody
installed. Such a graph is more than its bytes, and its digest no longer says what it computes.
"""

from collections.abc import Iterator
from functools import cache
from typing import Any

DOMAINS = frozenset({b"", b"ai.onnx", b"ai.onnx.ml"})
"""Operators of the standard; ONNX Runtime has them built in."""

_PACKAGE = "graph_rules"
_MESSAGES: dict[str, dict[str, tuple[int, str]]] = {
    "Model": {"graph": (7, "Graph"), "opset_import": (8, "*Opset"), "functions": (25, "*Function")},
    "Opset": {"domain": (1, "")},
    "Function": {"name": (1, "")},
    "Graph": {"node": (1, "*Node"), "initializer": (5, "*Tensor"), "sparse": (15, "*Sparse")},
    "Node": {"op_type": (4, ""), "attribute": (5, "*Attribute"), "domain": (7, "")},
    "Attribute": {
        "t": (5, "Tensor"),
        "g": (6, "Graph"),
        "tensors": (10, "*Tensor"),
        "graphs": (11, "*Graph"),
        "sparse": (22, "Sparse"),
        "sparses": (23, "*Sparse"),
    },
    "Sparse": {"values": (1, "Tensor"), "indices": (2, "Tensor")},
    "Tensor": {"name": (8, ""), "external_data": (13, "*Entry"), "data_location": (14, "int")},
    "Entry": {"key": (1, "")},
}
"""The parts of onnx.proto that are looked at: fields by their number and message; `*` repeats."""


def find_violation(graph: bytes) -> str:
    """Return what a graph must not hold, as the end of a sentence; empty if it is a plain graph."""
    from google.protobuf.message import DecodeError

    try:
        model = _model_class().FromString(graph)
    except DecodeError:
        return "is not an ONNX graph"
    if model.functions:
        return f"defines an operator of its own ({_quote(model.functions[0].name)})"
    for part in (*model.opset_import, *_nodes(model.graph)):
        if part.domain not in DOMAINS:
            return f"uses operators outside the ONNX standard ({_quote(part.domain)})"
    if any(tensor.external_data or tensor.data_location for tensor in _tensors(model.graph)):
        return "keeps data in other files"
    return ""


def _quote(name: bytes) -> str:
    return repr(name.decode(errors="replace")[:60])


def _nodes(graph: Any) -> Iterator[Any]:
    """The nodes of a graph and of the graphs inside its nodes."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from _nodes(inner)


def _tensors(graph: Any) -> Iterator[Any]:
    yield from graph.initializer
    yield from _dense(graph.sparse)
    for node in _nodes(graph):
        for attribute in node.attribute:
            yield attribute.t
            yield from attribute.tensors
            yield from _dense((attribute.sparse, *attribute.sparses))
            for inner in (attribute.g, *attribute.graphs):
                yield from inner.initializer
                yield from _dense(inner.sparse)


def _dense(parts: Any) -> Iterator[Any]:
    for part in parts:
        yield from (part.values, part.indices)


@cache
def _model_class() -> Any:
    """A reader of `_MESSAGES`: the package onnx is not installed where models are served."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    field_kind = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="graph_rules.proto", package=_PACKAGE)
    for message_name, fields in _MESSAGES.items():
        message = file.message_type.add(name=message_name)
        for name, (number, kind) in fields.items():
            many = kind.startswith("*")
            field = message.field.add(
                name=name,
                number=number,
                label=field_kind.LABEL_REPEATED if many else field_kind.LABEL_OPTIONAL,
                type={"": field_kind.TYPE_BYTES, "int": field_kind.TYPE_INT32}.get(
                    kind, field_kind.TYPE_MESSAGE
                ),
            )
            if field.type == field_kind.TYPE_MESSAGE:
                field.type_name = f".{_PACKAGE}.{kind.removeprefix('*')}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.Model"))
