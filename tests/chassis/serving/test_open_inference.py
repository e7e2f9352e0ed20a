import base64
from typing import Any

import pytest
from fastapi.testclient import TestClient

from mlchassis.contract.model import Contract
from mlchassis.serving.loading import LoadedModel
from mlchassis.serving.protocols.open_inference import DATATYPES

MODEL = "/v2/models/the-model"
INFER = f"{MODEL}/infer"


def write_tensors(contract: Contract, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A tensor for each column of the request."""
    return [
        {
            "name": column.name,
            "shape": [len(rows), 1],
            "datatype": DATATYPES[column.kind][0],
            "data": [row.get(column.name) for row in rows],
        }
        for column in contract.request_columns
    ]


@pytest.fixture
def tensors(contract: Contract, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return write_tensors(contract, rows)


@pytest.fixture
def mixed_tensors(
    mixed_contract: Contract, mixed_rows: list[dict[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Tensors of the mixed contract by their name."""
    return {tensor["name"]: tensor for tensor in write_tensors(mixed_contract, mixed_rows)}


def check_refusal(answer: Any, status: int = 422) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    problem: dict[str, Any] = answer.json()
    assert problem["error"] == problem["detail"]
    assert answer.headers["content-type"] == "application/problem+json"
    return problem


def test_the_server_is_alive_ready_and_known_by_name(client: TestClient) -> None:
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").json() == {"ready": True}
    assert client.get("/v2").json()["extensions"] == []
    for path in (MODEL, f"{MODEL}/versions/3"):
        assert client.get(f"{path}/ready").json() == {"name": "the-model", "ready": True}


def test_the_metadata_name_every_feature(client: TestClient, contract: Contract) -> None:
    document = client.get(MODEL).json()
    assert document == client.get(f"{MODEL}/versions/3").json()
    assert [tensor["name"] for tensor in document["inputs"]] == [c.name for c in contract.features]
    kinds = {tensor["datatype"] for tensor in document["inputs"]}
    assert kinds <= {"BOOL", "BYTES", "FP64", "INT64"}


def test_an_inference_says_what_the_scorer_says(
    client: TestClient, model: LoadedModel, rows: list[dict[str, Any]], tensors: Any
) -> None:
    answer = client.post(INFER, json={"id": "mine", "inputs": tensors})
    document = answer.json()
    assert answer.status_code == 200, answer.text
    assert (document["id"], document["model_version"]) == ("mine", "3")
    assert document["parameters"]["request_id"] == answer.headers["x-request-id"]
    expected = model.scorer.score_rows(rows)
    outputs = {tensor["name"]: tensor for tensor in document["outputs"]}
    assert outputs["prediction"]["data"] == expected.values.tolist()
    assert {tuple(tensor["shape"]) for tensor in document["outputs"]} == {(len(rows), 1)}
    if expected.probabilities is not None:
        found = [outputs[name]["data"] for name in outputs if name != "prediction"]
        assert found == expected.probabilities.T.tolist()


def test_a_tensor_may_be_flat_nested_or_left_out(
    client: TestClient, contract: Contract, tensors: Any
) -> None:
    columns = contract.request_columns
    flat = [{**t, "shape": t["shape"][:1]} for t in tensors]
    nested = [{**t, "data": [[value] for value in t["data"]]} for t in tensors]
    missing = [
        t for c, t in zip(columns, tensors, strict=True) if any(v is not None for v in t["data"])
    ]
    answers = [
        client.post(INFER, json={"inputs": inputs}).json()["outputs"]
        for inputs in (tensors, flat, nested, missing)
    ]
    assert answers[1:] == answers[:1] * 3


def test_only_wished_outputs_are_given(client: TestClient, tensors: Any) -> None:
    body = {"inputs": tensors, "outputs": [{"name": "prediction"}]}
    document = client.post(f"{MODEL}/versions/3/infer", json=body).json()
    assert [tensor["name"] for tensor in document["outputs"]] == ["prediction"]


@pytest.mark.parametrize(
    "path",
    [
        "/v2/models/other",
        "/v2/models/other/ready",
        f"{MODEL}/versions/4",
        f"{MODEL}/versions/4/ready",
    ],
)
def test_another_model_or_version_is_not_there(client: TestClient, path: str) -> None:
    check_refusal(client.get(path), 404)


@pytest.mark.parametrize("path", ["/v2/models/other/infer", f"{MODEL}/versions/4/infer"])
def test_another_model_or_version_answers_nothing(
    client: TestClient, path: str, tensors: Any
) -> None:
    check_refusal(client.post(path, json={"inputs": tensors}), 404)


def test_binary_tensors_are_refused_with_what_to_do(client: TestClient, tensors: Any) -> None:
    binary = {**tensors[0], "parameters": {"binary_data_size": 8}}
    del binary["data"]
    problem = check_refusal(client.post(INFER, json={"inputs": [binary]}))
    assert "as a list" in problem["detail"]
    headers = {"Inference-Header-Content-Length": "10"}
    problem = check_refusal(client.post(INFER, content=b"{}", headers=headers), 415)
    assert "binary" in problem["detail"]


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"inputs": None}, "/inputs"),
        ({"inputs": []}, "/inputs"),
        ({"inputs": [1]}, "/inputs/0/name"),
        ({"id": 7}, "/id"),
        ({"x-secret-x": 7}, "/"),
        ({"outputs": 7}, "/outputs"),
        ({"outputs": [7]}, "/outputs"),
        ({"outputs": [{"name": "x-secret-x"}]}, "/outputs"),
        ({"outputs": [{"name": ["x"]}]}, "/outputs"),
        ({"outputs": [{"name": "prediction"}] * 2}, "/outputs"),
    ],
)
def test_what_is_no_request_is_refused_where_it_is_not(
    client: TestClient, tensors: Any, changes: dict[str, Any], pointer: str
) -> None:
    answer = client.post(INFER, json={"inputs": tensors, **changes})
    assert check_refusal(answer)["errors"][0]["pointer"] == pointer
    assert "x-secret-x" not in answer.text


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"name": "x-secret-x"}, "name"),
        ({"name": None}, "name"),
        ({"datatype": "COMPLEX"}, "datatype"),
        ({"datatype": ["BYTES"]}, "datatype"),
        ({"shape": [5, 2]}, "shape"),
        ({"shape": []}, "data"),
        ({"shape": [True]}, "shape"),
        ({"shape": [-5]}, "shape"),
        ({"shape": [6]}, "data"),
        ({"shape": None}, "shape"),
        ({"data": "x-secret-x"}, "data"),
        ({"data": []}, "data"),
        ({"data": [[[1]]]}, "data"),
    ],
)
def test_what_is_no_tensor_is_refused_where_it_is_not(
    client: TestClient, tensors: Any, changes: dict[str, Any], part: str
) -> None:
    answer = client.post(INFER, json={"inputs": [{**tensors[0], **changes}, *tensors[1:]]})
    assert check_refusal(answer)["errors"][0]["pointer"] == f"/inputs/0/{part}"
    assert "x-secret-x" not in answer.text


