"""The image in a real engine: built, run as strictly as a cluster would, asked, and stopped."""

import http.client
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from demo import read_question
from engine import COMPOSE, Engine
from project_copy import make_environment
from service import ServiceError, fetch, find_port, serve
from summary import Parts
from whole_run import WholeRun

USER = "10001"
STRICT = "--read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges".split()
WITHIN = (
    90.0  # seconds for anything that is waited for; the image looks every 10 s if it is healthy
)
ABSENT = (
    "cloudpickle dill dvc joblib lightgbm mlflow onnx onnxmltools pandas pip pyarrow scipy "
    "skl2onnx sklearn"
).split()

# Run by the image's interpreter: which of these modules it could import.
FIND_MODULES = """
import importlib.util, json, sys
print(json.dumps([name for name in sys.argv[1:] if importlib.util.find_spec(name)]))
"""
# Python tells an audit hook of every class that is looked up while something is unpickled.
SERVE_WATCHED = """
import io, json, pickle, sys
unpickled = []
def note(event, about):
    if event == "pickle.find_class":
        unpickled.append(about)
sys.addaudithook(note)
from pathlib import PurePosixPath
pickle.loads(pickle.dumps(PurePosixPath("control")))
control, unpickled[:] = list(unpickled), []
from ml_service.service import service
from mlchassis.config.settings import load_service_settings
from mlchassis.features.code import load_feature_code
from mlchassis.serving.app import create_app
from mlchassis.serving.loading import load_model
settings = load_service_settings()
model = load_model(settings.store, load_feature_code(service.features), settings.max_rows)
app = create_app(settings, model)
print(json.dumps({"control": len(control), "unpickled": len(unpickled), "routes": len(app.routes)}))
"""


@dataclass(frozen=True)
class Container:
    """A running container, and where its service listens."""

    engine: Engine
    name: str
    address: str

    def inspect(self, template: str) -> str:
        return self.engine.docker("inspect", "--format", template, self.name)


def build(engine: Engine, project: Path, tag: str, *options: str) -> str:
    command = ("build", "--quiet", "--network=host", "--file=deploy/Dockerfile", f"--tag={tag}")
    engine.docker(*command, *options, ".", folder=project)
    return tag


@pytest.fixture(scope="module")
def image(engine: Engine, whole_run: WholeRun, parts: Parts) -> str:
    """The image as the README builds it: the bundle is mounted."""
    with parts.measure("the image, built"):
        return build(engine, whole_run.project, "ml-service")


