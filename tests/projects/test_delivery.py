"""The workflows with the real verbs, in fresh clones of a small project with shared stores."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from demo import read_question
from project_copy import link_environment, make_environment
from projects.example import copy_adopted
from service import fetch, serve
from summary import Parts
from whole_run import WholeRun, run_in
from workflows.node_tools import open_expressions
from workflows.repositories import list_branches, make_base, publish
from workflows.runner import run_workflow
from workflows.runs import Event, Place, Run
from workflows.stand_ins import Planned, Programs, write_programs

GREEN = Planned()


@dataclass(frozen=True)
class Delivery:
    """A runner of the project's repository, its stand-ins, and the project itself."""

    place: Place
    programs: Programs
    project: Path

    def run(self, name: str, event: Event, **planned: list[Planned]) -> Run:
        """Run a workflow with the real verbs, but for the planned ones."""
        self.programs.forget()
        self.programs.plan(**planned)
        return run_workflow(self.place, name, event)


@pytest.fixture(scope="module")
def project(adopted: Path, whole_run: WholeRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The adopted project, whose data are in a remote that others reach."""
    folder = tmp_path_factory.mktemp("delivery")
    project = copy_adopted(adopted, whole_run.project / ".venv", folder / "ml-service")
    remote = ("remote", "modify", "local", "url", str(folder / "remote"))
    run_in(project, "python", "-m", "dvc", *remote)
    run_in(project, "make", "push")
    return project


@pytest.fixture(scope="module")
def delivery(project: Path, whole_run: WholeRun) -> Iterator[Delivery]:
    """A runner with shared stores; its clones have the whole run's packages."""
    folder = project.parent
    programs = write_programs(folder / "programs")
    environment = whole_run.project / ".venv"
    variables = make_environment(OMP_NUM_THREADS="1")
    with open_expressions() as expressions:
        place = Place(
            origin=publish(project, folder / "origin.git", "var", "cache", "tmp"),
            folder=folder / "run",
            programs=programs.folder,
            prepare=lambda clone: link_environment(environment, clone / ".venv"),
            expressions=expressions,
            base=make_base(folder / "home", variables["PATH"], OMP_NUM_THREADS="1"),
            variables={
                "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}",
                "MLFLOW_DEFAULT_ARTIFACT_ROOT": (folder / "artifacts").as_uri(),
            },
        )
        yield Delivery(place, programs, project)
    shutil.rmtree(folder / "run")


def test_ci_runs_the_pipeline_from_the_remote(delivery: Delivery, parts: Parts) -> None:
    with parts.measure("workflow ci with the real pipeline"):
        run = delivery.run("ci.yml", Event("push"), test=[GREEN], smoke=[GREEN])
    assert run.result == "success", run.print_all()
    pipeline = run.jobs["pipeline"]
    assert "rows: pulled" in pipeline.find("Find the rows").printed
    assert "Running stage" not in pipeline.find("Check that a second run changes nothing").printed
    assert "| Path" in run.summary or run.summary == "\n"
    (build,) = [c for c in delivery.programs.list_calls("docker") if c["arguments"][0] == "build"]
    assert "with-bundle" in build["arguments"]


def test_without_shared_stores_nothing_is_trained(delivery: Delivery) -> None:
    variables = dict(delivery.place.variables)
    delivery.place.variables.clear()
    run = delivery.run("retrain.yml", Event("workflow_dispatch"))
    delivery.place.variables.update(variables)
    assert run.result == "failure"
    assert "MLFLOW_TRACKING_URI" in run.jobs["train"].find("Require shared stores").printed


@pytest.fixture(scope="module")
def retrained(delivery: Delivery, parts: Parts) -> Run:
    """The first retraining, which finds no champion in the shared registry."""
    with parts.measure("workflow retrain with the real verbs"):
        return delivery.run("retrain.yml", Event("workflow_dispatch"))


@pytest.fixture(scope="module")
def log(delivery: Delivery) -> Path:
    """A prediction log with one row, as the service wrote it."""
    folder = delivery.place.folder.parent / "log"
    environment = make_environment(OMP_NUM_THREADS="1", SERVICE_LOG_DIRECTORY=str(folder))
    with serve(delivery.project, subprocess.DEVNULL, environment) as address:
        fetch(f"{address}/predict", read_question(address))
    return folder


def list_published(delivery: Delivery) -> tuple[list[str], list[str], list[str]]:
    """Return the branches, and the titles of pull requests and of issues."""
    made = delivery.programs.read_gh()
    pulls, issues = ([each["title"] for each in made[kind]] for kind in ("pulls", "issues"))
    return list_branches(delivery.place.origin), pulls, issues


def test_a_retraining_promotes_once_and_then_nothing_is_new(
    delivery: Delivery, retrained: Run, parts: Parts
) -> None:
    assert retrained.result == "success", retrained.print_all()
    train = retrained.jobs["train"]
    assert "Version 1 of orders is the champion now." in train.find("Retrain").printed
    # The rows are those of the commit; a judgement for another registry is not a change to review.
    published: tuple[list[str], ...] = (["main"], [], [])
    assert list_published(delivery) == published
    with parts.measure("workflow retrain where nothing is new"):
        again = delivery.run("retrain.yml", Event("workflow_dispatch"))
    assert again.result == "success", again.print_all()
    printed = again.jobs["train"].find("Retrain").printed
    assert "Version 1 of orders" in printed
    assert "Running stage" not in printed
    assert "is the champion now" not in printed
    assert list_published(delivery) == published


def test_a_status_of_the_monitor_takes_its_branch(
    delivery: Delivery, retrained: Run, log: Path, tmp_path: Path, parts: Parts
) -> None:
    assert retrained.result == "success"
    for segment in log.iterdir():
        row = json.loads(segment.read_text(encoding="utf-8"))
        del row["inputs"]["price"]
        (tmp_path / segment.name).write_text(json.dumps(row) + "\n", encoding="utf-8")
    delivery.programs.set_docker(log=str(tmp_path))
    with parts.measure("workflow monitor with the real verbs"):
        run = delivery.run("monitor.yml", Event("workflow_dispatch"))
    assert run.result == "success", run.print_all()
    assert "broken: Logged rows lack 'price'" in run.jobs["check"].find("Monitor").printed
    (issue,) = delivery.programs.read_gh()["issues"]
    assert issue["title"] == "Monitor: broken"
    assert "Logged rows lack 'price', which the contract has." in issue["body"]
    delivery.programs.set_docker(log=str(log))
    run = delivery.run("monitor.yml", Event("workflow_dispatch"))
    assert (run.result, run.jobs["alert"].result) == ("success", "skipped"), run.print_all()
    assert "watch: Too few rows" in run.jobs["check"].find("Monitor").printed
    assert delivery.programs.list_calls("gh") == []
