"""The demo asks a service as a newcomer would, and always stops what it started."""

import os
from pathlib import Path
from urllib.error import URLError

import pytest

import demo
from project_copy import make_environment
from service import fetch

SERVER = """
import json, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

RECORD = {"type": "object", "properties": {
    "carrier": {"type": "string", "examples": ["UA"]},
    "distance": {"anyOf": [{"type": "number", "examples": [1400]}, {"type": "null"}]}}}
REQUEST = {"type": "object", "properties": {
    "records": {"type": "array", "items": {"$ref": "#/components/schemas/Record"}}}}
BODY = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Request"}}}}
API = {"paths": {"/predict": {"post": {"requestBody": BODY}}},
       "components": {"schemas": {"Record": RECORD, "Request": REQUEST}}}

class Handler(BaseHTTPRequestHandler):
    def answer(self, document):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(document).encode())

    def do_GET(self):
        self.answer(API if self.path == "/openapi.json" else {})

    def do_POST(self):
        question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        model = {"name": "ml-service", "version": "1", "digest": "0123456789abcdef"}
        self.answer({"model": model, "predictions": question["records"]})

HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for a generated project: its serve verb, an API and its metrics."""
    (tmp_path / "server.py").write_text(SERVER)
    (tmp_path / "Makefile").write_text("serve:\n\t@python3 server.py $(PORT)\n")
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "metrics.json").write_text('{"roc_auc": 0.75}')
    monkeypatch.setattr(demo, "PROJECT", tmp_path)
    monkeypatch.setattr(demo, "LOG", tmp_path / "serve.log")
    return tmp_path


@pytest.mark.usefixtures("project")
def test_the_question_comes_from_the_examples_of_the_api(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with demo.serve_demo() as address:
        demo.ask(address)
    said = capsys.readouterr().out
    assert 'asked     {"records": [{"carrier": "UA", "distance": 1400}]}' in said
    assert "model     ml-service version 1, digest 0123456789ab" in said
    assert 'metrics   {"roc_auc": 0.75}' in said


@pytest.mark.usefixtures("project")
def test_the_service_is_stopped_with_all_that_it_started() -> None:
    with demo.serve_demo() as address:
        fetch(f"{address}/health/ready")
    with pytest.raises(URLError):
        fetch(f"{address}/health/ready")


def test_a_service_that_ends_at_once_is_a_failure_that_names_its_log(project: Path) -> None:
    (project / "server.py").write_text("raise SystemExit('no model is deployed')")
    with (
        pytest.raises(demo.DemoError, match=r"the service ended with .*serve\.log"),
        demo.serve_demo(),
    ):
        pass
    assert "no model is deployed" in demo.LOG.read_text()


@pytest.mark.usefixtures("project")
def test_a_failing_command_is_a_failure_that_names_it() -> None:
    with pytest.raises(demo.DemoError, match="'make absent' exited 2"):
        demo.call("make", "absent")


def test_the_tools_of_the_template_come_first() -> None:
    path = make_environment()["PATH"].split(os.pathsep)
    assert (Path(path[0]) / "uv").exists()
