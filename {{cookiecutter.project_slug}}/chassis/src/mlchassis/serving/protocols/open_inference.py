"""The protocol of `/v2/…`: the Open Inference Protocol that KServe, Triton and MLServer speak.

https://github.com/kserve/open-inference-protocol describes it. A tensor per column, of shape [rows]
or [rows, 1], as MLServer's codec of pandas' frames sends it. JSON alone: the extension for binary
tensors is refused, and where binary answers are requested, JSON is sent, as a client can tell from
the headers. A missing value is null, which the protocol leaves open and MLServer's client sends.

Parameters may change what data mean: MLServer's `content_type` is read, and a parameter that is not
known here is refused rather than passed over.
"""

import base64
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from mlchassis.contract.model import Column, Contract, Kind
from mlchassis.serving.loading import LoadedModel
from mlchassis.serving.problems import NO_SUCH_MODEL, ProblemError
from mlchassis.serving.protocols.invocations import flatten_predictions
from mlchassis.serving.protocols.messages import Location
from mlchassis.serving.protocols.types import (
    PredictRequest,
    PredictResult,
    RawRequest,
    parse_object,
    refuse,
    rows_from_columns,
    validate_rows,
)

_INTEGERS = ("INT64", "INT32", "INT16", "INT8", "UINT64", "UINT32", "UINT16", "UINT8")
_FLOATS = ("FP64", "FP32", "FP16")
DATATYPES: Mapping[Kind, tuple[str, ...]] = {
    "number": (*_FLOATS, *_INTEGERS),
    # A column of whole numbers in which some are missing is one of floats in pandas.
    "integer": (*_INTEGERS, *_FLOATS),
    "boolean": ("BOOL",),
    "string": ("BYTES",),
    "timestamp": ("BYTES",),
}
"""Datatypes that a tensor of a column may have; the model's metadata name the first."""
_REQUEST_MEMBERS = frozenset({"id", "parameters", "inputs", "outputs"})
_TENSOR_MEMBERS = frozenset({"name", "shape", "datatype", "parameters", "data"})
_TEXT_TYPES = ("str", "np", "pd")
"""MLServer's content types of BYTES that are plain text."""
_REQUEST_PARAMETERS = {"content_type": ("pd",), "binary_data_output": (True, False)}
_OUTPUT_PARAMETERS = {"content_type": _TEXT_TYPES, "binary_data": (True, False)}
"""Parameters that are taken, with their values: JSON is what is sent whichever they are."""


class OpenInference:
    """Tensors in, tensors out."""

    media_types: tuple[bytes, ...] = (b"application/json",)

    def decode(self, model: LoadedModel, raw: RawRequest) -> PredictRequest:
        """Read an inference request.

        Raises:
            ProblemError: It asks another model, is none, or its rows do not keep the contract.
        """
        check_model(model, raw.path)
        document = _parse_request(raw.body)
        names = _read_outputs(document.get("outputs"), model.contract)
        columns = _read_inputs(document.get("inputs"), model.contract)
        locate = _locate_in_tensors(list(columns))
        rows = validate_rows(model, rows_from_columns(columns, "/inputs"), locate)
        options = {"id": document.get("id", raw.request_id), "names": names}
        return PredictRequest(rows, raw.request_id, options=options, trace_id=raw.trace_id)

    def encode(self, result: PredictResult) -> bytes:
        """Write a tensor per column of the registered model's output."""
        answers = flatten_predictions(result)
        datatypes = output_datatypes(result.model.contract)
        tensors = [
            {
                "name": name,
                "shape": [len(answers), 1],
                "datatype": datatypes[name],
                "data": [answer[name] for answer in answers],
            }
            for name in result.request.options["names"]
        ]
        identity = result.model.identity
        return msgspec.json.encode(
            {
                "model_name": identity.name,
                "model_version": identity.version,
                "id": result.request.options["id"],
                "parameters": {
                    "request_id": result.request.request_id,
                    "digest": identity.digest,
                },
                "outputs": tensors,
            }
        )


def _parse_request(body: bytes) -> dict[str, Any]:
    """Parse a request and check its members, but for the tensors."""
    document = parse_object(body)
    if set(document) - _REQUEST_MEMBERS:
        raise refuse("", "Only id, parameters, inputs and outputs may be here.")
    if not isinstance(document.get("id", ""), str):
        raise refuse("/id", "This must be a string.")
    _check_parameters(document, _REQUEST_PARAMETERS, "")
    return document


def _locate_in_tensors(names: list[str]) -> Callable[[Location], Location]:
    """Return the function from a record's location to one in tensors of this order."""

    def locate(place: Location) -> Location:
        if len(place) > 2 and place[2] not in names:
            # A tensor that is missing has no place, but a name.
            return ("inputs", place[2])
        tensor = (names.index(str(place[2])), "data") if place[2:] else ()
        return ("inputs", *tensor, *place[1:2])

    return locate


def check_model(model: LoadedModel, path: Mapping[str, str]) -> None:
    """Reject a path that names another model or version than the loaded one."""
    identity = model.identity
    if path["name"] != identity.name or path.get("version", identity.version) != identity.version:
        raise ProblemError(
            NO_SUCH_MODEL, f"Served are model '{identity.name}', version '{identity.version}'."
        )


