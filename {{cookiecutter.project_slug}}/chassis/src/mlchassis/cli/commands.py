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

if TYPE_CHECKING:
    from mlchassis.cli.launch import Composition
    from mlchassis.registry.tracking import Tracker
    from mlchassis.workflow.release import Deployment

verbs = typer.Typer()
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
            f"{paths.root} holds no params.yaml, so it is no project; change to the project's "
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
    from mlchassis.workflow.release import judge as hold_gates

    for gate in hold_gates(*read_project()).gates:
        echo(f"{gate.name}: {gate.sentence}")


@verbs.command(rich_help_panel="Verbs")
def track() -> None:
    """Log the bundle as an MLflow run, passed or rejected.

    Example: make track
    """
    from mlchassis.workflow.release import track as record

    echo(f"run {record(*read_project())}")


@verbs.command(rich_help_panel="Verbs")
def report() -> None:
    """Write the model report (reports/report.html) and the model card.

    Example: make report
    """
    from mlchassis.workflow.release import report as write

    echo(f"written: {', '.join(map(str, write(*read_project())))}")


@verbs.command(rich_help_panel="Verbs")
def register() -> None:
    """Register the judged bundle as a model version with the alias challenger.

    Example: make register
    """
    from mlchassis.workflow.release import register as record

    version = record(*read_project())
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
    from mlchassis.workflow.release import promote as move_champion

    echo(move_champion(open_project(), version, reason).sentence)


@verbs.command(rich_help_panel="Verbs")
def rollback(
    reason: Annotated[str, typer.Option(help="Reason, for the log.")] = "rolled back by hand",
) -> None:
    """Roll back to the previous champion and deploy it.

    Example: make rollback REASON="twice as many false alarms since Monday"
    """
    from mlchassis.workflow.release import rollback as go_back

    _await_service(go_back(open_project(), reason))


@verbs.command(rich_help_panel="Verbs")
def deploy() -> None:
    """Deploy the champion and wait until every worker has loaded it.

    Example: make deploy
    """
    from mlchassis.workflow.release import deploy as put

    _await_service(put(open_project()))


@verbs.command(rich_help_panel="Verbs")
def rebuild(
    version: Annotated[str, typer.Argument(help="Version number.")],
    clean: Annotated[bool, typer.Option("--clean", help="Create a separate environment.")] = False,
    threads: Annotated[int | None, typer.Option(help="Number of training threads.")] = None,
) -> None:
    """Reproduce a version from its commit, data and parameters and compare its predictions.

    Example: make rebuild VERSION=1
    """
    from mlchassis.registry.reproduce import Wish
    from mlchassis.registry.reproduce import rebuild as make_again

    paths = open_project()
    tracker = _open_registry(paths)
    echo(make_again(paths, tracker, version, Wish(clean, threads), echo))


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
    from mlchassis.studies.versions import compare as put_side_by_side
    from mlchassis.studies.versions import describe

    tracker = _open_registry(open_project())
    for line in describe(put_side_by_side(*read_project(), tracker, a, b)):
        echo(line)


@verbs.command(rich_help_panel="Verbs")
def study(
    only: Annotated[
        list[str] | None,
        typer.Option(help="One of worth, age, presets and search; all if left out."),
    ] = None,
    apply: Annotated[
        bool, typer.Option("--apply", help="Write the best settings into params.yaml.")
    ] = False,
) -> None:
    """Measure permutation importance, staleness and presets; search hyperparameters.

    Example: make study ONLY=search APPLY=1
    """
    from mlchassis.studies.command import STUDIES, run_studies
    from mlchassis.workflow.run import repro as repro_stages

    for name in only or ():
        if name not in STUDIES:
            raise ProjectError(f"There is no study '{name}'; there are {', '.join(STUDIES)}.")
    paths, params = read_project()
    repro_stages(paths, echo, "split")
    run_studies(paths, params, only or (), echo, apply=apply)


def _await_service(done: "Deployment") -> None:
    from mlchassis.config.settings import load_service_settings
    from mlchassis.registry.rollout import await_rollout

    echo(done.sentence)
    echo(await_rollout(load_service_settings(), done.pointer, open_project().store))


def _open_registry(paths: Paths) -> "Tracker":
    from mlchassis.contract.model import load_contract
    from mlchassis.registry.tracking import connect

    return connect(paths, load_contract(paths.contract).name)
