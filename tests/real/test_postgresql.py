"""The registry in a real PostgreSQL: every verb of a project that was run whole, by one setting."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from postgresql import start_postgresql
from project_copy import copy_project
from summary import Parts
from whole_run import WholeRun, run_in

# Run by the project's interpreter: what anybody sees there.
SAY_REGISTRY = """
import json, sys
from mlflow import MlflowClient

client = MlflowClient(sys.argv[1], sys.argv[1])
(model,) = client.search_registered_models()
versions = client.search_model_versions(f"name='{model.name}'")
print(json.dumps({"aliases": model.aliases, "versions": len(versions)}))
"""


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    """An empty database `mlflow` in a server of its own: its address."""
    with start_postgresql("mlflow") as address:
        yield address


def test_every_verb_works_with_a_database(
    whole_run: WholeRun, database: str, tmp_path: Path, parts: Parts
) -> None:
    project = copy_project(whole_run.project, tmp_path / "project")
    shutil.rmtree(project / "var")
    artifacts = tmp_path / "artifacts"

    def run(*command: str) -> str:
        root = artifacts.as_uri()
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
    assert list(artifacts.rglob("model.onnx"))
    assert not (project / "var" / "mlflow.db").exists()
