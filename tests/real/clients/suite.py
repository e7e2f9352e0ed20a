"""The Open Inference Protocol, asked of a server with clients that others wrote.

    python suite.py ADDRESS MODEL VERSION < record.json

Prints a JSON object: the name of each check, and "" where it holds or else what was found. Nothing
here knows which server answers.
"""

import json
import math
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import requests
import tritonclient.http as triton
from mlserver.codecs import PandasCodec
from mlserver.types import InferenceResponse

DATATYPES = {
    *("BOOL", "BYTES", "FP16", "FP32", "FP64", "INT8", "INT16", "INT32", "INT64"),
    *("UINT8", "UINT16", "UINT32", "UINT64"),
}
NUMPY = {"BOOL": np.bool_, "BYTES": np.object_, "FP64": np.float64, "INT64": np.int64}


class Server:
    """A server, its model and a request that it answers."""

    def __init__(self, address: str, model: str, version: str, record: dict[str, Any]) -> None:
        """Ask for the metadata, and make the request from them and a record."""
        self.address, self.model, self.version = address, model, version
        self.path = f"/v2/models/{model}"
        self.versioned = f"{self.path}/versions/{version}"
        self.metadata = self.get(self.path).json()
        self.record = {
            t["name"]: record[t["name"]] for t in self.metadata["inputs"] if t["name"] in record
        }
        self.kinds = {tensor["name"]: tensor["datatype"] for tensor in self.metadata["inputs"]}

    def get(self, path: str) -> requests.Response:
        """GET."""
        return requests.get(self.address + path, timeout=60)

    def infer(self, body: Any, path: str = "") -> requests.Response:
        """POST an inference request, as JSON or as bytes."""
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        return requests.post(
            f"{self.address}{path or self.path}/infer",
            sent,
            headers={"Content-Type": "application/json"},
            timeout=60,
        )

    def tensors(self, rows: int = 1, *, flat: bool = False) -> list[dict[str, Any]]:
        """The inputs of a request, of shape [rows, 1] or [rows]."""
        return [
            {
                "name": name,
                "shape": [rows] if flat else [rows, 1],
                "datatype": self.kinds[name],
                "data": [value] * rows,
            }
            for name, value in self.record.items()
        ]


def check_health(server: Server) -> Iterator[tuple[str, Any]]:
    """Health checks of an orchestrator."""
    for path in ("/v2/health/live", "/v2/health/ready"):
        answer = server.get(path)
        yield f"{path} is 200", answer.status_code == 200
        yield f"{path} is not HTML", "html" not in answer.headers.get("content-type", "")
    about = server.get("/v2")
    yield "/v2 is 200", about.status_code == 200
    yield "/v2 is JSON", about.headers["content-type"].startswith("application/json")
    for name, kind in (("name", str), ("version", str), ("extensions", list)):
        yield f"/v2 has {name}", isinstance(about.json().get(name), kind)
    for path in (server.path, server.versioned):
        ready = server.get(f"{path}/ready")
        where = path.replace(server.model, "NAME")
        yield f"{where}/ready is 200", ready.status_code == 200
        yield f"{where}/ready says which model", _read(ready).get("name") == server.model
        yield f"{where}/ready says that it is", _read(ready).get("ready") is True


def check_metadata(server: Server) -> Iterator[tuple[str, Any]]:
    """Metadata of the model."""
    found = server.metadata
    yield "the metadata have the name", found["name"] == server.model
    yield "the metadata have the version", server.version in found.get("versions", [])
    yield "the metadata have a platform", isinstance(found["platform"], str)
    other = server.get(server.versioned)
    yield "the version's metadata are 200", other.status_code == 200
    yield "the version's metadata are the same", _read(other).get("inputs") == found["inputs"]
    for side in ("inputs", "outputs"):
        names = [tensor["name"] for tensor in found[side]]
        yield f"there are {side}", names
        yield f"the {side} have names of their own", len(set(names)) == len(names)
        kinds = {tensor["datatype"] for tensor in found[side]}
        yield f"the {side} have the protocol's datatypes", kinds <= DATATYPES
        sizes = [size for tensor in found[side] for size in tensor["shape"]]
        yield f"the {side} have shapes", all(type(size) is int and size >= -1 for size in sizes)


