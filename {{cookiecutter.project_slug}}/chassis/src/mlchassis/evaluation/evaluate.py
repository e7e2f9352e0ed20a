"""Stage `evaluate`: the bundle's own answers on the test window; it writes facts alone."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from mlchassis.bundle.bundle import Bundle, OtherBundleError, load_bundle
from mlchassis.bundle.scorer import Scorer
from mlchassis.config.params import EvaluateParams, Params
from mlchassis.contract.model import Contract, class_name
from mlchassis.data.datasets import window_examples
from mlchassis.data.tables import read_table
from mlchassis.errors import ProjectError
from mlchassis.evaluation.behavior import load_tests, run_tests
from mlchassis.evaluation.bootstrap import (
    bootstrap,
    describe_units,
    gain,
    group_rows,
    once,
    rise_between_windows,
)
from mlchassis.evaluation.confusion import Costs, decide, describe_confusion, excess_cost
from mlchassis.evaluation.curves import write_curves
from mlchassis.evaluation.fairness import describe_fairness
from mlchassis.evaluation.metrics import (
    BOUNDS,
    UNBOUNDED,
    Floats,
    Groups,
    Statistic,
    metrics_for,
)
from mlchassis.evaluation.plausibility import LIMITS, find_implausible, rank_columns
from mlchassis.evaluation.slices import find_slices, measure_slices
from mlchassis.extensions.metrics import CustomMetric
from mlchassis.formatting import format_interval
from mlchassis.paths import Paths
from mlchassis.project import Workspace
from mlchassis.reports import read_report, write_report
from mlchassis.training.estimator_files import load_estimator
from mlchassis.training.estimators import predict_scores

BASELINES: Mapping[str, tuple[str, ...]] = {"linear": ("prior",)}
ALL_BASELINES = ("prior", "linear")
"""What a candidate of each kind must beat."""


@dataclass(frozen=True, slots=True)
class Window:
    """Rows with every model's answers: of the bundle's as `candidate`, and of the baselines."""

    rows: pd.DataFrame
    target: Floats
    groups: Groups
    scores: dict[str, Floats]


def run(paths: Workspace, params: Params) -> str:
    """Measures the bundle and the baselines on the test window, with intervals by days."""
    bundle = load_exported(paths)
    contract, threshold = bundle.contract, bundle.metadata.threshold
    scorer = Scorer(bundle, paths.features, threads=0)
    settings = {"min_rows": params.evaluate.min_slice_rows}
    custom = paths.project.metrics
    check_metric(params, contract, custom)
    valid, test = (answer_window(paths, params, scorer, name) for name in ("valid", "test"))
    found = measure_all(
        contract, test.target, test.scores, test.groups, params.evaluate, params.seed, custom
    )

    def ask(rows: pd.DataFrame) -> Floats:
        return scorer.score_frame(rows).scores

    report = {
        "digest": bundle.digest,
        "task": contract.task,
        "rows": len(test.rows),
        "primary_metric": params.judge.metric,
        **found,
        "slice_columns": [column.name for column in contract.reported_slices],
        "slices": break_down(contract, test, params, custom),
        "behaviour": run_tests(load_tests(paths.behaviour), test.rows, contract, ask),
        "fairness": describe_fairness(
            test.rows, contract, ask, threshold, test.groups, **settings, **params.resampling
        ),
        "threshold": threshold,
        "decision": describe_decision(contract, threshold, valid, test, params),
        "units": describe_units(test.rows, contract, params.split),
        "implausible": describe_implausible(
            contract, {"test": test, "validation": valid}, ask, params
        ),
        "surprise": measure_surprise(contract, valid, test, params, custom),
        "seen_until": bundle.metadata.seen_until,
        **describe_window(paths, params),
        **describe_graph(paths),
        "custom_metrics": {metric.name: metric.description for metric in custom},
        "predictions_hash": hash_scores(test.scores["candidate"]),
    }
    write_report(paths.reports / "evaluation.json", report)
    flat = {name: interval["value"] for name, interval in found["metrics"].items()}
    write_report(paths.reports / "metrics.json", flat)
    curves = (contract.task, test.target, test.scores["candidate"])
    write_curves(paths.plots, *curves, params.evaluate.calibration_bins)
    main = found["metrics"][params.judge.metric]
    spread = format_interval(main)
    return f"{params.judge.metric} {spread} on {len(test.rows):,} rows"


def load_exported(paths: Workspace) -> Bundle:
    """The bundle that `export` wrote, by the digest in its report, which git keeps.

    Raises:
        ProjectError: It is another one.
    """
    digest = read_report(paths.reports / "export.json")["digest"]
    try:
        return load_bundle(paths.bundle, paths.features, digest)
    except OtherBundleError as error:
        raise ProjectError(
            f"models/bundle is bundle {error.found[:12]}, but reports/export.json names "
            f"{digest[:12]}, so it was replaced after export; run "
            "`.venv/bin/dvc repro --force export`."
        ) from None


def check_metric(params: Params, contract: Contract, custom: Sequence[CustomMetric] = ()) -> None:
    """Stops where the metric to judge by does not exist for the task.

    Raises:
        ProjectError: It does not.
    """
    known = metrics_for(contract.task, custom=custom)
    if params.judge.metric not in known:
        raise ProjectError(
            f"params.yaml: judge.metric is '{params.judge.metric}', which does not exist for "
            f"{contract.task}; choose one of {', '.join(known)}."
        )


def answer_window(paths: Workspace, params: Params, scorer: Scorer, name: str) -> Window:
    """Asks the bundle and the baselines about the rows of a window."""
    contract, rows = scorer.bundle.contract, read_table(paths.splits / f"{name}.parquet")
    examples = window_examples(rows, contract, paths.features)
    scores = {"candidate": scorer.score_frame(rows).scores}
    training = read_report(paths.reports / "training.json")
    for model in BASELINES.get(params.train.candidate.kind, ALL_BASELINES):
        estimator = load_estimator(paths.models, model, training)
        scores[model] = predict_scores(estimator, examples.features)
    groups = group_rows(rows, contract, params.split)
    return Window(rows, examples.target, groups, scores)


def describe_decision(
    contract: Contract, threshold: float | None, valid: Window, test: Window, params: Params
) -> dict[str, Any] | None:
    """The confusion at the bundle's threshold, and whether that is the cheapest on validation.

    The threshold is chosen again from the bundle's own answers on the validation window: one that
    was tuned on other rows costs more there. None for a regression.
    """
    classes = list(map(class_name, contract.classes))
    if not classes:
        return None
    costs = Costs(params.train.cost_false_positive, params.train.cost_false_negative)
    chosen, excess = decide(test.scores["candidate"], threshold), None
    if threshold is not None:
        excess = excess_cost(valid.target, valid.scores["candidate"][:, 1], threshold, costs)
    confusion = describe_confusion(
        test.target, chosen, classes, costs, test.groups, **params.resampling
    )
    return {**confusion, "excess_cost": excess}


def measure_surprise(
    contract: Contract,
    valid: Window,
    test: Window,
    params: Params,
    custom: Sequence[CustomMetric] = (),
) -> dict[str, Any]:
    """Increase of the candidate's gain over the best baseline, validation to test.

    Both windows are harder or easier for the baseline too, so that a season alone is no surprise;
    a model that has learned the test window by heart is.
    """
    settings = params.evaluate
    control = BASELINES.get(params.train.candidate.kind, ALL_BASELINES)[-1]
    metrics = metrics_for(contract.task, settings.calibration_bins, custom)
    metric = metrics[params.judge.metric]

    def over(window: Window, baseline: str) -> Statistic:
        return gain(
            metric,
            *(
                metric.prepare(window.target, window.scores[model], window.groups)
                for model in ("candidate", baseline)
            ),
        )

    rise = rise_between_windows(
        (over(valid, control), valid.groups),
        (over(test, control), test.groups),
        **params.resampling,
    )
    before = over(valid, "prior")(np.ones(int(valid.groups.max()) + 1))
    units = [describe_units(part.rows, contract, params.split) for part in (valid, test)]
    return {
        **rise.as_dict(),
        "baseline": control,
        "valid_gain_over_prior": before,
        "units": min(units, key=lambda part: int(part["count"])),
    }


def describe_implausible(
    contract: Contract,
    windows: Mapping[str, Window],
    score: Callable[[pd.DataFrame], Floats],
    params: Params,
) -> dict[str, Any] | None:
    """Describe a quality that is seldom honest, and the columns that carry most; else None.

    What is recorded only afterwards is often incomplete in the newest rows, so that a leak shows
    on older ones alone.
    """
    metrics = metrics_for(contract.task, params.evaluate.calibration_bins)
    columns = [column.name for column in contract.features]
    for part, window in windows.items():
        target, scores = window.target, window.scores["candidate"]
        values = {
            name: metrics[name].prepare(target, scores)(np.ones(len(target)))
            for name in LIMITS
            if name in metrics
        }
        name = find_implausible(values)
        if name is not None:
            carrying = rank_columns(window.rows, columns, metrics[name], target, score, params.seed)
            return {"metric": name, "value": values[name], "data": part, "columns": carrying}
    return None


def break_down(
    contract: Contract, test: Window, params: Params, custom: Sequence[CustomMetric] = ()
) -> list[dict[str, Any]]:
    """The main metric in every slice that is large enough."""
    settings = params.evaluate
    return measure_slices(
        find_slices(test.rows, [c.name for c in contract.reported_slices], settings.min_slice_rows),
        metrics_for(contract.task, settings.calibration_bins, custom)[params.judge.metric],
        test.target,
        test.scores["candidate"],
        test.groups,
        **params.resampling,
    )


def describe_graph(paths: Paths) -> dict[str, Any]:
    """Size of the ONNX graph and its parity with the model, as `export` measured them."""
    export = read_report(paths.reports / "export.json")
    worst = max(part["max_error"] for part in export["parity"].values())
    return {
        "parity": {"max_error": worst, "limit": export["tolerance"]},
        "bundle_bytes": export["bytes"],
    }


def describe_window(paths: Paths, params: Params) -> dict[str, Any]:
    """The test window, and how old its newest row is."""
    window = read_report(paths.reports / "split.json")["windows"]["test"]
    last = max(read_report(paths.reports / "ingest.json")["months"])
    return {"window": window, "age_days": find_age(window.get("until"), params.ingest.until, last)}


def find_age(newest: str | None, until: str | None, last_month: str) -> int | None:
    """Days from the newest labelled row to the end of the available data, or None.

    What has arrived is the whole of the month `until`, or else the beginning of the last month
    that there is. It is not today's date: the same data give the same answer, and whether anything
    arrives at all is for monitoring to see.
    """
    if newest is None:
        return None
    begin = datetime.fromisoformat(f"{until or last_month}-01T00:00:00+00:00")
    expected = (begin + timedelta(days=32)).replace(day=1) if until else begin
    return max(0, (expected - datetime.fromisoformat(newest)).days)


def measure_all(
    contract: Contract,
    target: Floats,
    scores: dict[str, Floats],
    groups: Groups,
    params: EvaluateParams,
    seed: int,
    custom: Sequence[CustomMetric] = (),
) -> dict[str, Any]:
    """Every metric of every model, and what the candidate gains over each baseline."""
    metrics = metrics_for(contract.task, params.calibration_bins, custom)
    baselines = [model for model in scores if model != "candidate"]
    statistics: dict[str, Statistic] = {}
    for name, metric in metrics.items():
        prepared = {m: once(metric.prepare(target, part, groups)) for m, part in scores.items()}
        for model, statistic in prepared.items():
            statistics[f"{model}/{name}"] = statistic
        for baseline in baselines:
            statistics[f"gain {baseline}/{name}"] = gain(
                metric, prepared["candidate"], prepared[baseline]
            )
    intervals = bootstrap(statistics, groups, params.resamples, params.confidence, seed)

    def gather(model: str) -> dict[str, dict[str, float]]:
        return {name: intervals[f"{model}/{name}"].as_dict() for name in metrics}

    def clip(model: str) -> dict[str, dict[str, float]]:
        return {
            name: intervals[f"{model}/{name}"].clip(*BOUNDS.get(name, UNBOUNDED)).as_dict()
            for name in metrics
        }

    return {
        "metrics": clip("candidate"),
        "baselines": {baseline: clip(baseline) for baseline in baselines},
        "gains": {baseline: gather(f"gain {baseline}") for baseline in baselines},
    }


def hash_scores(scores: Floats) -> str:
    """SHA-256 of answers, rounded to a millionth so that the last bit of a sum does not count."""
    return hashlib.sha256(np.round(scores, 6).tobytes()).hexdigest()
