"""Shapes of `reports/study.json` and `reports/comparison.json`, which the model report reads."""

from pydantic import BaseModel, ConfigDict, Field

from mlchassis.evaluation.results import MeasuredInterval, SliceGain

Setting = bool | int | float | str | None
"""A value of `params.yaml`."""


class _Result(BaseModel):
    """A part of a report."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)


class ColumnImportance(_Result):
    """Permutation importance of a column, and the cost of serving it.

    Attributes:
        column: Its name, or that of the column of noise.
        importance: Loss of the metric when the column is shuffled.
        shown: True if the loss is significant.
        missing: Proportion of missing values in training; None for noise.
        microseconds: Time to read one value of a request; None for noise.
    """

    column: str
    importance: MeasuredInterval
    shown: bool
    missing: float | None
    microseconds: float | None


class AgeLoss(_Result):
    """Loss of models of one age against new ones.

    Attributes:
        months: The age, in months of the calendar.
        tried_in: Number of months in which it was measured.
        gap: Gain of the new model over the old one.
    """

    months: int
    tried_in: int
    gap: MeasuredInterval


class Staleness(_Result):
    """Loss by age, and the age that is still allowed.

    Attributes:
        max_age_months: Age before the first one that loses more than `max_loss`.
        oldest_tried: The largest age that was measured.
    """

    metric: str
    max_loss: float
    ages: list[AgeLoss]
    max_age_months: int
    oldest_tried: int


class PresetTrial(_Result):
    """Settings that were changed, by dotted name, and the metric on validation."""

    changes: dict[str, Setting]
    value: float


class Presets(_Result):
    """Alternatives that were tried, and the best settings by dotted name."""

    metric: str
    tried: list[PresetTrial]
    best: float
    settings: dict[str, Setting]


class SearchResult(_Result):
    """Result of a hyperparameter search.

    Attributes:
        trials: Number of trials that ended.
        current: Metric of the settings in `params.yaml`; None where they cannot be trained.
        best: Metric of the best trial.
        trained_again: Metric of its settings with another seed.
        tolerance: Largest difference of the two that is not luck.
        holds: True if the difference is not larger.
        estimator: Name of the estimator's section in `params.yaml`.
        settings: The best settings.
    """

    metric: str
    trials: int
    current: float | None
    best: float
    trained_again: float
    tolerance: float
    holds: bool
    estimator: str
    settings: dict[str, int | float]


class StudyReport(_Result):
    """Content of `reports/study.json`: the studies of the same rows; None if one was not made."""

    data_hash: str
    permutation_importance: list[ColumnImportance] | None = None
    staleness: Staleness | None = None
    presets: Presets | None = None
    search: SearchResult | None = None


class ComparedVersion(_Result):
    """A registered version, and the digest of its bundle."""

    version: str
    digest: str


class MetricPair(_Result):
    """A metric of both versions, and the gain of the second one."""

    a: MeasuredInterval
    b: MeasuredInterval
    gain: MeasuredInterval


class AnswerChange(_Result):
    """Rows whose answer changes from one class to another."""

    before: str = Field(alias="from")
    after: str = Field(alias="to")
    rows: int


class Churn(_Result):
    """Rows whose answer changes.

    Attributes:
        rows: Their number.
        proportion: Their part of all rows.
        changes: Their number by old and new class; empty for numbers.
        mean_move: Mean of the largest change of a row's scores.
    """

    rows: int
    proportion: float
    changes: list[AnswerChange]
    mean_move: float


class VersionComparison(_Result):
    """Content of `reports/comparison.json`: two versions on rows that neither has seen."""

    a: ComparedVersion
    b: ComparedVersion
    rows: int
    metric: str
    metrics: dict[str, MetricPair]
    slices: list[SliceGain]
    churn: Churn
