"""Stage `train`: baselines and candidate, and the check that no feature knows the answer."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from mlchassis.config.params import Params
from mlchassis.contract.model import Contract, load_contract
from mlchassis.data.datasets import make_examples, window_matrix
from mlchassis.data.tables import read_table
from mlchassis.errors import ProjectError
from mlchassis.evaluation.metrics import metrics_for
from mlchassis.extensions.estimators import Estimator
from mlchassis.extensions.metrics import CustomMetric
from mlchassis.features.encoding import FeatureMatrix
from mlchassis.formatting import format_number
from mlchassis.project import Workspace
from mlchassis.reports import write_report
from mlchassis.training.estimator_files import save_estimator
from mlchassis.training.estimators import (
    Examples,
    fit_candidate,
    fit_linear,
    fit_prior,
    predict_scores,
)
from mlchassis.training.leakage import rank_single_features


def run(paths: Workspace, params: Params) -> str:
    """Fits every model on the train window; the valid window stops, and measures the fits."""
    contract = load_contract(paths.contract)
    matrices: dict[str, FeatureMatrix] = {}
    examples: dict[str, Examples] = {}
    for name in ("train", "valid"):
        rows = read_table(paths.splits / f"{name}.parquet")
        matrices[name] = window_matrix(rows, contract, paths.features)
        examples[name] = make_examples(matrices[name], rows, contract)
    alone = rank_single_features(
        matrices["train"],
        examples["train"].target,
        matrices["valid"],
        examples["valid"].target,
        len(contract.classes),
    )
    check_leakage(alone, contract, params.train.max_single_feature_auc)
    own = paths.project.estimators
    models = fit_models(examples["train"], examples["valid"], contract, params, own)
    paths.models.mkdir(parents=True, exist_ok=True)
    estimators = {name: save_estimator(model, paths.models, name) for name, model in models.items()}
    custom = paths.project.metrics
    metrics = {
        name: measure(model, examples["valid"], contract, custom) for name, model in models.items()
    }
    report = {"single_feature_auc": alone, "valid": metrics, "estimators": estimators}
    write_report(paths.reports / "training.json", report)
    loss = next(iter(metrics_for(contract.task)))
    shown = {name: format_number(found[loss]) for name, found in metrics.items()}
    return ", ".join(f"{name} has {loss} {value}" for name, value in shown.items())


def fit_models(
    train: Examples,
    valid: Examples,
    contract: Contract,
    params: Params,
    custom: Sequence[Estimator] = (),
) -> dict[str, Any]:
    """The baselines `prior` and `linear`, and the `candidate`."""
    task, section = contract.task, params.train
    with ThreadPoolExecutor(max_workers=1) as beside:  # Neither needs the interpreter for long.
        linear = beside.submit(
            fit_linear, train, task, section.linear, section.min_category_count, params.seed
        )
        # The linear candidate on the plain scale is the baseline itself.
        same = section.candidate.kind == "linear" and section.candidate.target_scale == "plain"
        candidate = (
            linear.result()
            if same
            else fit_candidate(train, valid, task, section, params.seed, custom)
        )
    return {"prior": fit_prior(train, task), "linear": linear.result(), "candidate": candidate}


def check_leakage(alone: dict[str, float], contract: Contract, limit: float) -> None:
    """Stops when one feature alone tells the answer.

    Raises:
        ProjectError: The most telling feature is above the limit.
    """
    name, auc = next(iter(alone.items()))
    if auc > limit:
        raise ProjectError(
            f"The feature '{name}' alone tells '{contract.target.name}' with a ROC AUC of "
            f"{auc:.2f}, above train.max_single_feature_auc ({limit:.2f}): it is most likely known "
            "only after the event; tag its column 'leakage' in contract.yaml, or raise the limit "
            "if it really is known in time."
        )


def measure(
    model: Any, valid: Examples, contract: Contract, custom: Sequence[CustomMetric] = ()
) -> dict[str, float]:
    """A model's metrics on a window."""
    scores = predict_scores(model, valid.features)
    return {
        name: metric.prepare(valid.target, scores)(np.ones_like(valid.target))
        for name, metric in metrics_for(contract.task, custom=custom).items()
    }
