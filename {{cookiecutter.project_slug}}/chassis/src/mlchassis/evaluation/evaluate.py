"""Stage `evaluate`: the bundle's own answers on the test split; it writes facts alone."""

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import numpy as np
import pandas as pd

from mlchassis.bundle.bundle import Bundle, OtherBundleError, load_bundle
from mlchassis.bundle.scorer import Scorer
from mlchassis.config.params import EvaluateParams, Params, SplitParams
from mlchassis.contract.model import Contract, class_name
from mlchassis.data.datasets import make_dataset
from mlchassis.data.results.ingestion import IngestReport
from mlchassis.data.results.splits import SplitReport
from mlchassis.data.tables import read_table
from mlchassis.errors import ProjectError
from mlchassis.evaluation.behavior import load_tests, run_tests
from mlchassis.evaluation.bootstrap import (
    FEW_UNITS,
    LEAST_UNITS,
    Interval,
    bootstrap,
    count_units,
    difference_between_splits,
    gain,
    group_rows,
    memoize_last,
    name_unit,
    number_units,
    widen_at_ends,
)
from mlchassis.evaluation.confusion import Costs, decide, describe_confusion, excess_cost
from mlchassis.evaluation.curves import write_curves
from mlchassis.evaluation.fairness import describe_fairness
from mlchassis.evaluation.metrics import (
    BOUNDS,
    UNBOUNDED,
    Floats,
    Groups,
    Metric,
    Statistic,
    metrics_for,
)
from mlchassis.evaluation.plausibility import LIMITS, find_implausible, rank_columns
from mlchassis.evaluation.results import (
    BehaviorResult,
    Contamination,
    Decision,
    Evaluation,
    Fairness,
    Implausible,
    MeasuredInterval,
    Metrics,
    Parity,
    Period,
    SliceResult,
    Units,
)
from mlchassis.evaluation.slices import find_slices, measure_slices
from mlchassis.extensions.metrics import CustomMetric
from mlchassis.formatting import format_interval
from mlchassis.paths import Paths
from mlchassis.project import Workspace
from mlchassis.reports import write_report
from mlchassis.training.estimator_files import load_estimator
from mlchassis.training.results import ExportReport, TrainingReport

BASELINES: Mapping[str, tuple[str, ...]] = {"linear": ("prior",)}
ALL_BASELINES = ("prior", "linear")
"""Baselines that a candidate of each kind must beat."""


@dataclass(frozen=True, slots=True)
class ScoredSplit:
    """Rows with every model's answers: of the bundle's as `candidate`, and of the baselines."""

    rows: pd.DataFrame
    target: Floats
    groups: Groups
    scores: dict[str, Floats]


@dataclass(frozen=True, slots=True)
class Measurements:
    """Intervals of the metrics.

    Attributes:
        metrics: Metrics of the candidate.
        baselines: Metrics by baseline.
        gains: Improvement of the candidate over each baseline, by metric.
    """

    metrics: Metrics
    baselines: dict[str, Metrics]
    gains: dict[str, Metrics]


def run(paths: Workspace, params: Params) -> str:
    """Measure the bundle and the baselines on the test split, with intervals by days."""
    bundle = load_exported(paths)
    check_metric(params, bundle.contract, paths.project.metrics)
    scorer = Scorer(bundle, paths.features, threads=0)
    validation = score_split(paths, params, scorer, "validation")
    test = score_split(paths, params, scorer, "test")
    evaluation = Evaluator(paths, params, scorer, validation, test).evaluate()
    write_report(paths.reports / "evaluation.json", evaluation.as_report())
    values = {name: measured.value for name, measured in evaluation.metrics.items()}
    write_report(paths.reports / "metrics.json", values)
    scores = test.scores["candidate"]
    bins = params.evaluate.calibration_bins
    write_curves(paths.plots, bundle.contract.task, test.target, scores, bins)
    main = evaluation.metrics[params.judge.metric]
    return f"{params.judge.metric} {format_interval(main)} on {len(test.rows):,} rows"


