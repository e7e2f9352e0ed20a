"""`make up` in a real engine: verbs against its MLflow, a hot swap, an alert, `make down`.

Images of third parties cannot be had here; tests/stack_images stands in for them.
"""

import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from bake import ROOT
from demo import read_question
from engine import Engine
from project_copy import copy_project, make_environment
from servers import install
from service import fetch, find_port
from summary import Parts
from whole_run import WholeRun, run_in

WITHIN = 120.0  # seconds for anything that is waited for
IMAGES = ROOT / "tests" / "stack_images"
NAME = "ml-service-stack"
PORTS = ("PORT", *(f"STACK_{n}_PORT" for n in "MLFLOW S3 PROMETHEUS ALERTMANAGER GRAFANA".split()))
WEBHOOK = "/alerts?team=a&kind=b"


def await_text(read: Callable[[], str], text: str) -> str:
    """Call `read` until it returns this text, and return that."""
    deadline = time.monotonic() + WITHIN
    while text not in (last := read()):
        assert time.monotonic() < deadline, f"no {text} in:\n{last[-2000:]}"
        time.sleep(0.5)
    return last


def build_stand_ins(engine: Engine, services: dict[str, Any], folder: Path) -> None:
    """Build a stand-in for each image that the stack would pull, under its name."""
    shutil.copytree(IMAGES, folder)
    shutil.copy(ROOT / "requirements" / "s3-server.txt", folder)
    names = {"webhook": "webhook"}
    for name, service in services.items():
        if "build" not in service:
            names[name] = service["image"].partition(":-")[2].removesuffix("}")
    for target, image in names.items():
        options = ("--quiet", "--network=host", f"--target={target}", f"--tag={image}")
        engine.docker("build", *options, folder)


def edit(path: Path, *changes: tuple[str, str]) -> None:
    """Replace patterns in a file, each of which must be there."""
    text = path.read_text(encoding="utf-8")
    for pattern, replacement in changes:
        text, count = re.subn(pattern, replacement, text)
        assert count, f"{pattern} is not in {path}"
    path.write_text(text, encoding="utf-8")


def shorten(deploy: Path) -> None:
    """Build over the host's network, the engine's only way out; scrape and alert within seconds."""
    for name in ("compose.yaml", "stack.yaml"):
        edit(deploy / name, (r"( +)(dockerfile: .*\n)", r"\1\2\1network: host\n"))
    edit(deploy / "prometheus" / "stack.yml", ("15s", "1s"))
    edit(deploy / "prometheus" / "alerts.yml", (r"for: \d+m", "for: 2s"))
    waits = (("group_wait: 10s", "group_wait: 0s"), ("group_interval: 5m", "group_interval: 1s"))
    edit(deploy / "prometheus" / "alertmanager.yml", *waits)


@dataclass(frozen=True)
class Stack:
    """A project, the engine of its stack, and the ports on this machine."""

    project: Path
    engine: Engine
    ports: dict[str, str]

    def get_address(self, name: str) -> str:
        return f"http://127.0.0.1:{self.ports[name]}"

    def make(self, *arguments: str) -> str:
        """Run make with the engine's docker; one that fails fails the test."""
        variables = {
            **self.engine.environment,
            **self.ports,
            "STACK_ALERT_WEBHOOK": f"http://webhook:9099{WEBHOOK}",
        }
        done = subprocess.run(
            ["make", "--no-print-directory", *arguments],
            cwd=self.project,
            env=make_environment() | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            check=False,
        )
        assert done.returncode == 0, done.stdout[-4000:]
        return done.stdout

    def run_verbs(self, *verbs: str) -> str:
        """Run verbs of the project against the stack's MLflow; return what the last one printed."""
        variables = {
            "MLFLOW_TRACKING_URI": self.get_address("STACK_MLFLOW_PORT"),
            "SERVICE_PORT": self.ports["PORT"],
        }
        printed = ""
        for verb in verbs:
            command = ("python", "-m", "ml_service", verb)
            printed = run_in(self.project, *command, folder=None, typed="", **variables)
        return printed

    def run_page(self, word: str) -> str:
        """Run the one block of docs/stack.md with this word, with the ports of this stack."""
        page = (self.project / "docs" / "stack.md").read_text(encoding="utf-8")
        (block,) = (b for b in re.findall(r"```\n(.*?)```", page, re.DOTALL) if word in b)
        block = block.replace(":9000", f":{self.ports['STACK_S3_PORT']}")
        names = ("DOCKER_HOST", "DOCKER_CONFIG")
        variables = {name: self.engine.environment[name] for name in names}
        return run_in(self.project, "sh", "-ec", block, folder=None, typed="", **variables)

    def list_containers(self) -> list[str]:
        label = f"label=com.docker.compose.project={NAME}"
        names = self.engine.docker("ps", "--all", "--filter", label, "--format", "{{.Names}}")
        return sorted(names.split())


