"""A graph is its bytes: no weights in other files, no operators of other libraries."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from ml_service.features import compute_features
from mlchassis.bundle.bundle import BundleError, load_bundle, read_bundle, write_bundle
from mlchassis.bundle.graph_rules import find_violation
from mlchassis.bundle.scorer import OnnxModel, Scorer
from mlchassis.features.code import load_feature_code

FEATURES = load_feature_code(compute_features)


def external(name: str = "weights") -> TensorProto:
    """A tensor whose data lie in a file of this machine."""
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[1])
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key = "location"
    entry.value = "../../etc/passwd"
    return tensor


def branch(**parts: object) -> onnx.GraphProto:
    output = helper.make_tensor_value_info("inner", TensorProto.FLOAT, None)
    return helper.make_graph([], "branch", [], [output], **parts)  # type: ignore[arg-type]


def add_initializer(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(external())


def add_location_alone(model: onnx.ModelProto) -> None:
    tensor = external()
    tensor.ClearField("data_location")
    model.graph.initializer.append(tensor)


def add_sparse_initializer(model: onnx.ModelProto) -> None:
    model.graph.sparse_initializer.add().values.CopyFrom(external())


def add_constant(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("Constant", [], ["c"], value=external()))


def add_list_of_tensors(model: onnx.ModelProto) -> None:
    node = helper.make_node("Constant", [], ["c"])
    node.attribute.append(helper.make_attribute("values", [external()]))
    model.graph.node.append(node)


def add_inside_branch(model: onnx.ModelProto) -> None:
    inner = branch(initializer=[external()])
    model.graph.node.append(
        helper.make_node("If", ["c"], ["d"], then_branch=inner, else_branch=branch())
    )


def add_inside_list_of_graphs(model: onnx.ModelProto) -> None:
    node = helper.make_node("Any", [], [])
    deep = branch()
    deep.node.append(helper.make_node("Constant", [], ["c"], value=external()))
    node.attribute.append(helper.make_attribute("graphs", [deep]))
    model.graph.node.append(node)


@pytest.mark.parametrize(
    "change",
    [
        add_initializer,
        add_location_alone,
        add_sparse_initializer,
        add_constant,
        add_list_of_tensors,
        add_inside_branch,
        add_inside_list_of_graphs,
    ],
)
def test_a_graph_with_data_in_other_files_is_refused_wherever_it_names_them(
    change: Callable[[onnx.ModelProto], None], bundle_path: Path
) -> None:
    model = onnx.load_from_string(load_bundle(bundle_path, FEATURES).model)
    assert not find_violation(model.SerializeToString())
    change(model)

    assert find_violation(model.SerializeToString()) == "keeps data in other files"


def import_domain(model: onnx.ModelProto) -> None:
    model.opset_import.append(helper.make_opsetid("com.evil", 1))


def use_domain(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("Run", [], [], domain="com.evil"))


def use_domain_inside_branch(model: onnx.ModelProto) -> None:
    inner = branch()
    inner.node.append(helper.make_node("Run", [], [], domain="com.evil"))
    model.graph.node.append(helper.make_node("If", [], [], then_branch=inner))


def define_function(model: onnx.ModelProto) -> None:
    function = model.functions.add()
    function.name = "com.evil"


@pytest.mark.parametrize(
    "change", [import_domain, use_domain, use_domain_inside_branch, define_function]
)
def test_a_graph_with_operators_outside_the_standard_is_refused(
    change: Callable[[onnx.ModelProto], None], bundle_path: Path
) -> None:
    model = onnx.load_from_string(load_bundle(bundle_path, FEATURES).model)
    change(model)

    assert "'com.evil'" in find_violation(model.SerializeToString())


@pytest.mark.parametrize("content", [b"x", b"\x00" * 9, b"PK\x03\x04", b"\x80\x04cos\nsystem\n"])
def test_bytes_that_are_no_graph_are_named_so(content: bytes) -> None:
    assert find_violation(content) == "is not an ONNX graph"


def test_a_bundle_with_such_a_graph_is_refused_by_all_who_read_it(
    bundle_path: Path, tmp_path: Path
) -> None:
    own = load_bundle(bundle_path, FEATURES)
    model = onnx.load_from_string(own.model)
    add_initializer(model)
    text = (bundle_path / "contract.yaml").read_text(encoding="utf-8")
    write_bundle(tmp_path / "bundle", model.SerializeToString(), text, own.metadata)

    with pytest.raises(BundleError, match=r"model\.onnx keeps data in other files"):
        read_bundle(tmp_path / "bundle")


def make_model(operator: str, kind: int, shape: list[int | None]) -> bytes:
    nodes = [helper.make_node(operator, ["numeric"], ["out"])]
    given = helper.make_tensor_value_info("numeric", TensorProto.FLOAT, [None, 1])
    output = helper.make_tensor_value_info("out", kind, shape)
    graph = helper.make_graph(nodes, "graph", [given], [output])
    opset = [helper.make_opsetid("", 20)]
    return bytes(helper.make_model(graph, opset_imports=opset, ir_version=9).SerializeToString())


@pytest.mark.parametrize(
    "graph",
    [
        b"",
        b"x",
        make_model("NoSuchOperator", TensorProto.FLOAT, [1]),
        make_model("Identity", TensorProto.STRING, [1]),
        b"\x18\x00\x00\x00ORTM" + b"\x00" * 64,
    ],
)
def test_a_graph_that_onnx_runtime_refuses_is_a_bundle_error(graph: bytes) -> None:
    with pytest.raises(BundleError, match=r"ONNX Runtime rejects the model's graph \(.*\); export"):
        OnnxModel(graph)


def test_a_graph_that_takes_other_features_is_a_bundle_error(
    bundle_path: Path, tmp_path: Path
) -> None:
    own = load_bundle(bundle_path, FEATURES)
    graph = make_model("Identity", TensorProto.FLOAT, [None, 1])
    text = (bundle_path / "contract.yaml").read_text(encoding="utf-8")
    write_bundle(tmp_path / "bundle", graph, text, own.metadata)
    # Which sentence it is depends on the contract's columns and classes.
    with pytest.raises(BundleError):
        Scorer(load_bundle(tmp_path / "bundle", FEATURES), FEATURES).check_golden()


def test_a_graph_that_gives_another_number_of_scores_is_a_bundle_error(
    bundle_path: Path, tmp_path: Path
) -> None:
    own = load_bundle(bundle_path, FEATURES)
    model = onnx.load_from_string(own.model)
    width = np.array([len(own.metadata.golden[0].scores) + 3], dtype=np.int64)
    model.graph.initializer.append(numpy_helper.from_array(np.append([1], width), "repeats"))
    output = model.graph.output[-1]
    model.graph.node.append(helper.make_node("Tile", [output.name, "repeats"], ["wide"]))
    output.CopyFrom(helper.make_tensor_value_info("wide", TensorProto.FLOAT, None))
    text = (bundle_path / "contract.yaml").read_text(encoding="utf-8")
    write_bundle(tmp_path / "bundle", model.SerializeToString(), text, own.metadata)
    with pytest.raises(BundleError, match=r"have the shape \(\d+,\), not \(\d,\)"):
        Scorer(load_bundle(tmp_path / "bundle", FEATURES), FEATURES).check_golden()