def check_unknown(server: Server) -> Iterator[tuple[str, Any]]:
    """A model and a version that are not there."""
    for what, path in (
        ("model", "/v2/models/no-such-model"),
        ("version", f"{server.path}/versions/no-such-version"),
    ):
        answers = {
            "metadata": server.get(path),
            "readiness": server.get(f"{path}/ready"),
            "inference": server.infer({"inputs": server.tensors()}, path),
        }
        for name, answer in answers.items():
            yield f"{name} of an unknown {what} is 404", answer.status_code == 404
            yield f"{name} of an unknown {what} has an error", _says_error(answer)


def check_inference(server: Server) -> Iterator[tuple[str, Any]]:
    """Inference as JSON."""
    answer = server.infer({"id": "mine", "inputs": server.tensors()})
    document = _read(answer)
    yield "an inference is 200", answer.status_code == 200
    yield "an inference is JSON", answer.headers["content-type"].startswith("application/json")
    yield "an answer names the model", document["model_name"] == server.model
    yield "an answer names the version", document["model_version"] == server.version
    yield "an answer has the request's id", document["id"] == "mine"
    expected = {tensor["name"]: tensor["datatype"] for tensor in server.metadata["outputs"]}
    outputs = {tensor["name"]: tensor for tensor in document["outputs"]}
    yield "the outputs are those of the metadata", set(outputs) == set(expected)
    yield "their datatypes too", {n: t["datatype"] for n, t in outputs.items()} == expected
    sizes = [math.prod(t["shape"]) == len(t["data"]) for t in outputs.values()]
    yield "there are as many values as the shapes say", all(sizes)
    yield "there is a row for each", all(t["shape"][0] == 1 for t in outputs.values())
    unnamed = _read(server.infer({"inputs": server.tensors()}))
    yield "without an id one is made", unnamed.get("id") and isinstance(unnamed["id"], str)
    versioned = server.infer({"inputs": server.tensors()}, server.versioned)
    yield "inference by version is 200", versioned.status_code == 200
    same: dict[str, Any] = {
        "inference by version": versioned,
        "a flat shape": server.infer({"inputs": server.tensors(flat=True)}),
        "another order": server.infer({"inputs": server.tensors()[::-1]}),
        "parameters": server.infer(
            {"parameters": {"content_type": "pd"}, "inputs": server.tensors()}
        ),
        "an empty list of outputs": server.infer({"inputs": server.tensors(), "outputs": []}),
        "nested data": server.infer(
            {"inputs": [{**tensor, "data": [tensor["data"]]} for tensor in server.tensors()]}
        ),
    }
    for name, other in same.items():
        yield f"{name} gives the same outputs", _read(other).get("outputs") == document["outputs"]
    three = {t["name"]: t for t in _read(server.infer({"inputs": server.tensors(3)}))["outputs"]}
    yield "three rows give three", all(t["shape"][0] == 3 for t in three.values())
    alike = all(t["data"] == outputs[name]["data"] * 3 for name, t in three.items())
    yield "three equal rows give equal answers", alike
    one = next(iter(expected))
    wished = _read(server.infer({"inputs": server.tensors(), "outputs": [{"name": one}]}))
    yield "one output may be asked for", [t["name"] for t in wished["outputs"]] == [one]


def check_refusals(server: Server) -> Iterator[tuple[str, Any]]:
    """Requests that are wrong."""
    tensors = server.tensors()
    first = tensors[0]
    refused = {
        "no JSON": b"{",
        "an empty body": b"",
        "a list": [],
        "no inputs": {"id": "a"},
        "inputs that are not a list": {"inputs": 1},
        "an id that is not text": {"id": [], "inputs": tensors},
        "NaN": json.dumps({"inputs": tensors}).replace(": [1]", ": [NaN]", 1).encode()
        if b"[1]" in json.dumps(tensors).encode()
        else b'{"inputs": [NaN]}',
        "an unknown datatype": {"inputs": [{**first, "datatype": "FP65"}, *tensors[1:]]},
        "fewer values than the shape says": {"inputs": [{**first, "shape": [7]}, *tensors[1:]]},
        "an input twice": {"inputs": [first, *tensors]},
        "an unknown input": {"inputs": [{**first, "name": "no-such-input"}, *tensors]},
        **{
            f"a tensor without its {part}": {
                "inputs": [{k: v for k, v in first.items() if k != part}, *tensors[1:]]
            }
            for part in ("name", "datatype", "shape", "data")
        },
    }
    for name, body in refused.items():
        answer = server.infer(body)
        yield f"{name} is refused", 400 <= answer.status_code < 500
        yield f"{name} is refused with an error", _says_error(answer)
    yield "inference is never GET", server.get(f"{server.path}/infer").status_code == 405