@pytest.fixture
def stack(engine: Engine, whole_run: WholeRun, tmp_path: Path, parts: Parts) -> Iterator[Stack]:
    """A stack that runs without its service, since nothing is deployed yet."""
    project = copy_project(whole_run.project, tmp_path / "project")
    shutil.rmtree(project / "var")
    services = yaml.safe_load((project / "deploy" / "stack.yaml").read_text("utf-8"))["services"]
    with parts.measure("stand-ins for the images of the stack"):
        build_stand_ins(engine, services, tmp_path / "images")
    shorten(project / "deploy")
    stack = Stack(project, engine, {name: str(find_port()) for name in PORTS})
    try:
        with parts.measure("make up, with the image of MLflow"):
            printed = stack.make("up")
        assert "nothing is deployed, so the service does not run" in printed
        assert len(stack.list_containers()) == len(services)
        yield stack
    finally:
        stack.make("down", "ARGS=--volumes")


@contextmanager
def start_webhook(engine: Engine) -> Iterator[Callable[[], str]]:
    """Run a receiver of alerts in the stack's network; yield a function that reads its log."""
    engine.docker("run", "--detach", "--name=webhook", f"--network={NAME}_default", "webhook")
    try:
        yield lambda: engine.docker("logs", "webhook")
    finally:
        engine.docker("rm", "--force", "webhook")


def deploy_another_version(stack: Stack) -> str:
    """Export the same model with one golden request less, and release that bundle."""
    edit(stack.project / "params.yaml", (r"golden: \d+", "golden: 15"))
    run_in(stack.project, "dvc", "repro", "--quiet")
    return stack.run_verbs("judge", "register", "promote", "deploy")


def check_remote(stack: Stack) -> None:
    """Push DVC's data to the stack's storage by the commands of the page, and compare."""
    project = stack.project
    install(project / ".venv" / "bin" / "python", project / "requirements" / "s3.txt")
    stack.run_page("dvc remote")
    status = run_in(project, "dvc", "status", "--cloud", folder=None, typed="")
    assert "Cache and remote 'stack' are in sync" in status
    secret = (project / "var" / "stack.env").read_text(encoding="utf-8")
    key = re.findall(r"^STACK_S3_SECRET=(.+)", secret, re.MULTILINE)
    assert key[0] in (project / ".dvc" / "config.local").read_text(encoding="utf-8")
    assert key[0] not in (project / ".dvc" / "config").read_text(encoding="utf-8")


def read_version(service: str) -> str:
    """Return the version that the service answers with."""
    return str(fetch(f"{service}/health/ready")["model"]["version"])


def find_alert(log: str, since: str) -> str:
    """Return the path of the first notification of a ServiceDown that began later; "" if none."""
    for line in log.splitlines():
        path, _, body = line.partition(" ")
        alerts = json.loads(body)["alerts"] if body.startswith("{") else []
        names = {a["labels"]["alertname"] for a in alerts if a["startsAt"] > since}
        if "ServiceDown" in names:
            return path
    return ""


def check_alert(stack: Stack) -> str:
    """Stop the service, wait for the alert, and return the path at which the webhook got it.

    The same alert fired before the service was first started, so an older one does not count.
    """
    prometheus = stack.get_address("STACK_PROMETHEUS_PORT")
    scraped = f"{prometheus}/api/v1/query?query=up%7Bjob%3D%22service%22%7D%3D%3D1"
    with start_webhook(stack.engine) as read_alerts:
        await_text(lambda: json.dumps(fetch(scraped)), '"instance": "service:8000"')
        since = datetime.now(UTC).isoformat()
        stack.engine.docker("stop", f"{NAME}_service_1")
        path = await_text(lambda: find_alert(read_alerts(), since), "/")
    alerts = fetch(f"{stack.get_address('STACK_ALERTMANAGER_PORT')}/api/v2/alerts")
    assert "ServiceDown" in {alert["labels"]["alertname"] for alert in alerts}
    return path


def test_a_version_goes_from_judgement_to_an_alert(stack: Stack, parts: Parts) -> None:
    with parts.measure("verbs against the stack's MLflow"):
        said = stack.run_verbs("judge", "track", "register", "promote", "deploy")
    assert "Version 1 of departures" in said
    assert not (stack.project / "var" / "mlflow.db").exists()

    service = stack.get_address("PORT")
    with parts.measure("make up again, with the service"):
        assert f"stack: Service        {service}" in stack.make("up")
    request_id = fetch(f"{service}/predict", read_question(service))["request_id"]
    assert read_version(service) == "1"
    stack.run_page("docker cp")
    replayed = run_in(stack.project, "make", "replay", f"ID={request_id}", folder=None, typed="")
    assert "the same answer to" in replayed

    with parts.measure("DVC's data pushed to the stack's storage"):
        check_remote(stack)

    with parts.measure("a second version, swapped in while the service runs"):
        said = deploy_another_version(stack)
    assert f"All processes of the service at {service} answer with it: 1." in said
    assert read_version(service) == "2"

    with parts.measure("from a dead service to the webhook"):
        assert check_alert(stack) == WEBHOOK

    stack.make("down")
    assert stack.list_containers() == []
    volumes = stack.engine.docker("volume", "ls", "--quiet").split()
    assert f"{NAME}_database" in volumes
