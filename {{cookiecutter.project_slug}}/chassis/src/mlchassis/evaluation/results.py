"""Shape of `reports/evaluation.json`, which `evaluate` writes and gates, report and runs read."""

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from mlchassis.contract.model import Task
from mlchassis.errors import ProjectError
from mlchassis.evaluation.bootstrap import Interval
from mlchassis.reports import read_report


class _Part(BaseModel):
    """A part of an evaluation; a project's own facts may stand beside the known ones."""

    model_config = ConfigDict(frozen=True, strict=True, extra="allow")


class MeasuredInterval(_Part):
    """A value with its confidence interval."""

    value: float
    low: float
    high: float

    @property
    def interval(self) -> Interval:
        """The same numbers with the arithmetic of an interval."""
        return Interval(self.value, self.low, self.high)


Metrics = dict[str, MeasuredInterval]
"""Value and interval by the name of the metric."""


class SliceResult(_Part):
    """The main metric in one slice, and its difference from the whole."""

    where: dict[str, str]
    rows: int
    value: MeasuredInterval
    gap: MeasuredInterval


class GroupResult(_Part):
    """A measure in one group of people."""

    where: dict[str, str]
    rows: int
    value: float


class GroupGap(_Part):
    """The difference between two groups of people, the one with the higher value first."""

    kind: str
    measure: str
    groups: list[GroupResult]
    gap: MeasuredInterval


class FlipResult(_Part):
    """Share of rows whose answer depends on one sensitive column alone."""

    column: str
    rows: int
    share: MeasuredInterval


class Fairness(_Part):
    """Differences between groups of people, and counterfactual flips."""

    columns: list[str]
    min_rows: int
    gaps: list[GroupGap]
    flips: list[FlipResult]


class BehaviorResult(_Part):
    """Share of rows that pass one test of `behaviour.yaml`."""

    name: str
    kind: str
    rows: int
    share: float
    limit: float


class Units(_Part):
    """Resampling units of the test window, and the kind of interval that so many allow."""

    unit: str
    count: int
    interval: Literal["bootstrap", "t", "rows"]


class Surprise(MeasuredInterval):
    """Gain over the best baseline on the test window less that on the validation window."""

    baseline: str
    valid_gain_over_prior: float
    units: Units | None = None


class Parity(_Part):
    """Largest error of the exported graph, and the largest that is allowed."""

    max_error: float
    limit: float


class Evaluation(_Part):
    """Facts about one bundle on the test window.

    Attributes:
        digest: The bundle's digest.
        metrics: Metrics of the candidate.
        baselines: Metrics by baseline.
        gains: Improvement of the candidate over each baseline, by metric.
        decision: Confusion at the threshold; None for a regression.
        window: Rows, begin and end of the test window.
        seen_until: Newest event time that training saw; None without one.
        age_days: Days between the newest row and the data that should have arrived.
    """

    digest: str
    task: Task
    rows: int
    primary_metric: str
    metrics: Metrics
    baselines: dict[str, Metrics]
    gains: dict[str, Metrics]
    slices: list[SliceResult]
    behaviour: list[BehaviorResult]
    fairness: Fairness | None
    decision: dict[str, Any] | None
    units: Units
    surprise: Surprise
    window: dict[str, Any]
    seen_until: str | None
    age_days: int | None
    parity: Parity
    bundle_bytes: int


def read_facts(path: Path) -> dict[str, Any]:
    """Read an evaluation and validate it.

    Raises:
        ProjectError: The file is missing, cut short, or was edited so that a fact is not usable.
    """
    facts = read_report(path)
    try:
        Evaluation.model_validate(facts)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise ProjectError(
            f"{path.name}: {place}: {first['msg'].lower()}, so the file was edited or is of "
            "another version of the chassis; delete it and run `make repro`."
        ) from None
    found: dict[str, Any] = facts
    return found
