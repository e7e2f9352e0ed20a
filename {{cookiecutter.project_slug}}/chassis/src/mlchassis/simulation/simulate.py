"""The verb `simulate`: train a first model in a copy of the project and play what follows."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from datetime import timedelta
from pathlib import Path
from typing import Protocol

from mlchassis.config.params import Params
from mlchassis.contract.model import load_contract
from mlchassis.files import make_folder
from mlchassis.project import Workspace, read_params
from mlchassis.simulation.faults import apply_faults, read_faults
from mlchassis.simulation.models import ComparedModels
from mlchassis.simulation.options import SimulationOptions, make_plan
from mlchassis.simulation.production import Production, Scenario, say
from mlchassis.simulation.results import Simulation
from mlchassis.simulation.rows import DeliveredSource, read_rows
from mlchassis.simulation.service import LocalService
from mlchassis.simulation.workspace import SOURCE, copy_project, isolated_environment
from mlchassis.workflow import pipeline

FOLDER = "simulation"
"""Folder of the results, in `var`."""
LOG = "log.txt"


class Steps(Protocol):
    """Listener to the progress of a simulation."""

    def expect(self, count: int) -> None:
        """Take the number of steps, once it is known."""

    def begin(self, name: str) -> None:
        """Take the name of the step that begins."""


def simulate(own: Workspace, options: SimulationOptions, steps: Steps) -> Simulation:
    """Play the months after the first training through the real service.

    Args:
        own: The project; only `var/simulation` changes in it.
        options: Options of the simulation.
        steps: Listener to the progress.

    Raises:
        ProjectError: The source has no months to play, or the first model is rejected.
    """
    steps.begin("read the source")
    params = read_params(own)
    scenario = _make_scenario(own, params, options)
    steps.expect(scenario.plan.count_steps())
    folder = own.var / FOLDER
    make_folder(folder, private=True)
    scratch = folder / "project"
    with isolated_environment(), _quiet(folder / LOG):
        try:
            workspace = copy_project(own, scratch, scenario.plan.start)
            steps.begin(f"train the first model on the months up to {scenario.plan.start}")
            return _play(_train_first(workspace, scenario, folder / LOG), steps)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


def _make_scenario(own: Workspace, params: Params, options: SimulationOptions) -> Scenario:
    """Read the rows, choose the days and switch the faults on."""
    rows = read_rows(own, params, load_contract(own.contract))
    plan = make_plan(rows.months, rows.days.max(), params, options)
    faults = read_faults(options.faults, rows)
    for fault in faults:
        plan.check_played(fault.day, fault.name)
    return Scenario(plan, options, apply_faults(rows, faults), faults)


@contextmanager
def _quiet(log: Path) -> Iterator[None]:
    """Redirect what the stages print to a file."""
    with (
        log.open("w", encoding="utf-8", buffering=1) as output,
        redirect_stdout(output),
        redirect_stderr(output),
    ):
        yield


def _train_first(workspace: Workspace, scenario: Scenario, log: Path) -> Production:
    """Train, judge and deploy the first model on the past."""
    late = [fault.day for fault in scenario.faults if fault.name == "late-partition"]
    source = DeliveredSource(
        workspace.root / SOURCE,
        scenario.world.stored,
        scenario.plan,
        min(late, default=None),
    )
    source.deliver_past()
    pipeline.run_everything(workspace, say)
    source.remove_past()
    params = read_params(workspace)
    contract = scenario.world.clean.contract
    models = ComparedModels(workspace, params, contract, workspace.var / "compared")
    service = LocalService(workspace, log.with_name("service.log"))
    return Production(workspace, params, scenario, source, service, models, log)


def _play(production: Production, steps: Steps) -> Simulation:
    production.service.start()
    try:
        for window in production.scenario.plan.windows:
            steps.begin(f"{window[0]} to {window[-1]}")
            report = production.play(window)
            production.retrain(window[-1] + timedelta(days=1), report, steps.begin)
    finally:
        production.service.stop()
    return production.summarize()
