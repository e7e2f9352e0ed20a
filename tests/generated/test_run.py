"""A project runs whole on real data, and what it says and serves agrees with what it recorded."""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from demo import read_question
from manifest import MANIFEST, make_manifest
from project_copy import copy_project, make_environment
from service import fetch, serve
from summary import Parts
from whole_run import SAMPLE_ROWS, WholeRun, check_ways, run_in, run_python

FLIGHTS = 336_776
REPORTS = {"ingest", "validation", "split", "training", "export", "evaluation", "metrics"}

# Run by the project's interpreter, in a folder that is not the project's.
ASK_CHAMPION = """
import json, sys
import mlflow, pandas as pd

mlflow.set_tracking_uri(f"sqlite:///{sys.argv[1]}/var/mlflow.db")
model = mlflow.pyfunc.load_model(f"models:/{sys.argv[2]}@champion")
answers = model.predict(pd.DataFrame(json.load(sys.stdin)))
print(answers.to_json(orient="records", double_precision=15))
"""
READ_REGISTRY = """
import json, sys
from mlflow import MlflowClient

client = MlflowClient(f"sqlite:///{sys.argv[1]}/var/mlflow.db")
(model,) = client.search_registered_models()
versions = client.search_model_versions(f"name='{model.name}'")
print(json.dumps({"name": model.name, "aliases": model.aliases, "versions": len(versions)}))
"""


@dataclass(frozen=True)
class Service:
    """The running service of the project, and what it has answered to the example."""

    address: str
    answer: Any