@dataclass(frozen=True, slots=True)
class Evaluator:
    """A bundle, and the rows on which it is measured.

    Attributes:
        paths: The project.
        params: Settings of the evaluation.
        scorer: The bundle's model.
        validation: The validation split.
        test: The test split.
    """

    paths: Workspace
    params: Params
    scorer: Scorer
    validation: ScoredSplit
    test: ScoredSplit

    @property
    def contract(self) -> Contract:
        """The bundle's contract."""
        return self.scorer.bundle.contract

    @property
    def custom(self) -> Sequence[CustomMetric]:
        """Metrics of the project."""
        return self.paths.project.metrics

    @property
    def threshold(self) -> float | None:
        """Decision threshold of the bundle."""
        return self.scorer.bundle.metadata.threshold

    def evaluate(self) -> Evaluation:
        """Return all facts about the bundle."""
        measured = self._measure()
        export = ExportReport.load(self.paths.reports)
        period = read_period(self.paths)
        return Evaluation(
            digest=self.scorer.bundle.digest,
            task=self.contract.task,
            rows=len(self.test.rows),
            primary_metric=self.params.judge.metric,
            metrics=measured.metrics,
            baselines=measured.baselines,
            gains=measured.gains,
            slice_columns=[column.name for column in self.contract.reported_slices],
            slices=break_down(self.contract, self.test, self.params, self.custom),
            behavior=self._test_behavior(),
            fairness=self._measure_fairness(),
            threshold=self.threshold,
            decision=self._describe_decision(),
            units=describe_units(self.test.rows, self.contract, self.params.split),
            implausible=self._find_implausible(),
            contamination=self._measure_contamination(),
            seen_until=self.scorer.bundle.metadata.seen_until,
            test_period=period,
            staleness_days=find_staleness(self.paths, self.params, period.until),
            parity=Parity(max_error=export.parity.max_error, limit=export.tolerance),
            bundle_bytes=export.bytes,
            custom_metrics={metric.name: metric.description for metric in self.custom},
            predictions_hash=hash_scores(self.test.scores["candidate"]),
        )

    def _measure(self) -> Measurements:
        return measure_all(
            self.contract,
            self.test.target,
            self.test.scores,
            self.test.groups,
            self.params.evaluate,
            self.params.seed,
            self.custom,
        )

    def _test_behavior(self) -> list[BehaviorResult]:
        tests = load_tests(self.paths.behavior)
        return run_tests(tests, self.test.rows, self.contract, make_score(self.scorer))

    def _measure_fairness(self) -> Fairness | None:
        return describe_fairness(
            self.test.rows,
            self.contract,
            make_score(self.scorer),
            self.threshold,
            self.test.groups,
            min_rows=self.params.evaluate.min_slice_rows,
            **self.params.resampling,
        )

    def _describe_decision(self) -> Decision | None:
        return describe_decision(
            self.contract, self.threshold, self.validation, self.test, self.params
        )

    def _find_implausible(self) -> Implausible | None:
        return describe_implausible(
            self.contract,
            {"test": self.test, "validation": self.validation},
            make_score(self.scorer),
            self.params,
        )

    def _measure_contamination(self) -> Contamination:
        return measure_contamination(
            self.contract, self.validation, self.test, self.params, self.custom
        )


def make_score(scorer: Scorer) -> Callable[[pd.DataFrame], Floats]:
    """Return a function from rows to the scores of a bundle."""
    return lambda rows: scorer.score_frame(rows).scores


def load_exported(paths: Workspace) -> Bundle:
    """The bundle that `export` wrote, by the digest in its report, which git keeps.

    Raises:
        ProjectError: It is another one.
    """
    digest = ExportReport.load(paths.reports).digest
    try:
        return load_bundle(paths.bundle, paths.features, digest)
    except OtherBundleError as error:
        raise ProjectError(
            f"models/bundle is bundle {error.actual[:12]}, but reports/export.json names "
            f"{digest[:12]}, so it was replaced after export; run "
            "`.venv/bin/dvc repro --force export`."
        ) from None


def check_metric(params: Params, contract: Contract, custom: Sequence[CustomMetric] = ()) -> None:
    """Check that the metric to judge by exists for the task.

    Raises:
        ProjectError: It does not.
    """
    known = metrics_for(contract.task, custom=custom)
    if params.judge.metric not in known:
        raise ProjectError(
            f"params.yaml: judge.metric is '{params.judge.metric}', which does not exist for "
            f"{contract.task}; choose one of {', '.join(known)}."
        )