def check_triton(server: Server) -> Iterator[tuple[str, Any]]:
    """NVIDIA's client, in JSON."""
    client = triton.InferenceServerClient(server.address.removeprefix("http://"))
    yield "tritonclient: live", client.is_server_live()
    yield "tritonclient: ready", client.is_server_ready()
    yield "tritonclient: model ready", client.is_model_ready(server.model)
    yield "tritonclient: version ready", client.is_model_ready(server.model, server.version)
    yield "tritonclient: no such model", not client.is_model_ready("no-such-model")
    yield "tritonclient: server's metadata", client.get_server_metadata()["name"]
    metadata = client.get_model_metadata(server.model)
    yield "tritonclient: model's metadata", metadata["inputs"] == server.metadata["inputs"]
    plain = _read(server.infer({"inputs": server.tensors()}))["outputs"]

    def ask(*, binary: bool) -> triton.InferResult:
        inputs = []
        for tensor in server.tensors():
            values = np.array([tensor["data"]], dtype=NUMPY[tensor["datatype"]])
            sent = triton.InferInput(tensor["name"], [1, 1], tensor["datatype"])
            inputs.append(sent.set_data_from_numpy(values, binary_data=binary))
        wished = [triton.InferRequestedOutput(t["name"], binary_data=binary) for t in plain]
        # The client names no type by itself.
        headers = {"Content-Type": "application/json"}
        return client.infer(
            server.model, inputs, outputs=wished, request_id="mine", headers=headers
        )

    result = ask(binary=False)
    yield "tritonclient: the request's id", result.get_response()["id"] == "mine"
    for tensor in plain:
        found = result.as_numpy(tensor["name"]).ravel().tolist()
        yield f"tritonclient: {tensor['name']}", found == tensor["data"]
    try:
        ask(binary=True)
        said = ""
    except triton.InferenceServerException as error:
        said = str(error)
    yield "tritonclient: binary data are refused in words", "binary data" in said
    client.close()


def check_pandas_codec(server: Server) -> Iterator[tuple[str, Any]]:
    """MLServer's codec of data frames, as a client."""
    # The codec does not know the strings of pandas 3.
    words = {name: object for name, value in server.record.items() if isinstance(value, str)}
    frame = pd.DataFrame([server.record] * 3).astype(words)
    request = PandasCodec.encode_request(frame)
    answer = server.infer(request.model_dump_json(exclude_none=True).encode())
    yield "MLServer's pandas codec: 200", answer.status_code == 200
    response = InferenceResponse.model_validate(_read(answer))
    decoded = PandasCodec.decode_response(response)
    yield "MLServer's pandas codec: a row for each", len(decoded) == 3
    expected = [tensor["name"] for tensor in server.metadata["outputs"]]
    yield "MLServer's pandas codec: the columns", list(decoded.columns) == expected
    plain = _read(server.infer({"inputs": server.tensors(3)}))["outputs"]
    for tensor in plain:
        found = [np.ravel(value)[0] for value in decoded[tensor["name"]]]
        yield f"MLServer's pandas codec: {tensor['name']}", found == tensor["data"]


def _read(answer: requests.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        return {}


def _says_error(answer: requests.Response) -> bool:
    said = _read(answer)
    return isinstance(said, dict) and isinstance(said.get("error"), str) and bool(said["error"])


CHECKS: tuple[Callable[[Server], Iterator[tuple[str, Any]]], ...] = (
    check_health,
    check_metadata,
    check_unknown,
    check_inference,
    check_refusals,
    check_triton,
    check_pandas_codec,
)


def main() -> None:
    """Run every check and print what each found."""
    server = Server(*sys.argv[1:4], json.load(sys.stdin))
    found: dict[str, str] = {}
    for check in CHECKS:
        try:
            for name, holds in check(server):
                found[name] = "" if holds else "it is not so"
        except Exception as error:  # a check that breaks off is a finding
            found[f"{check.__name__} runs to its end"] = f"{type(error).__name__}: {error}"[:300]
    print(json.dumps(found))


if __name__ == "__main__":
    main()
