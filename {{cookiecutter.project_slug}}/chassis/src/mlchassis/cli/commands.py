"""The verbs that take a bundle from the pipeline to the service, as commands."""

from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlchassis.config.params import Params
from mlchassis.errors import ProjectError
from mlchassis.paths import Paths
from mlchassis.project import Workspace, read_params
from mlchassis.terminal import echo
from mlchassis.workspace.api_version import check_api
from mlchassis.workspace.step_outputs import write_step_outputs

if TYPE_CHECKING:
    from mlchassis.bundle.bundle import Pointer
    from mlchassis.cli.launch import Composition
    from mlchassis.config.settings import ServiceSettings
    from mlchassis.registry.tracking import Tracker
    from mlchassis.workflow.release import Deployment

verbs = typer.Typer()
REJECTED = 10
"""Exit code of a retraining whose model a gate rejects; a failure is 1."""
_COMPOSITION: ContextVar["Composition"] = ContextVar("composition")


def use_composition(composition: "Composition") -> None:
    """Let the verbs that follow run with these objects."""
    _COMPOSITION.set(composition)


def read_composition() -> "Composition":
    """The objects of the project whose `__main__` runs."""
    return _COMPOSITION.get()


def open_project(*, adopting: bool = False) -> Workspace:
    """The project in the current folder.

    Raises:
        ProjectError: There is none, it is for another API of the chassis, or an adoption was
            interrupted that nobody goes on with.
    """
    paths = Paths(Path.cwd())
    if not paths.params.exists():
        raise ProjectError(
            f"{paths.root} holds no params.yaml, so it is not a project; change to the project's "
            "folder."
        )
    check_api(paths.root)
    if paths.adopting.exists() and not adopting:
        raise ProjectError("An adoption was interrupted; run the same `make adopt` once more.")
    return Workspace(paths.root, read_composition().load_project())


def read_project() -> tuple[Workspace, Params]:
    """The project in the current folder, with its parameters; else as above."""
    paths = open_project()
    return paths, read_params(paths)


@verbs.command(rich_help_panel="Verbs")
def judge() -> None:
    """Check the bundle by the release gates and against the champion.

    Example: make judge
    """
    from mlchassis.workflow import release

    for gate in release.judge(*read_project()).gates:
        echo(f"{gate.name}: {gate.sentence}")


@verbs.command(rich_help_panel="Verbs")
def track() -> None:
    """Log the bundle as an MLflow run, passed or rejected.

    Example: make track
    """
    from mlchassis.workflow import release

    echo(f"run {release.track(*read_project())}")


@verbs.command(rich_help_panel="Verbs")
def report() -> None:
    """Write the model report (reports/report.html) and the model card.

    Example: make report
    """
    from mlchassis.workflow import release

    echo(f"written: {', '.join(map(str, release.report(*read_project())))}")


@verbs.command(rich_help_panel="Verbs")
def register() -> None:
    """Register the judged bundle as a model version with the alias challenger.

    Example: make register
    """
    from mlchassis.workflow import release

    version = release.register(*read_project())
    echo(f"version {version.number} of {version.name} is the challenger")


@verbs.command(rich_help_panel="Verbs")
def promote(
    version: Annotated[
        str | None, typer.Option(help="Version number; the challenger if left out.")
    ] = None,
    reason: Annotated[str, typer.Option(help="Reason, for the log.")] = "promoted by hand",
) -> None:
    """Promote a judged version to champion.

    Example: make promote VERSION=2 REASON="fewer misses at the same cost"
    """
    from mlchassis.workflow import release

    echo(release.promote(open_project(), version, reason).sentence)


@verbs.command(rich_help_panel="Verbs")
def rollback(
    reason: Annotated[str, typer.Option(help="Reason, for the log.")] = "rolled back by hand",
) -> None:
    """Roll back to the previous champion and deploy it.

    Example: make rollback REASON="twice as many false alarms since Monday"
    """
    from mlchassis.workflow import release

    settings = _read_service_settings()
    paths = open_project()
    _report_deployment(release.rollback(paths, reason), paths, settings)


