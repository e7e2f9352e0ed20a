"""Facts of the monitor: what `reports/monitor.json` holds."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from mlchassis.formatting import refine

Status = Literal["ok", "watch", "retrain", "broken"]

Statistic = Literal["distribution", "missing"]

STATISTICS: tuple[Statistic, ...] = ("distribution", "missing")

EXIT_CODES: dict[Status, int] = {"ok": 0, "watch": 10, "retrain": 20, "broken": 30}
"""Exit codes of `make monitor`; an error is 1."""

SEVERITY: tuple[Status, ...] = ("ok", "watch", "retrain", "broken")


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class _Limited(_Record):
    """A value with its limit.

    Attributes:
        limit: Largest value without an alarm.
    """

    value: float
    limit: float

    @property
    def alarm(self) -> bool:
        """True if the value exceeds its limit."""
        return self.value > self.limit

    @property
    def ratio(self) -> float:
        """The value in units of its limit."""
        return self.value / self.limit


class DriftTest(_Limited):
    """One drift test of one column in one window.

    Attributes:
        column: Feature column, or `prediction`.
        statistic: `distribution` (Kolmogorov-Smirnov of numbers, Jensen-Shannon of categories) or
            `missing` (difference of the proportions of missing values).
    """

    column: str
    statistic: Statistic


class RelatedTest(_Limited):
    """One test of two related columns in one window.

    Attributes:
        columns: Names of both.
        value: Kolmogorov-Smirnov statistic of the residuals of a number that is predicted, or of
            how ordinary the combinations of two values are.
        unusual: Proportion of rows with residuals or combinations that the reference hardly has.
        unusual_before: The same in the reference.
    """

    columns: tuple[str, str]
    unusual: float
    unusual_before: float

    @property
    def sentence(self) -> str:
        """Part of a sentence that names both columns."""
        first, second = self.columns
        digits = refine(".3g", self.value, self.limit)
        return (
            f"'{first}' no longer fits '{second}' (unusual together in {self.unusual:.1%} of the "
            f"rows, {self.unusual_before:.1%} in the reference; distance {self.value:{digits}}, "
            f"limit {self.limit:{digits}})"
        )


class ColumnDistances(_Record):
    """Distances of one column's window from the reference; None where one does not apply."""

    column: str
    ks: float | None
    jensen_shannon: float
    wasserstein: float | None
    psi: float
    missing: float
    missing_before: float


class SeasonDistance(_Record):
    """Distance of a column from the same days of the year before.

    Attributes:
        value: The statistic `distribution` against these days alone.
    """

    column: str
    value: float


class Season(_Record):
    """Comparison with the same days one year earlier, where the reference has them."""

    start: str
    end: str
    rows: int
    distances: list[SeasonDistance]


class Performance(_Record):
    """Loss of the deployed model's answers in one window, where smaller is better.

    Attributes:
        answered: Rows that the deployed model answered.
        labeled: Rows among them whose label has arrived.
        value: Mean loss of the labeled rows; None if they are too few.
        low: Lower end of its confidence interval.
        high: Upper end.
        limit: Largest mean loss without an alarm.
        estimated: Mean loss estimated for all rows without labels.
        estimated_limit: Largest estimate without an alarm.
        reference: Mean loss of the held-out rows.
    """

    answered: int
    labeled: int
    value: float | None
    low: float | None
    high: float | None
    limit: float | None
    estimated: float | None
    estimated_limit: float | None
    reference: float

    @property
    def maturity(self) -> float:
        """Proportion of the answered rows whose label has arrived."""
        return self.labeled / self.answered if self.answered else 0.0

    @property
    def alarm(self) -> bool:
        """True if the mean loss of the labeled rows exceeds its limit."""
        return self.value is not None and self.limit is not None and self.value > self.limit

    @property
    def expects_alarm(self) -> bool:
        """True if the estimated loss exceeds its limit."""
        if self.estimated is None or self.estimated_limit is None:
            return False
        return self.estimated > self.estimated_limit


class Window(_Record):
    """Some days of the log.

    Attributes:
        start: First day.
        end: Last day.
        enough: False if the rows are too few to show anything; there are no tests then.
        related: Tests of related columns.
    """

    start: str
    end: str
    rows: int
    enough: bool
    tests: list[DriftTest] = []
    distances: list[ColumnDistances] = []
    related: list[RelatedTest] = []
    season: Season | None = None
    performance: Performance | None = None

    @property
    def alarms(self) -> list[DriftTest]:
        """Tests that exceed their limit, the largest first."""
        return sorted((t for t in self.tests if t.alarm), key=lambda test: -test.ratio)

    @property
    def related_alarms(self) -> list[RelatedTest]:
        """Tests of related columns that exceed their limit, the largest first."""
        return sorted((t for t in self.related if t.alarm), key=lambda test: -test.ratio)

    @property
    def drifts(self) -> bool:
        """True if any test exceeds its limit."""
        return bool(self.alarms or self.related_alarms)


class Quality(_Record):
    """Contract check of the newest window's rows.

    Attributes:
        rows: Rows of the deployed model's contract version.
        invalid: Rows among them that break the contract.
        reasons: Rows by the first rule that they break.
        lacking: Columns that the contract has and these rows do not.
    """

    rows: int
    invalid: int
    reasons: dict[str, int]
    lacking: list[str]

    @property
    def proportion(self) -> float:
        """Proportion of invalid rows."""
        return self.invalid / self.rows if self.rows else 0.0


class FeatureSkew(_Record):
    """Feature that differs between the log and the raw data.

    Attributes:
        rows: Rows in which it differs.
        example: Key of one of them.
    """

    feature: str
    rows: int
    example: str


class Skew(_Record):
    """Features of logged rows, compared with those of their raw data.

    Attributes:
        rows: Rows that were compared.
        mismatched: Rows among them with a feature that differs.
        features: Features that differ, that with the most rows first.
        violations: Sentences on columns that lack or have another type (schema skew).
        statement: Reason why no row was compared; else empty.
    """

    rows: int = 0
    mismatched: int = 0
    features: list[FeatureSkew] = []
    violations: list[str] = []
    statement: str = ""


class LogSummary(_Record):
    """Lines of the prediction log; see `LogFacts`."""

    rows: int
    torn: int
    foreign: int
    undated: int
    versions: dict[str, int]
    newest: str = ""


class CustomSignal(_Record):
    """Result of a project's own monitor."""

    name: str
    status: Status
    sentence: str


class MonitorReport(_Record):
    """Result of `make monitor`.

    Attributes:
        status: The decision.
        sentence: Its reason.
        digest: Digest of the deployed bundle.
        windows: Windows of the log, the oldest first.
        blocks: Different windows of this length in the reference.
        skew: Comparison with the raw data.
        labels: Statement on the labels; empty where all of them were read.
        invalid_labels: Labels that the deployed contract does not allow; they are left out.
        ambiguous_labels: Keys with different labels in several rows; they are left out.
        custom: Results of the project's own monitors.
    """

    status: Status
    sentence: str
    digest: str
    model_version: str
    log: LogSummary
    quality: Quality
    skew: Skew
    windows: list[Window]
    blocks: int
    labels: str
    invalid_labels: int = 0
    ambiguous_labels: int = 0
    custom: list[CustomSignal] = []