def describe_model(model: LoadedModel) -> dict[str, Any]:
    """The model's metadata: its tensors."""
    return {
        "name": model.identity.name,
        "versions": [model.identity.version],
        "platform": "onnxruntime_onnx",
        "inputs": [
            {
                "name": column.name,
                "datatype": DATATYPES[column.kind][0],
                "shape": [-1, 1],
                "parameters": {"optional": not column.required},
            }
            for column in model.contract.features
        ],
        "outputs": [
            {"name": name, "datatype": datatype, "shape": [-1, 1]}
            for name, datatype in output_datatypes(model.contract).items()
        ],
    }


def output_datatypes(contract: Contract) -> dict[str, str]:
    """The answer's tensors, by name."""
    kind: Kind = "number" if contract.task == "regression" else contract.target.kind
    return dict.fromkeys(contract.outputs, "FP64") | {"prediction": DATATYPES[kind][0]}


def _read_outputs(requested: Any, contract: Contract) -> list[str]:
    known = list(output_datatypes(contract))
    if not requested and isinstance(requested, list | None):
        return known
    if not isinstance(requested, list) or not all(isinstance(entry, dict) for entry in requested):
        raise refuse("/outputs", "This must be a list of objects with a name.")
    for position, entry in enumerate(requested):
        _check_parameters(entry, _OUTPUT_PARAMETERS, f"/outputs/{position}")
    names = [entry.get("name") for entry in requested]
    if any(name not in known for name in names) or len(set(names)) < len(names):
        raise refuse("/outputs", f"The names may be {', '.join(known)}, each once.")
    return [name for name in known if name in names]


def _read_inputs(tensors: Any, contract: Contract) -> dict[str, list[Any]]:
    if not isinstance(tensors, list) or not tensors:
        raise refuse("/inputs", "This must be a list of tensors, one per column.")
    known = {column.name: column for column in contract.request_columns}
    columns: dict[str, list[Any]] = {}
    for position, tensor in enumerate(tensors):
        pointer = f"/inputs/{position}"
        name = tensor.get("name") if isinstance(tensor, dict) else None
        if not isinstance(name, str) or name not in known:
            raise refuse(f"{pointer}/name", "This must be the name of a column of the contract.")
        if name in columns:
            raise refuse(f"{pointer}/name", "The column is there twice.")
        if set(tensor) - _TENSOR_MEMBERS:
            raise refuse(pointer, f"Only {', '.join(sorted(_TENSOR_MEMBERS))} may be here.")
        columns[name] = _read_tensor(tensor, known[name], pointer)
    return columns


def _read_tensor(tensor: Mapping[str, Any], column: Column, pointer: str) -> list[Any]:
    allowed = DATATYPES[column.kind]
    if tensor.get("datatype") not in allowed:
        raise refuse(f"{pointer}/datatype", f"This may be {', '.join(allowed)}.")
    shape = tensor.get("shape")
    if (
        not isinstance(shape, list)
        or not all(type(size) is int and size >= 0 for size in shape)
        or shape[1:] not in ([], [1])
    ):
        raise refuse(f"{pointer}/shape", "This must be [rows] or [rows, 1].")
    data = tensor.get("data")
    if not isinstance(data, list):
        raise refuse(
            f"{pointer}/data", "Tensors are read as JSON; send this as a list, not as binary data."
        )
    if len(shape) == 2 and data and all(isinstance(row, list) for row in data):
        data = [value for row in data for value in row]
    if not shape or len(data) != math.prod(shape):
        raise refuse(f"{pointer}/data", "There must be as many values as the shape says.")
    return _decode_content(tensor, column, data, pointer)


def _decode_content(
    tensor: Mapping[str, Any], column: Column, data: list[Any], pointer: str
) -> list[Any]:
    """Values as the tensor's parameter `content_type` says that they are written."""
    allowed: tuple[str, ...] = ("np", "pd")
    if tensor["datatype"] == "BYTES":
        # MLServer's datetime is ISO 8601, as a timestamp is written here.
        allowed = (*_TEXT_TYPES, "base64", *(["datetime"] if column.kind == "timestamp" else []))
    # `optional` is what this model's metadata say of a tensor.
    _check_parameters(tensor, {"content_type": allowed, "optional": (True, False)}, pointer)
    if (tensor.get("parameters") or {}).get("content_type") != "base64":
        return data
    return [
        None if value is None else _decode_base64(value, f"{pointer}/data/{position}")
        for position, value in enumerate(data)
    ]


def _decode_base64(value: Any, pointer: str) -> str:
    try:
        return base64.b64decode(value, validate=True).decode()
    except (TypeError, ValueError):
        raise refuse(pointer, "This must be Base64 of text in UTF-8.") from None


def _check_parameters(
    document: Mapping[str, Any], known: Mapping[str, Sequence[Any]], pointer: str
) -> None:
    """Reject unknown parameters: they might change the meaning of the data."""
    parameters = document.get("parameters")
    if parameters is None:
        return
    if not isinstance(parameters, dict):
        raise refuse(f"{pointer}/parameters", "This must be an object.")
    for name, value in parameters.items():
        if name not in known:
            offered = ", ".join(known)
            raise refuse(f"{pointer}/parameters", f"Only {offered} may be here.")
        if value not in known[name]:
            offered = ", ".join(str(each).lower() for each in known[name])
            raise refuse(f"{pointer}/parameters/{name}", f"This may be {offered}.")
