"""Stage `evaluate`: the bundle's own answers on the untouched window; it writes facts alone."""

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import joblib
import numpy as np
import pandas as pd

from ..behaviour import load_tests, run_tests
from ..bundle import load_bundle
from ..contract import Contract
from ..errors import ProjectError
from ..figures import plot_evaluation, write_curves
from ..modelling.confidence import bootstrap, gain, group_rows, once
from ..modelling.estimators import predict_scores
from ..modelling.metrics import Floats, Statistic, metrics_for
from ..modelling.slices import find_slices, measure_slices
from ..params import EvaluateParams, Params
from ..paths import Paths
from ..reports import read_report, write_report
from ..scoring import Scorer
from ..tables import read_table
from ..windows import window_examples

BASELINES: Mapping[str, tuple[str, ...]] = {"trees": ("prior", "linear"), "linear": ("prior",)}
"""What a candidate of each kind must beat."""


def run(paths: Paths, params: Params) -> str:
    """Measures the bundle and the baselines on the test window, with intervals by days."""
    bundle = load_bundle(paths.bundle)
    contract, scorer = bundle.contract, Scorer(bundle)
    rows = read_table(paths.splits / "test.parquet")
    test = window_examples(rows, contract)
    scores = {"candidate": scorer.score_frame(rows).scores}
    for name in BASELINES[params.train.candidate.kind]:
        scores[name] = predict_scores(joblib.load(paths.models / f"{name}.joblib"), test.features)
    groups = group_rows(rows, contract)
    found = measure_all(contract, test.target, scores, groups, params.evaluate, params.seed)
    if params.judge.metric not in found["metrics"]:
        raise ProjectError(
            f"params.yaml: judge.metric is '{params.judge.metric}', which does not exist for "
            f"{contract.task}; choose one of {', '.join(found['metrics'])}."
        )
    report = {
        "digest": bundle.digest,
        "task": contract.task,
        "rows": len(rows),
        "primary_metric": params.judge.metric,
        **found,
        "slices": break_down(contract, rows, test.target, scores["candidate"], params),
        "behaviour": run_tests(
            load_tests(paths.behaviour),
            rows,
            contract,
            lambda part: scorer.score_frame(part).scores,
        ),
        "threshold": bundle.metadata.threshold,
        **describe_window(paths, params),
        **describe_graph(paths),
        "predictions_hash": hash_scores(scores["candidate"]),
    }
    write_report(paths.reports / "evaluation.json", report)
    flat = {name: interval["value"] for name, interval in found["metrics"].items()}
    write_report(paths.reports / "metrics.json", flat)
    bins = params.evaluate.calibration_bins
    write_curves(paths.plots, contract.task, test.target, scores["candidate"], bins)
    plot_evaluation(paths.plots / "evaluation.png", contract.task, test.target, scores, bins)
    main = found["metrics"][params.judge.metric]
    return (
        f"{params.judge.metric} {main['value']:.4f} ({main['low']:.4f} to {main['high']:.4f}) on "
        f"{len(rows):,} rows"
    )


def break_down(
    contract: Contract, rows: pd.DataFrame, target: Floats, scores: Floats, params: Params
) -> list[dict[str, Any]]:
    """The main metric in every slice that is large enough."""
    settings = params.evaluate
    return measure_slices(
        find_slices(rows, [c.name for c in contract.slices], settings.min_slice_rows),
        metrics_for(contract.task, settings.calibration_bins)[params.judge.metric],
        target,
        scores,
        group_rows(rows, contract),
        resamples=settings.resamples,
        confidence=settings.confidence,
        seed=params.seed,
    )


def describe_graph(paths: Paths) -> dict[str, Any]:
    """How `export` found the graph: equal to the model, and how large."""
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
    """By how many days the newest labelled row lies before what has arrived; None without a time.

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
    groups: Any,
    params: EvaluateParams,
    seed: int,
) -> dict[str, Any]:
    """Every metric of every model, and what the candidate gains over each baseline."""
    metrics = metrics_for(contract.task, params.calibration_bins)
    baselines = [model for model in scores if model != "candidate"]
    statistics: dict[str, Statistic] = {}
    for name, metric in metrics.items():
        prepared = {m: once(metric.prepare(target, part)) for m, part in scores.items()}
        for model, statistic in prepared.items():
            statistics[f"{model}/{name}"] = statistic
        for baseline in baselines:
            statistics[f"gain {baseline}/{name}"] = gain(
                metric, prepared["candidate"], prepared[baseline]
            )
    intervals = bootstrap(statistics, groups, params.resamples, params.confidence, seed)

    def gather(model: str) -> dict[str, dict[str, float]]:
        return {name: intervals[f"{model}/{name}"].as_dict() for name in metrics}

    return {
        "metrics": gather("candidate"),
        "baselines": {baseline: gather(baseline) for baseline in baselines},
        "gains": {baseline: gather(f"gain {baseline}") for baseline in baselines},
    }


def hash_scores(scores: Floats) -> str:
    """SHA-256 of answers, rounded to a millionth so that the last bit of a sum does not count."""
    return hashlib.sha256(np.round(scores, 6).tobytes()).hexdigest()
