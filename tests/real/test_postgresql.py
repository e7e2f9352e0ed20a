"""The registry in a real PostgreSQL: every verb of a project that was run whole, by one setting."""

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from project_copy import copy_project
from summary import Parts
from whole_run import WholeRun, run_in

# Where Debian keeps the programs of the version that it ships.
PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))

# Run by the project's interpreter: what anybody sees there.
SAY_REGISTRY = """
import json, sys
from mlflow import MlflowClient

client = MlflowClient(sys.argv[1], sys.argv[1])
(model,) = client.search_registered_models()
versions = client.search_model_versions(f"name='{model.name}'")
print(json.dumps({"aliases": model.aliases, "versions": len(versions)}))
"""


def find_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def call(*command: str | Path) -> None:
    """Run a program of PostgreSQL, which refuses to run as root: as the user that Debian made."""
    user = ("runuser", "-u", "postgres", "--") if os.getuid() == 0 else ()
    done = subprocess.run(
        [*user, *map(str, command)], capture_output=True, text=True, cwd="/", check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An empty database `mlflow` in a server of its own: its address."""
    assert PROGRAMS, "PostgreSQL is missing; on Debian: apt-get install postgresql"
    programs, port = PROGRAMS[-1], find_free_port()
    place = Path("/tmp") / f"{tmp_path_factory.getbasetemp().name}-{port}"  # noqa: S108
    place.mkdir()
    if os.getuid() == 0:
        shutil.chown(place, "postgres")
    data = place / "data"
    call(programs / "initdb", "-D", data, "-U", "mlflow", "--auth=trust", "--no-sync")
    settings = f"-h 127.0.0.1 -p {port} -k {place} -F"
    call(programs / "pg_ctl", "-D", data, "-l", place / "log", "-w", "-o", settings, "start")
    try:
        call(programs / "createdb", "-h", "127.0.0.1", "-p", str(port), "-U", "mlflow", "mlflow")
        yield f"postgresql://mlflow@127.0.0.1:{port}/mlflow"
    finally:
        call(programs / "pg_ctl", "-D", data, "-m", "immediate", "stop")
        shutil.rmtree(place)


def test_every_verb_works_with_a_database(
    whole_run: WholeRun, database: str, tmp_path: Path, parts: Parts
) -> None:
    project = copy_project(whole_run.project, tmp_path / "project")
    shutil.rmtree(project / "var")
    artefacts = tmp_path / "artefacts"

    def run(*command: str) -> str:
        root = artefacts.as_uri()
        return run_in(
            project, *command, MLFLOW_TRACKING_URI=database, MLFLOW_DEFAULT_ARTIFACT_ROOT=root
        )

    def make(verb: str) -> str:
        return run("python", "-m", "ml_service", verb)

    with parts.measure("judge, register, promote and deploy with PostgreSQL"):
        assert "There is no champion yet" in make("judge")
        assert "run " in make("track")
        assert "version 1 of departures" in make("register")
        assert "is the champion now" in make("promote")
        assert "is deployed." in make("deploy")
    assert "the champion itself" in make("judge")
    for verb, said in (("register", "version 1"), ("promote", "already"), ("deploy", "already")):
        assert said in make(verb)
    # Another model: the same data, and trees that learn more slowly.
    params = project / "params.yaml"
    text = params.read_text(encoding="utf-8")
    params.write_text(text.replace("learning_rate: 0.06", "learning_rate: 0.055"), encoding="utf-8")
    run("dvc", "repro", "--quiet")
    for verb in ("judge", "register", "promote"):
        make(verb)
    assert "Version 2 of departures" in make("deploy")
    assert "Version 1 of departures is the champion now; it was version 2" in make("rollback")
    registry = run("python", "-c", SAY_REGISTRY, database).splitlines()[-1]
    assert json.loads(registry) == {"aliases": {"challenger": 2, "champion": 1}, "versions": 2}
    deployed = json.loads((project / "var/deployed/current.json").read_text(encoding="utf-8"))
    assert deployed["model_version"] == "1"
    assert list(artefacts.rglob("model.onnx"))
    assert not (project / "var" / "mlflow.db").exists()
