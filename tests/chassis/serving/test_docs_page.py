"""Swagger UI at `/docs`: its own files alone, under a strict content security policy."""

import base64
import hashlib
import re
from importlib.util import find_spec

import pytest
from fastapi.testclient import TestClient

from mlchassis.errors import ProjectError
from mlchassis.serving.ui import docs
from mlchassis.serving.ui.docs import ASSETS, swagger_routes


def test_the_page_names_no_other_address(client: TestClient) -> None:
    page = client.get("/docs").text
    assert "//" not in re.sub(r"(?m)^\s*// .*$", "", page)


def test_the_policy_allows_own_files_and_the_inline_script_alone(client: TestClient) -> None:
    answer = client.get("/docs")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "connect-src 'self';" in policy
    assert "unsafe" not in policy
    for tag in ("script", "style"):
        (content,) = re.findall(f"<{tag}>(.*?)</{tag}>", answer.text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'self' 'sha256-{digest}'" in policy


def test_the_page_loads_the_files_of_the_package(client: TestClient) -> None:
    page = client.get("/docs").text
    for name, media_type in ASSETS.items():
        assert f'"docs/{name}"' in page
        answer = client.get(f"/docs/{name}")
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith(media_type)
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert len(answer.content) > 100_000
    assert client.get("/docs/redoc.standalone.js").status_code == 404


@pytest.mark.parametrize("wanted", ["bytes=0-9", "bytes=a-b", "lines=1-2", "bytes=999999999-"])
def test_a_range_of_a_file_is_ignored(client: TestClient, wanted: str) -> None:
    answer = client.get("/docs/swagger-ui.css", headers={"Range": wanted})
    assert answer.status_code == 200
    assert answer.headers["accept-ranges"] == "none"
    assert len(answer.content) > 100_000


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_spec("fastapi_offline_absent") is None
    monkeypatch.setattr(docs, "_PACKAGE", "fastapi_offline_absent")
    with pytest.raises(ProjectError, match=r"install the pinned fastapi-offline"):
        swagger_routes()
