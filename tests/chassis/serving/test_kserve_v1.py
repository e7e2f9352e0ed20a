from typing import Any

import pytest
from fastapi.testclient import TestClient

from mlchassis.serving.loading import LoadedModel

PREDICT = "/v1/models/the-model:predict"


def test_instances_are_answered_as_the_scorer_does(
    client: TestClient, model: LoadedModel, rows: list[dict[str, Any]]
) -> None:
    answer = client.post(PREDICT, json={"instances": rows})
    assert answer.status_code == 200, answer.text
    found = [row["prediction"] for row in answer.json()["predictions"]]
    assert found == model.scorer.score_rows(rows).values.tolist()


def test_the_model_is_listed_and_ready(client: TestClient) -> None:
    assert client.get("/v1/models").json() == {"models": ["the-model"]}
    assert client.get("/v1/models/the-model").json() == {"name": "the-model", "ready": True}


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_another_model_is_not_there(client: TestClient, method: str) -> None:
    path = "/v1/models/other" + (":predict" if method == "POST" else "")
    answer = client.request(method, path, json={"instances": []})
    assert (answer.status_code, answer.json()["error"]) == (404, answer.json()["detail"])


@pytest.mark.parametrize(
    "body",
    [{}, {"instances": [[1, 2]]}, {"instances": [{}], "signature_name": "other"}, {"records": []}],
)
def test_another_form_is_refused(client: TestClient, body: dict[str, Any]) -> None:
    assert client.post(PREDICT, json=body).status_code == 422