def await_true(found: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + WITHIN
    while not found():
        assert time.monotonic() < deadline, f"after {WITHIN:.0f} s still not: {what}"
        time.sleep(0.1)


def is_ready(address: str) -> bool:
    try:
        return bool(fetch(f"{address}/health/ready"))
    except (ServiceError, OSError):
        return False


def start(engine: Engine, image: str, *options: str) -> Container:
    """Run the image on a free port of this machine, without any right that it can do without."""
    port = find_port()
    command = ["run", "--detach", "--network=host", *STRICT, *options]
    command += ["--env=SERVICE_HOST=127.0.0.1", f"--env=SERVICE_PORT={port}", image]
    container = Container(engine, engine.docker(*command), f"http://127.0.0.1:{port}")

    def ready() -> bool:
        running = container.inspect("{{.State.Running}}") == "true"
        assert running, engine.docker("logs", container.name)
        return is_ready(container.address)

    await_true(ready, "the container is ready")
    return container


def stop(container: Container) -> int:
    """Send SIGTERM and return what the container exited with."""
    container.engine.docker("kill", "--signal=TERM", container.name)
    return int(container.engine.docker("wait", container.name))


@pytest.fixture(scope="module")
def container(engine: Engine, image: str, whole_run: WholeRun) -> Container:
    store = whole_run.project / "var" / "deployed"
    mounts = (f"--volume={store}:/srv/deployed:ro", "--volume=predictions:/srv/predictions")
    return start(engine, image, *mounts)


@pytest.fixture(scope="module")
def local_answer(whole_run: WholeRun, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Response of `make serve` to the example, outside of any container."""
    log = tmp_path_factory.mktemp("local") / "service.log"
    with log.open("wb") as output, serve(whole_run.project, output, make_environment()) as address:
        return fetch(f"{address}/predict", read_question(address))


def without_id(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name != "request_id"}


def read_status(container: Container) -> dict[str, str]:
    """Status of the service's process, from the kernel."""
    said = container.engine.docker("exec", container.name, "cat", "/proc/1/status")
    return {name: value.strip() for name, _, value in (s.partition(":") for s in said.splitlines())}


def test_the_dockerfiles_pass_hadolint(whole_run: WholeRun) -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    dockerfiles = sorted((whole_run.project / "deploy").rglob("Dockerfile"))
    assert len(dockerfiles) == 2
    done = subprocess.run([hadolint, *dockerfiles], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_service_runs_without_rights(container: Container) -> None:
    status = read_status(container)
    assert set(status["Uid"].split()) == set(status["Gid"].split()) == {USER}
    assert {status[name] for name in ("CapPrm", "CapEff", "CapBnd")} == {"0" * 16}
    assert status["NoNewPrivs"] == "1"
    script = "open('/opt/src/x', 'w')"
    command = [*"exec --user 0".split(), container.name, "python", "-c", script]
    with pytest.raises(AssertionError, match="Read-only file system"):
        container.engine.docker(*command)


def test_it_answers_as_the_local_service_does(container: Container, local_answer: Any) -> None:
    answer = fetch(f"{container.address}/predict", read_question(container.address))
    assert without_id(answer) == without_id(local_answer)


def test_the_engine_finds_it_healthy(container: Container) -> None:
    await_true(lambda: container.inspect("{{.State.Health.Status}}") == "healthy", "it is healthy")


def test_the_engine_finds_a_service_unhealthy_that_answers_no_more(
    engine: Engine, image: str, whole_run: WholeRun
) -> None:
    # The image's own check, only more often.
    often = "--health-interval=1s --health-timeout=2s --health-retries=1".split()
    store = whole_run.project / "var" / "deployed"
    container = start(engine, image, *often, f"--volume={store}:/srv/deployed:ro")

    def await_health(expected: str) -> None:
        status = "{{.State.Health.Status}}"
        await_true(lambda: container.inspect(status) == expected, f"it is {expected}")

    await_health("healthy")
    engine.docker("kill", "--signal=STOP", container.name)
    await_health("unhealthy")
    engine.docker("kill", "--signal=CONT", container.name)
    await_health("healthy")
    assert stop(container) == 0


def test_it_holds_nothing_that_trains_or_unpickles(
    engine: Engine, image: str, whole_run: WholeRun, parts: Parts
) -> None:
    store = whole_run.project / "var" / "deployed"
    run = ["run", "--rm", "--network=none", *STRICT, f"--volume={store}:/srv/deployed:ro"]

    def run_python(script: str, *arguments: str) -> Any:
        command = ("--entrypoint=python", image, "-c", script, *arguments)
        return json.loads(engine.docker(*run, *command).splitlines()[-1])

    assert run_python(FIND_MODULES, "json", *ABSENT) == ["json"]
    found = run_python(SERVE_WATCHED)
    assert found["routes"] > 5
    assert (found["control"], found["unpickled"]) == (1, 0)
    size, base = (
        int(engine.docker("image", "inspect", "--format={{.Size}}", name)) / 1e6
        for name in (image, "python:3.11-slim")
    )
    parts.note(f"image: {size - base:.0f} MB above its base (the stand-in of {base:.0f} MB)")


def test_a_stopped_container_answers_what_it_had_accepted(
    engine: Engine, container: Container, image: str
) -> None:
    question = json.dumps(read_question(container.address)).encode()
    connection = http.client.HTTPConnection(container.address.removeprefix("http://"), timeout=30)
    connection.putrequest("POST", "/predict")
    for name, value in {
        "Content-Type": "application/json",
        "Content-Length": str(len(question)),
        "X-Request-Id": "half-way",
    }.items():
        connection.putheader(name, value)
    connection.endheaders(question[:10])
    assert is_ready(container.address)  # answered after the half that was sent before
    engine.docker("kill", "--signal=TERM", container.name)
    await_true(lambda: not is_ready(container.address), "it takes no more requests")
    connection.send(question[10:])
    assert connection.getresponse().status == 200
    connection.close()
    assert engine.docker("wait", container.name) == "0"
    # The log is in its volume, where it outlives the container.
    read = ("--entrypoint=sh", "--volume=predictions:/log:ro", image, "-c", "cat /log/*.jsonl")
    lines = engine.docker("run", "--rm", "--network=none", *read).splitlines()
    assert "half-way" in {json.loads(line)["request_id"] for line in lines}


def test_without_a_bundle_it_says_what_to_do(engine: Engine, image: str) -> None:
    command = ("run", "--rm", "--network=none", *STRICT, image)
    with pytest.raises(AssertionError, match="Nothing is deployed in /srv/deployed"):
        engine.docker(*command)


def test_the_deployed_bundle_alone_can_be_baked_in(
    engine: Engine, image: str, whole_run: WholeRun, local_answer: Any
) -> None:
    store = whole_run.project / "var" / "deployed"
    digest = json.loads((store / "current.json").read_text(encoding="utf-8"))["digest"]
    former = store / "bundles" / "former"
    shutil.copytree(store / "bundles" / digest, former)
    options = ("--target=with-bundle", f"--build-arg=BUNDLE={digest}")
    try:
        baked = build(engine, whole_run.project, "ml-service:baked", *options)
    finally:
        shutil.rmtree(former)
    container = start(engine, baked)
    held = engine.docker("exec", container.name, "ls", "/srv/deployed/bundles")
    assert held == digest
    answer = fetch(f"{container.address}/predict", read_question(container.address))
    assert without_id(answer) == without_id(local_answer)
    assert stop(container) == 0


def test_compose_builds_and_runs_it(
    engine: Engine, image: str, whole_run: WholeRun, local_answer: Any, tmp_path: Path
) -> None:
    port = find_port()
    # The engine of the tests gives containers no way out: packages come over the host's network.
    extra = tmp_path / "compose.yaml"
    build_options = {"build": {"network": "host"}}
    document: dict[str, Any] = {"services": {"service": build_options}}
    extra.write_text(json.dumps(document), encoding="utf-8")
    (tmp_path / "port.env").write_text(f"PORT={port}\n", encoding="utf-8")
    files = ("-f", whole_run.project / "deploy" / "compose.yaml", "-f", extra)
    compose = (COMPOSE, "--env-file", tmp_path / "port.env", *files)
    address = f"http://127.0.0.1:{port}"
    try:
        engine.run(*compose, "up", "--build", "--detach", folder=whole_run.project)
        await_true(lambda: is_ready(address), "the service of compose is ready")
        answer = fetch(f"{address}/predict", read_question(address))
        assert without_id(answer) == without_id(local_answer)
    finally:
        engine.run(*compose, "down", "--volumes", folder=whole_run.project)