def score_split(paths: Workspace, params: Params, scorer: Scorer, name: str) -> ScoredSplit:
    """Score the rows of a split by the bundle and by the baselines."""
    contract = scorer.bundle.contract
    rows = read_table(paths.splits / f"{name}.parquet")
    dataset = make_dataset(rows, contract, paths.features)
    scores = {"candidate": scorer.score_frame(rows).scores}
    training = TrainingReport.load(paths.reports)
    for model in BASELINES.get(params.train.candidate.kind, ALL_BASELINES):
        estimator = load_estimator(paths.models, model, training)
        scores[model] = np.asarray(estimator.predict(dataset.features))
    groups = group_rows(rows, contract, params.split)
    return ScoredSplit(rows, dataset.target, groups, scores)


def describe_decision(
    contract: Contract,
    threshold: float | None,
    validation: ScoredSplit,
    test: ScoredSplit,
    params: Params,
) -> Decision | None:
    """The confusion at the bundle's threshold, and whether that is the cheapest on validation.

    The threshold is chosen again from the bundle's own answers on the validation split: one that
    was tuned on other rows costs more there. None for a regression.
    """
    classes = list(map(class_name, contract.classes))
    if not classes:
        return None
    costs = Costs(params.train.cost_false_positive, params.train.cost_false_negative)
    predicted = decide(test.scores["candidate"], threshold)
    excess = None
    if threshold is not None:
        excess = excess_cost(
            validation.target, validation.scores["candidate"][:, 1], threshold, costs
        )
    return describe_confusion(
        test.target, predicted, classes, costs, test.groups, excess, **params.resampling
    )


def measure_contamination(
    contract: Contract,
    validation: ScoredSplit,
    test: ScoredSplit,
    params: Params,
    custom: Sequence[CustomMetric] = (),
) -> Contamination:
    """Increase of the candidate's gain over the best baseline, validation to test.

    Both splits are harder or easier for the baseline too, so that a season alone does not count;
    a model that has learned the test split by heart is.
    """
    control = BASELINES.get(params.train.candidate.kind, ALL_BASELINES)[-1]
    metrics = metrics_for(contract.task, params.evaluate.calibration_bins, custom)
    metric = metrics[params.judge.metric]
    difference = difference_between_splits(
        (prepare_gain(metric, validation, control), validation.groups),
        (prepare_gain(metric, test, control), test.groups),
        **params.resampling,
    )
    ones = np.ones(int(validation.groups.max()) + 1)
    units = [describe_units(part.rows, contract, params.split) for part in (validation, test)]
    return Contamination(
        value=difference.value,
        low=difference.low,
        high=difference.high,
        baseline=control,
        validation_gain_over_prior=prepare_gain(metric, validation, "prior")(ones),
        units=min(units, key=lambda part: part.count),
    )


def prepare_gain(metric: Metric, split: ScoredSplit, baseline: str) -> Statistic:
    """Return the gain over a baseline as a function of the weights of resampling units."""
    candidate = metric.prepare(split.target, split.scores["candidate"], split.groups)
    other = metric.prepare(split.target, split.scores[baseline], split.groups)
    return gain(metric, candidate, other)


def describe_implausible(
    contract: Contract,
    splits: Mapping[Literal["validation", "test"], ScoredSplit],
    score: Callable[[pd.DataFrame], Floats],
    params: Params,
) -> Implausible | None:
    """Describe a quality that is implausibly high, and the columns that carry most; else None.

    What is recorded only afterwards is often incomplete in the newest rows, so that a leak shows
    on older ones alone.
    """
    metrics = metrics_for(contract.task, params.evaluate.calibration_bins)
    columns = [column.name for column in contract.features]
    for part, split in splits.items():
        scores = split.scores["candidate"]
        ones = np.ones(len(split.target))
        values = {
            name: metrics[name].prepare(split.target, scores)(ones)
            for name in LIMITS
            if name in metrics
        }
        name = find_implausible(values)
        if name is not None:
            carrying = rank_columns(
                split.rows, columns, metrics[name], split.target, score, params.seed
            )
            return Implausible(metric=name, value=values[name], data=part, columns=carrying)
    return None


def break_down(
    contract: Contract, test: ScoredSplit, params: Params, custom: Sequence[CustomMetric] = ()
) -> list[SliceResult]:
    """Measure the main metric of every model in every slice that is large enough."""
    settings = params.evaluate
    return measure_slices(
        find_slices(
            test.rows, [column.name for column in contract.reported_slices], settings.min_slice_rows
        ),
        metrics_for(contract.task, settings.calibration_bins, custom)[params.judge.metric],
        test.target,
        test.scores,
        test.groups,
        **params.resampling,
    )