def test_a_broken_value_is_named_by_its_place(
    mixed_client: TestClient, mixed_tensors: dict[str, Any]
) -> None:
    mixed_tensors["price"]["data"][1] = "x-secret-x"
    answer = mixed_client.post(INFER, json={"inputs": [*mixed_tensors.values()]})
    problem = check_refusal(answer)
    assert problem["errors"][0]["pointer"] == "/inputs/1/data/1"
    assert "x-secret-x" not in answer.text


def test_a_missing_tensor_is_named(mixed_client: TestClient, mixed_tensors: dict[str, Any]) -> None:
    del mixed_tensors["shop"]
    answer = mixed_client.post(INFER, json={"inputs": [*mixed_tensors.values()]})
    assert check_refusal(answer)["errors"][0]["pointer"] == "/inputs/shop"


def encode_words(tensor: dict[str, Any]) -> dict[str, Any]:
    """A tensor of strings in Base64."""
    data = [v if v is None else base64.b64encode(v.encode()).decode() for v in tensor["data"]]
    return {**tensor, "data": data, "parameters": {"content_type": "base64"}}


def test_base64_is_read_as_the_text_that_it_encodes(
    mixed_client: TestClient, mixed_tensors: dict[str, Any]
) -> None:
    plain = [*mixed_tensors.values()]
    encoded = [encode_words(t) if t["datatype"] == "BYTES" else t for t in plain]
    expected, found = (
        mixed_client.post(INFER, json={"inputs": inputs}).json() for inputs in (plain, encoded)
    )
    assert found["outputs"] == expected["outputs"]


