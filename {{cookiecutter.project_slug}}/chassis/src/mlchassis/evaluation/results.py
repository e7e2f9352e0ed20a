"""Shape of `reports/evaluation.json`, which `evaluate` writes and gates, report and runs read."""

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from mlchassis.contract.model import Task
from mlchassis.evaluation.bootstrap import Interval
from mlchassis.reports import load_report


class _Part(BaseModel):
    """A part of an evaluation; a project's own facts may stand beside the known ones."""

    model_config = ConfigDict(frozen=True, strict=True, extra="allow")


class MeasuredInterval(_Part):
    """A value with its confidence interval."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, interval: Interval) -> "MeasuredInterval":
        """Return the numbers of an interval."""
        return cls(value=interval.value, low=interval.low, high=interval.high)

    @property
    def interval(self) -> Interval:
        """The same numbers with the arithmetic of an interval."""
        return Interval(self.value, self.low, self.high)


Metrics = dict[str, MeasuredInterval]
"""Value and interval by the name of the metric."""


class SliceBaseline(_Part):
    """A baseline in one slice.

    Attributes:
        value: Its main metric there.
        gain: Improvement of the candidate over it there.
    """

    value: float
    gain: MeasuredInterval


class SliceResult(_Part):
    """The main metric in one slice.

    Attributes:
        where: Value by column.
        value: The candidate's metric there.
        difference: That metric beside the one on all rows; positive is better.
        baselines: The baselines on the same rows.
    """

    where: dict[str, str]
    rows: int
    value: MeasuredInterval
    difference: MeasuredInterval
    baselines: dict[str, SliceBaseline]


class SliceGain(_Part):
    """The main metric of two models in one slice.

    Attributes:
        where: Value by column.
        value: The metric of the one.
        other: The metric of the other.
        gain: Improvement of the one over the other.
    """

    where: dict[str, str]
    rows: int
    value: float
    other: float
    gain: MeasuredInterval


class GroupResult(_Part):
    """A measure in one group of people."""

    where: dict[str, str]
    rows: int
    value: float


class Disparity(_Part):
    """The difference between two groups of people, the one with the higher value first."""

    kind: str
    measure: str
    groups: list[GroupResult]
    disparity: MeasuredInterval


class CounterfactualFlips(_Part):
    """Proportion of rows whose answer depends on one sensitive column alone."""

    column: str
    rows: int
    rate: MeasuredInterval


class Fairness(_Part):
    """Differences between groups of people, and counterfactual flips."""

    columns: list[str]
    min_rows: int
    disparities: list[Disparity]
    counterfactual_flips: list[CounterfactualFlips]


class BehaviorResult(_Part):
    """Proportion of rows that pass one test of `behavior.yaml`."""

    name: str
    kind: str
    rows: int
    proportion: float
    limit: float


class Units(_Part):
    """Resampling units of the test split, and the kind of interval that so many allow."""

    unit: str
    count: int
    interval: Literal["bootstrap", "t", "rows"]


class Contamination(MeasuredInterval):
    """Gain over the best baseline on the test split less that on the validation split."""

    baseline: str
    validation_gain_over_prior: float
    units: Units | None = None


class Parity(_Part):
    """Largest error of the exported graph, and the largest that is allowed."""

    max_error: float
    limit: float


class Decision(_Part):
    """Confusion at the decision threshold.

    Attributes:
        classes: Names of the classes.
        confusion: Rows by true class (outer) and predicted class (inner).
        proportions: Proportion of each cell in its true class; empty if there are many classes.
        measured: Precision, recall and cost, where they exist.
        excess_cost: Relative cost above that of the cheapest threshold; None without a threshold.
    """

    classes: list[str]
    confusion: list[list[int]]
    proportions: list[list[MeasuredInterval | None]]
    measured: Metrics
    excess_cost: float | None


class Period(_Part):
    """Begin and end of some rows; None where they have no time."""

    begin: str | None = Field(default=None, alias="from")
    until: str | None = None


class Implausible(_Part):
    """A quality that is implausibly high.

    Attributes:
        metric: The metric that is too good.
        data: The split in which it is.
        columns: Columns that carry most of it.
    """

    metric: str
    value: float
    data: Literal["validation", "test"] = "test"
    columns: list[str]


class Evaluation(_Part):
    """Facts about one bundle on the test split.

    Attributes:
        digest: The bundle's digest.
        threshold: The bundle's decision threshold; None without one.
        metrics: Metrics of the candidate.
        baselines: Metrics by baseline.
        gains: Improvement of the candidate over each baseline, by metric.
        slice_columns: Columns by which slices are made.
        fairness: None if no column is sensitive.
        decision: Confusion at the threshold; None for a regression.
        implausible: A quality that is implausibly high, if there is one.
        test_period: Begin and end of the test split.
        seen_until: Newest event time that training saw; None without one.
        staleness_days: Days between the newest row and the data that should have arrived.
        custom_metrics: Descriptions of the project's own metrics.
        predictions_hash: SHA-256 of the rounded scores.
    """

    digest: str
    task: Task
    rows: int
    primary_metric: str
    metrics: Metrics
    baselines: dict[str, Metrics]
    gains: dict[str, Metrics]
    slice_columns: list[str] = []
    slices: list[SliceResult]
    behavior: list[BehaviorResult]
    fairness: Fairness | None
    decision: Decision | None
    units: Units
    implausible: Implausible | None = None
    contamination: Contamination
    test_period: Period
    seen_until: str | None
    staleness_days: int | None
    parity: Parity
    bundle_bytes: int
    custom_metrics: dict[str, str] = {}
    threshold: float | None = None
    predictions_hash: str = ""

    def as_report(self) -> dict[str, Any]:
        """Return the facts that were set, with the keys of the file."""
        return self.model_dump(by_alias=True, exclude_unset=True)


def load_evaluation(path: Path) -> Evaluation:
    """Read an evaluation and validate it.

    Raises:
        ProjectError: The file is missing, cut short, or was edited so that a fact is not usable.
    """
    return load_report(path, Evaluation)