@pytest.fixture(scope="module")
def service(whole_run: WholeRun, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    log = tmp_path_factory.mktemp("service") / "service.log"
    environment = make_environment(OMP_NUM_THREADS="1")
    with log.open("wb") as output, serve(whole_run.project, output, environment) as address:
        yield Service(address, fetch(f"{address}/predict", read_question(address)))


def read_text(address: str) -> str:
    with urlopen(address, timeout=30) as response:  # noqa: S310
        return str(response.read().decode())


def test_every_flight_is_accounted_for(whole_run: WholeRun, parts: Parts) -> None:
    account = whole_run.read("split")["account"]
    assert account.pop("offered") == FLIGHTS
    assert sum(account.values()) == FLIGHTS
    assert account.keys() == {"not_yet_arrived", "quarantined", "unlabeled", "used"}
    assert f"{FLIGHTS:,} offered" in whole_run.printed
    parts.note(f"rows: {FLIGHTS:,} offered, {account}")


def test_the_candidate_beats_the_linear_baseline(whole_run: WholeRun, parts: Parts) -> None:
    facts = whole_run.read("evaluation")
    gain = facts["gains"]["linear"]["roc_auc"]
    assert 0 < gain["low"] <= gain["value"] <= gain["high"]
    models = {"candidate": facts["metrics"], **facts["baselines"]}
    for name, found in {**{name: models[name]["roc_auc"] for name in models}, "gain": gain}.items():
        interval = f"{found['low']:.4f} to {found['high']:.4f}"
        parts.note(f"ROC AUC, {name}: {found['value']:.4f} ({interval})")


def test_the_reports_and_plots_are_there(whole_run: WholeRun) -> None:
    for name in REPORTS:
        assert whole_run.read(name), name
    assert whole_run.read("judgement")["verdict"] == "passed"
    shown = run_in(whole_run.project, "dvc", "metrics", "show", "--json")
    assert json.loads(shown)[""]["data"]
    assert "roc.csv" in run_in(whole_run.project, "dvc", "plots", "show", "--json")


def test_version_one_is_the_champion_and_is_deployed(whole_run: WholeRun) -> None:
    registry = run_python(whole_run.project, READ_REGISTRY, str(whole_run.project))
    assert registry["versions"] == 1
    assert str(registry["aliases"]["champion"]) == "1"
    deployed = json.loads((whole_run.project / "var" / "deployed" / "current.json").read_text())
    assert deployed["model_version"] == "1"
    assert deployed["digest"] == whole_run.read("evaluation")["digest"]


def test_the_project_is_a_repository_of_its_own(whole_run: WholeRun) -> None:
    log = run_in(whole_run.project, "git", "log", "--format=%s")
    assert log.splitlines() == ["Generate the project"]
    root = run_in(whole_run.project, "git", "rev-parse", "--show-toplevel").strip()
    assert Path(root) == whole_run.project.resolve()


def test_a_further_group_of_packages_is_installed_where_it_is_asked_for(
    whole_run: WholeRun,
) -> None:
    def plan(*arguments: str) -> str:
        return run_in(whole_run.project, "make", "--dry-run", "setup", *arguments)

    # The groups reach the shell through the environment.
    assert "data train dev $EXTRAS" in plan("EXTRAS=s3")
    assert "train dev" not in plan()


def test_a_second_repro_runs_no_stage(whole_run: WholeRun, parts: Parts) -> None:
    with parts.measure("no-op dvc repro"):
        printed = run_in(whole_run.project, "dvc", "repro")
    assert "Running stage" not in printed
    assert "up to date" in printed


def release_chassis(project: Path, edited: str) -> None:
    """Edit a module of a project's chassis and write its manifest, as a release does."""
    chassis = project / "chassis"
    module = chassis / "src" / "mlchassis" / edited
    module.write_text(module.read_text(encoding="utf-8") + "\n# Edited.\n", encoding="utf-8")
    (chassis / MANIFEST).write_text(make_manifest(chassis), encoding="utf-8")


def test_a_release_that_edits_serving_code_runs_no_stage(
    whole_run: WholeRun, tmp_path: Path
) -> None:
    project = copy_project(whole_run.project, tmp_path / "ml-service")
    before = (project / "chassis" / MANIFEST).read_text(encoding="utf-8")
    release_chassis(project, "serving/app.py")
    assert (project / "chassis" / MANIFEST).read_text(encoding="utf-8") != before
    printed = run_in(project, "dvc", "repro")
    assert "Running stage" not in printed
    assert "up to date" in printed


def test_a_release_that_edits_training_code_trains_again(
    whole_run: WholeRun, tmp_path: Path
) -> None:
    project = copy_project(whole_run.project, tmp_path / "ml-service")
    release_chassis(project, "training/estimators/linear.py")
    printed = run_in(project, "dvc", "repro", "train")
    assert "Running stage 'train'" in printed
    for stage in ("ingest", "validate", "split"):
        assert f"Running stage '{stage}'" not in printed


def test_a_prediction_names_its_model_and_is_logged(whole_run: WholeRun, service: Service) -> None:
    model, (prediction,) = service.answer["model"], service.answer["predictions"]
    assert model["version"] == "1"
    assert model["digest"] == whole_run.read("evaluation")["digest"]
    assert math.isclose(sum(prediction["probabilities"].values()), 1, abs_tol=1e-6)
    logged = [
        json.loads(line)
        for log in (whole_run.project / "var" / "predictions").glob("*.jsonl")
        for line in log.read_text(encoding="utf-8").splitlines()
    ]
    (entry,) = [line for line in logged if line["request_id"] == service.answer["request_id"]]
    assert entry["digest"] == model["digest"]
    assert entry["probabilities"] == prediction["probabilities"]


def test_deploy_says_that_the_running_service_has_it(whole_run: WholeRun, service: Service) -> None:
    port = service.address.rpartition(":")[2]
    said = run_in(whole_run.project, "make", "deploy", f"PORT={port}")
    assert f"All processes of the service at {service.address} answer with it: 1." in said


def test_the_service_shows_its_metrics_and_its_documentation(service: Service) -> None:
    assert service.answer["model"]["digest"][:12] in read_text(f"{service.address}/metrics")
    assert "/predict" in fetch(f"{service.address}/openapi.json")["paths"]
    assert "<html" in read_text(f"{service.address}/docs").lower()


def test_the_registrys_champion_answers_as_the_api_does(
    whole_run: WholeRun, service: Service
) -> None:
    project, name = whole_run.project, service.answer["model"]["name"]
    rows = run_python(project, SAMPLE_ROWS, str(project))
    assert any(value is None for row in rows for value in row.values())
    champion = run_python(project, ASK_CHAMPION, str(project), name, typed=json.dumps(rows))
    answered = fetch(f"{service.address}/predict", {"records": rows})["predictions"]
    assert len(champion) == len(answered) == len(rows)
    for one, other in zip(champion, answered, strict=True):
        assert one["prediction"] == other["prediction"]
        for label, probability in other["probabilities"].items():
            assert math.isclose(one[f"probability_{label}"], probability, abs_tol=1e-6)


def test_every_way_in_answers_as_the_model_does(
    whole_run: WholeRun, service: Service, parts: Parts
) -> None:
    with parts.measure("every way in on rows of the sample"):
        compared = check_ways(whole_run.project, service.address)
    rows, missing, rare = map(int, re.findall(r"\d+", compared))
    assert rows >= 50
    assert min(missing, rare) >= 10
    parts.note(f"equal answers of every way in: {compared}")