@pytest.mark.parametrize("content", ["str", "np", "pd"])
def test_content_types_of_plain_text_are_read(
    client: TestClient, tensors: Any, content: str
) -> None:
    typed = [
        {**t, "parameters": {"content_type": content if t["datatype"] == "BYTES" else "np"}}
        for t in tensors
    ]
    body = {"inputs": typed, "parameters": {"content_type": "pd"}}
    plain = client.post(INFER, json={"inputs": tensors}).json()
    assert client.post(INFER, json=body).json()["outputs"] == plain["outputs"]


@pytest.mark.parametrize(
    "parameters",
    [
        *({"content_type": "hg_jpeg"}, {"content_type": 1}, {"content_type": ["str"]}, ["str"]),
        *({"binary_data_size": 8}, {"shared_memory_region": "a"}, {"encoding": "latin-1"}),
    ],
)
@pytest.mark.parametrize("name", ["shop", "price"])
def test_parameters_that_are_not_read_are_refused(
    mixed_client: TestClient, mixed_tensors: dict[str, Any], parameters: Any, name: str
) -> None:
    mixed_tensors[name]["parameters"] = parameters
    inputs = [*mixed_tensors.values()]
    problem = check_refusal(mixed_client.post(INFER, json={"inputs": inputs}))
    position = inputs.index(mixed_tensors[name])
    assert problem["errors"][0]["pointer"].startswith(f"/inputs/{position}/parameters")


@pytest.mark.parametrize(
    ("name", "pointer"),
    [("shop", "/inputs/3/data/0"), ("price", "/inputs/1/parameters/content_type")],
)
def test_text_is_no_base64_and_numbers_are_not_written_in_it(
    mixed_client: TestClient, mixed_tensors: dict[str, Any], name: str, pointer: str
) -> None:
    broken = mixed_tensors[name]
    broken["parameters"] = {"content_type": "base64"}
    broken["data"][0] = "not base64!"
    problem = check_refusal(mixed_client.post(INFER, json={"inputs": [*mixed_tensors.values()]}))
    assert problem["errors"][0]["pointer"] == pointer


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"parameters": {"content_type": "base64"}}, "/parameters/content_type"),
        ({"parameters": {"sequence_id": 7}}, "/parameters"),
        ({"parameters": 7}, "/parameters"),
        (
            {"outputs": [{"name": "prediction", "parameters": {"classification": 2}}]},
            "/outputs/0/parameters",
        ),
        (
            {"outputs": [{"name": "prediction", "parameters": {"content_type": "base64"}}]},
            "/outputs/0/parameters/content_type",
        ),
    ],
)
def test_parameters_of_requests_and_outputs_are_taken_or_refused(
    client: TestClient, tensors: Any, changes: dict[str, Any], pointer: str
) -> None:
    answer = client.post(INFER, json={"inputs": tensors, **changes})
    assert check_refusal(answer)["errors"][0]["pointer"] == pointer


def test_an_unknown_member_of_a_tensor_is_refused(client: TestClient, tensors: Any) -> None:
    tensors[0]["contents"] = {"x-secret-x": 1}
    problem = check_refusal(client.post(INFER, json={"inputs": tensors}))
    assert problem["errors"][0]["pointer"] == "/inputs/0"
