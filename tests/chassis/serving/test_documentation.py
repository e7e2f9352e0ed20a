import base64
import hashlib
import re

from fastapi import FastAPI
from fastapi.testclient import TestClient

from mlchassis.serving.problems import KINDS


def test_the_page_names_no_other_address(client: TestClient) -> None:
    page = client.get("/docs").text
    assert "//" not in re.sub(r"(?m)^\s*// .*$", "", page).replace("url(//", "")


def test_the_browser_is_told_to_run_the_pages_own_script_alone(client: TestClient) -> None:
    answer = client.get("/docs")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for tag in ("script", "style"):
        (content,) = re.findall(f"<{tag}>(.*?)</{tag}>", answer.text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


def test_every_problem_type_leads_to_the_page(client: TestClient, app: FastAPI) -> None:
    listed = {problem["name"] for problem in client.get("/openapi.json").json()["x-problems"]}
    assert listed == {kind.name for kind in KINDS}
    assert all(kind.uri == f"/docs#{kind.name}" for kind in KINDS)


def test_every_reference_in_openapi_resolves(app: FastAPI) -> None:
    document = app.openapi()
    references = set(re.findall(r"#/components/schemas/(\w+)", str(document)))
    assert references <= set(document["components"]["schemas"])
    assert "Problem" in references