def describe_units(rows: pd.DataFrame, contract: Contract, split: SplitParams) -> Units:
    """Return the resampling units of some rows, and the interval that so many give."""
    count = count_units(number_units(rows, contract, split))
    unit = name_unit(contract, split)
    if count >= FEW_UNITS:
        return Units(unit=unit, count=count, interval="bootstrap")
    return Units(unit=unit, count=count, interval="t" if count >= LEAST_UNITS else "rows")


def read_period(paths: Paths) -> Period:
    """Return what `split` wrote about the test split: its begin, its end and more."""
    test = SplitReport.load(paths.reports).splits.test
    return Period.model_validate(test.model_dump(by_alias=True, exclude_none=True))


def find_staleness(paths: Paths, params: Params, newest: str | None) -> int | None:
    """Return the age of the newest test row in days, or None."""
    last = max(IngestReport.load(paths.reports).months)
    return count_stale_days(newest, params.ingest.as_of, last)


def count_stale_days(newest: str | None, as_of: str | None, last_month: str) -> int | None:
    """Days from the newest labeled row to the end of the available data, or None.

    What has arrived is the whole of the month `as_of`, or else the beginning of the last month
    that there is. It is not today's date: the same data give the same answer, and whether anything
    arrives at all is for monitoring to see.
    """
    if newest is None:
        return None
    begin = datetime.fromisoformat(f"{as_of or last_month}-01T00:00:00+00:00")
    expected = (begin + timedelta(days=32)).replace(day=1) if as_of else begin
    return max(0, (expected - datetime.fromisoformat(newest)).days)


def measure_all(
    contract: Contract,
    target: Floats,
    scores: dict[str, Floats],
    groups: Groups,
    params: EvaluateParams,
    seed: int,
    custom: Sequence[CustomMetric] = (),
) -> Measurements:
    """Measure every metric of every model, and the gain of the candidate over each baseline."""
    metrics = metrics_for(contract.task, params.calibration_bins, custom)
    statistics = prepare_statistics(metrics, target, scores, groups)
    intervals = bootstrap(statistics, groups, params.resamples, params.confidence, seed)
    baselines = [model for model in scores if model != "candidate"]

    def gather(model: str) -> Metrics:
        return {
            name: _bound(name, intervals[f"{model}/{name}"], len(target), params.confidence)
            for name in metrics
        }

    def gather_gains(baseline: str) -> Metrics:
        return {name: MeasuredInterval.of(intervals[f"gain {baseline}/{name}"]) for name in metrics}

    return Measurements(
        metrics=gather("candidate"),
        baselines={baseline: gather(baseline) for baseline in baselines},
        gains={baseline: gather_gains(baseline) for baseline in baselines},
    )


def _bound(name: str, interval: Interval, rows: int, confidence: float) -> MeasuredInterval:
    """Limit the interval of a metric to the values that there can be; nothing is certain."""
    if name == "accuracy":
        interval = widen_at_ends(interval, rows, confidence)
    return MeasuredInterval.of(interval.clip(*BOUNDS.get(name, UNBOUNDED)))


def prepare_statistics(
    metrics: Mapping[str, Metric], target: Floats, scores: Mapping[str, Floats], groups: Groups
) -> dict[str, Statistic]:
    """Return "MODEL/METRIC" of every model, and "gain MODEL/METRIC" over each baseline."""
    statistics: dict[str, Statistic] = {}
    for name, metric in metrics.items():
        prepared = {
            model: memoize_last(metric.prepare(target, answers, groups))
            for model, answers in scores.items()
        }
        for model, statistic in prepared.items():
            statistics[f"{model}/{name}"] = statistic
            if model != "candidate":
                statistics[f"gain {model}/{name}"] = gain(metric, prepared["candidate"], statistic)
    return statistics


def hash_scores(scores: Floats) -> str:
    """SHA-256 of answers, rounded to a millionth so that the last bit of a sum does not count.

    Numbers that are all below 1 are rounded to a millionth of the next power of ten.
    """
    largest = float(np.abs(scores).max(initial=0.0))
    is_small = scores.shape[1] == 1 and 0 < largest < 1
    digits = 6 - math.ceil(math.log10(largest)) if is_small else 6
    return hashlib.sha256(np.round(scores, digits).tobytes()).hexdigest()
