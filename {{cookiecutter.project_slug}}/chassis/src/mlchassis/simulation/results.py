"""Results of a simulation, as `var/simulation/simulation.json` keeps them."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from mlchassis.monitoring.results import Status

RetrainingOutcome = Literal["nothing_new", "rejected", "registered", "promoted", "failed", "held"]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Requests(_Record):
    """Rows of a window by the service's response.

    Attributes:
        sent: Rows that were sent.
        rejected: Rows that the service rejected, since they break the contract.
        unanswered: Rows without a response, since the service was down.
        wrong: Predictions that differ from the label; for numbers, that miss it by more than twice
            the mean error of the held-out rows.
        wrong_without_faults: The same of the answered rows and the same model without faults.
    """

    sent: int
    rejected: int
    unanswered: int
    wrong: int
    wrong_without_faults: int

    @property
    def answered(self) -> int:
        """Rows that a model answered."""
        return self.sent - self.rejected - self.unanswered


class Scores(_Record):
    """The metric of three models on the same rows; None where it is undefined.

    Attributes:
        champion: Responses of the service.
        never_retrained: The first model.
        fresh: The newest model that was trained, approved or not.
    """

    champion: float | None
    never_retrained: float | None
    fresh: float | None


class WindowResult(_Record):
    """One window of the monitor.

    Attributes:
        start: First day.
        end: Last day.
        versions: Model versions that answered.
        requests: Rows by response.
        scores: Performance by `judge.metric`.
        status: Status of the monitor after the window.
        sentence: Its reason.
        drift: Columns with a drift test above its limit in this window.
        related: Pairs of columns that no longer fit each other in this window.
        skewed: True if features of logged rows differ from those of the source.
        performance_alarm: True if the realized loss of a window is above its limit.
    """

    start: str
    end: str
    versions: tuple[str, ...]
    requests: Requests
    scores: Scores
    status: Status
    sentence: str
    drift: tuple[str, ...]
    related: tuple[tuple[str, str], ...]
    skewed: bool
    performance_alarm: bool

    @property
    def drifting(self) -> tuple[str, ...]:
        """Names of what drifts: columns, and pairs of related ones."""
        return (*self.drift, *(" / ".join(pair) for pair in self.related))


class RetrainingResult(_Record):
    """One retraining.

    Attributes:
        day: Day on which it ran.
        as_of: Last month of its data.
        outcome: Outcome that `make retrain` reports; `failed` if a stage stopped; `held` if
            nothing is trained, since the monitor reports broken rows.
        sentence: Result in one line.
        version: Version of the new champion or challenger.
    """

    day: str
    as_of: str
    outcome: RetrainingOutcome
    sentence: str
    version: str | None = None


class FaultResult(_Record):
    """When a fault was noticed, and what had happened until then.

    Attributes:
        name: Name of the fault.
        day: Day on which it was switched on.
        column: Changed column.
        noticed: Day of the first signal; None if there was none.
        signal: First signal.
        answered: Rows that were answered from the fault on until it was noticed, or to the end.
        wrong: Wrong predictions among them.
        wrong_without_faults: Wrong predictions that the same model makes without the fault.
    """

    name: str
    day: str
    column: str | None
    noticed: str | None
    signal: str
    answered: int
    wrong: int
    wrong_without_faults: int


class Simulation(_Record):
    """A whole simulation.

    Attributes:
        name: Name of the contract.
        metric: `judge.metric`.
        higher_is_better: True if a larger value of the metric is better.
        start: Last month that the first model saw.
        seed: Seed of the choice of rows.
        rows_per_day: Largest number of rows that were scored on a day.
        label_delay_days: Days between an event and the arrival of its label.
        windows: Windows in their order.
        retrainings: Retrainings in their order.
        faults: Faults in the order of the command line.
    """

    name: str
    metric: str
    higher_is_better: bool
    start: str
    seed: int
    rows_per_day: int
    label_delay_days: int
    windows: tuple[WindowResult, ...]
    retrainings: tuple[RetrainingResult, ...]
    faults: tuple[FaultResult, ...] = ()