@verbs.command(rich_help_panel="Verbs")
def deploy() -> None:
    """Deploy the champion and wait until every worker has loaded it.

    Example: make deploy
    """
    from mlchassis.workflow import release

    settings = _read_service_settings()
    paths = open_project()
    _report_deployment(release.deploy(paths), paths, settings)


@verbs.command(rich_help_panel="Verbs")
def retrain(
    as_of: Annotated[
        str | None, typer.Option(help="Month (YYYY-MM) up to which rows are read from now on.")
    ] = None,
) -> None:
    """Train on the newest rows; promote and deploy the model if the gates approve.

    Exit code 0: promoted, registered, or nothing new. 10: a gate rejects the model.

    Example: make retrain AS_OF=2013-09
    """
    from mlchassis.bundle.bundle import read_pointer
    from mlchassis.workflow import retrain as retraining

    settings = _read_service_settings()
    paths = open_project()
    result = retraining.retrain(paths, as_of, echo)
    echo(f"retrain: {result.sentence}")
    rejections = "\n".join(result.rejections)
    outputs = {"outcome": result.outcome, "sentence": result.sentence, "rejections": rejections}
    write_step_outputs(outputs)
    pointer = read_pointer(paths.store)
    if result.outcome == "promoted" and pointer is not None:
        _await_service(pointer, paths, settings)
    if result.outcome == "rejected":
        raise typer.Exit(REJECTED)


@verbs.command(rich_help_panel="Verbs")
def rebuild(
    version: Annotated[str, typer.Argument(help="Version number.")],
    clean: Annotated[bool, typer.Option("--clean", help="Create a separate environment.")] = False,
    threads: Annotated[int | None, typer.Option(help="Number of training threads.")] = None,
) -> None:
    """Reproduce a version from its commit, data and parameters and compare its predictions.

    Example: make rebuild VERSION=1
    """
    from mlchassis.registry import reproduce

    paths = open_project()
    tracker = _open_registry(paths)
    options = reproduce.RebuildOptions(clean, threads)
    echo(reproduce.rebuild(paths, tracker, version, options, echo))


@verbs.command(rich_help_panel="Verbs")
def compare(
    a: Annotated[str, typer.Argument(help="Version number or alias.")] = "champion",
    b: Annotated[
        str, typer.Argument(help="Version number or alias to compare with.")
    ] = "challenger",
) -> None:
    """Compare two versions: metrics, changed predictions, slices.

    Example: make compare A=1 B=2
    """
    from mlchassis.studies import versions

    tracker = _open_registry(open_project())
    comparison = versions.compare(*read_project(), tracker, a, b)
    for line in versions.describe(comparison):
        echo(line)


@verbs.command(rich_help_panel="Verbs")
def study(
    only: Annotated[
        list[str] | None,
        typer.Option(
            help="One of permutation_importance, staleness, presets and search; all if left out."
        ),
    ] = None,
    apply: Annotated[
        bool, typer.Option("--apply", help="Write the best settings into params.yaml.")
    ] = False,
) -> None:
    """Measure permutation importance, staleness and presets; search hyperparameters.

    Example: make study ONLY=search APPLY=1
    """
    from mlchassis.studies.command import STUDIES, run_studies
    from mlchassis.workflow import pipeline

    for name in only or ():
        if name not in STUDIES:
            raise ProjectError(f"There is no study '{name}'; there are {', '.join(STUDIES)}.")
    paths, params = read_project()
    pipeline.repro(paths, echo, "split")
    run_studies(paths, params, only or (), echo, apply=apply)


def _read_service_settings() -> "ServiceSettings":
    """Read the settings of the service before the verb changes what is deployed."""
    from mlchassis.config.settings import load_service_settings

    return load_service_settings()


def _report_deployment(done: "Deployment", paths: Paths, settings: "ServiceSettings") -> None:
    echo(done.sentence)
    _await_service(done.pointer, paths, settings)


def _await_service(pointer: "Pointer", paths: Paths, settings: "ServiceSettings") -> None:
    from mlchassis.registry.rollout import await_rollout

    echo(await_rollout(settings, pointer, paths.store))


def _open_registry(paths: Paths) -> "Tracker":
    from mlchassis.contract.model import load_contract
    from mlchassis.registry.tracking import connect

    return connect(paths, load_contract(paths.contract).name)
