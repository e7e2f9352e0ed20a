"""A service in production, played window by window: scoring, labels, monitor, retraining, swap."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

import pandas as pd

from mlchassis.bundle.bundle import read_pointer
from mlchassis.config.params import Params
from mlchassis.errors import ProjectError
from mlchassis.monitoring.monitor import monitor
from mlchassis.monitoring.results import MonitorReport
from mlchassis.project import Workspace
from mlchassis.registry.rollout import await_rollout
from mlchassis.simulation.detection import describe_fault
from mlchassis.simulation.faults import OUTAGE, FaultSwitch, World
from mlchassis.simulation.models import ComparedModels
from mlchassis.simulation.options import Plan, SimulationOptions
from mlchassis.simulation.results import (
    Requests,
    RetrainingOutcome,
    RetrainingResult,
    Simulation,
    WindowResult,
)
from mlchassis.simulation.rows import DeliveredSource, to_records
from mlchassis.simulation.service import Answer, LocalService
from mlchassis.workflow import retrain

Begin = Callable[[str], None]
"""Callback at the begin of a step, with its name."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """Course of a simulation.

    Attributes:
        plan: Days.
        options: Options of the command.
        world: Rows, with faults.
        faults: Faults with their days.
    """

    plan: Plan
    options: SimulationOptions
    world: World
    faults: tuple[FaultSwitch, ...] = ()

    def starts_outage(self, day: date) -> bool:
        """Return whether the service is killed on a day."""
        return any(fault.name == "service-outage" and fault.day == day for fault in self.faults)

    def ends_outage(self, day: date) -> bool:
        """Return whether the service is started again on a day."""
        return self.starts_outage(day - OUTAGE)


@dataclass(slots=True)
class Production:
    """A service in production, with everything that watches it.

    Attributes:
        workspace: The scratch project.
        params: Its parameters.
        scenario: Course of the simulation.
        source: Source of the scratch project.
        service: The running service.
        models: Models to compare with the champion.
        log: File with the output of the stages.
        attempted: Last month on which a model was trained.
        held: Last month on which none was trained.
        windows: Results so far.
        retrainings: Retrainings so far.
    """

    workspace: Workspace
    params: Params
    scenario: Scenario
    source: DeliveredSource
    service: LocalService
    models: ComparedModels
    log: Path
    attempted: str = ""
    held: str = ""
    windows: list[WindowResult] = field(default_factory=list)
    retrainings: list[RetrainingResult] = field(default_factory=list)

    def play(self, days: Sequence[date]) -> MonitorReport:
        """Score a window's rows day by day, deliver rows and labels, and run the monitor."""
        drawn: list[pd.DataFrame] = []
        answers: list[Answer] = []
        for day in days:
            self._switch_service(day)
            drawn.append(self._draw(day))
            answers += self.service.predict(to_records(drawn[-1], self.models.contract))
        self.source.deliver(days[-1] + timedelta(days=1))
        workspace = self.workspace
        report = monitor(workspace, self.params, workspace.store, workspace.predictions)
        self.windows.append(self._describe(days, pd.concat(drawn), answers, report))
        return report

    def _switch_service(self, day: date) -> None:
        if self.scenario.starts_outage(day):
            self.service.stop(kill=True)
        if self.scenario.ends_outage(day):
            self.service.start()

    def _draw(self, day: date) -> pd.DataFrame:
        options = self.scenario.options
        return self.scenario.world.sent.draw(day, options.rows_per_day, options.seed)

    def _describe(
        self,
        days: Sequence[date],
        rows: pd.DataFrame,
        answers: Sequence[Answer],
        report: MonitorReport,
    ) -> WindowResult:
        versions = {answer.version: None for answer in answers if answer.version}
        newest = report.windows[-1] if report.windows else None
        drift = [test.column for test in newest.alarms] if newest else []
        related = [test.columns for test in newest.related_alarms] if newest else []
        performance = [w.performance for w in report.windows if w.performance is not None]
        return WindowResult(
            start=days[0].isoformat(),
            end=days[-1].isoformat(),
            versions=tuple(versions),
            requests=self._count(rows, answers),
            scores=self.models.measure(rows, answers),
            status=report.status,
            sentence=report.sentence,
            drift=tuple(dict.fromkeys(drift)),
            related=tuple(related),
            skewed=report.skew.mismatched > 0 or bool(report.skew.violations),
            performance_alarm=any(measured.alarm for measured in performance),
        )

    def _count(self, rows: pd.DataFrame, answers: Sequence[Answer]) -> Requests:
        outcomes = [answer.outcome for answer in answers]
        clean = self.scenario.world.clean.table.loc[rows.index]
        return Requests(
            sent=len(answers),
            rejected=outcomes.count("rejected"),
            unanswered=outcomes.count("unanswered"),
            wrong=self.models.count_wrong(rows, answers),
            wrong_without_faults=self.models.count_wrong_without(clean, answers),
        )

    def retrain(self, today: date, report: MonitorReport, begin: Begin) -> None:
        """Retrain once a new month has all its labels, unless the monitor reports broken rows."""
        month = self.scenario.plan.find_complete_month(today)
        if month <= max(self.attempted, self.scenario.plan.start):
            return
        if report.status == "broken":
            self._hold(today, month)
            return
        begin(f"retrain on the months up to {month}")
        self.attempted = month
        try:
            result = retrain.retrain(self.workspace, month, say)
        except ProjectError as error:
            self._record(today, month, "failed", read_reason(self.log) or str(error))
            return
        self._record(today, month, result.outcome, result.sentence, result.version)
        if result.digest is not None and result.outcome != "nothing_new":
            self.models.take_newest(month)
        self._await_swap()

    def _hold(self, today: date, month: str) -> None:
        if month > self.held:
            self.held = month
            sentence = "The monitor reports broken rows, so no model is trained on them."
            self._record(today, month, "held", sentence)

    def _record(
        self,
        today: date,
        month: str,
        outcome: RetrainingOutcome,
        sentence: str,
        version: str | None = None,
    ) -> None:
        self.retrainings.append(
            RetrainingResult(
                day=today.isoformat(),
                as_of=month,
                outcome=outcome,
                sentence=sentence,
                version=version,
            )
        )

    def _await_swap(self) -> None:
        """Wait until the service answers with the deployed bundle."""
        pointer = read_pointer(self.workspace.store)
        if pointer is not None:
            say(await_rollout(self.service.settings, pointer, self.workspace.store))

    def summarize(self) -> Simulation:
        """Return all results."""
        options = self.scenario.options
        return Simulation(
            name=self.models.contract.name,
            metric=self.params.judge.metric,
            higher_is_better=self.models.metric.higher_is_better,
            start=self.scenario.plan.start,
            seed=options.seed,
            rows_per_day=options.rows_per_day,
            label_delay_days=options.label_delay_days,
            windows=tuple(self.windows),
            retrainings=tuple(self.retrainings),
            faults=tuple(
                describe_fault(fault, self.windows, self.retrainings, self.params.monitor)
                for fault in self.scenario.faults
            ),
        )


def say(line: str) -> None:
    """Print a line of a verb; the output goes to the log of the simulation."""
    print(line, flush=True)  # noqa: T201 - not to the terminal


def read_reason(log: Path) -> str:
    """Return the last error that a stage printed; empty without one."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    errors = [line for line in lines if line.startswith("error: ")]
    return errors[-1].removeprefix("error: ") if errors else ""
