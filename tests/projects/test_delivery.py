"""The workflows with the real verbs, in fresh clones of a small project with shared stores."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from project_copy import link_environment, make_environment
from projects.example import copy_adopted
from summary import Parts
from whole_run import WholeRun, run_in
from workflows.node_tools import open_expressions
from workflows.repositories import make_base, publish
from workflows.runner import Event, Place, Run, run_workflow
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
