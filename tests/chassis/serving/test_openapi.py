import re

from fastapi import FastAPI
from fastapi.testclient import TestClient

from mlchassis.serving.problems import KINDS


def test_every_problem_type_leads_to_the_page(client: TestClient, app: FastAPI) -> None:
    listed = {problem["name"] for problem in client.get("/openapi.json").json()["x-problems"]}
    assert listed == {kind.name for kind in KINDS}
    assert all(kind.uri == f"/docs#{kind.name}" for kind in KINDS)


def test_every_reference_in_openapi_resolves(app: FastAPI) -> None:
    document = app.openapi()
    references = set(re.findall(r"#/components/schemas/(\w+)", str(document)))
    assert references <= set(document["components"]["schemas"])
    assert "Problem" in references
