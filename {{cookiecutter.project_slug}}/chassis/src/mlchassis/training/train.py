"""Stage `train`: baselines and candidate, and the check that no feature knows the answer."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from mlchassis.config.estimator_params import PriorParams
from mlchassis.config.params import Params, TrainParams
from mlchassis.contract.model import Contract, load_contract
from mlchassis.data.datasets import make_dataset
from mlchassis.data.tables import read_table
from mlchassis.errors import ProjectError
from mlchassis.evaluation.metrics import metrics_for
from mlchassis.extensions.estimators import Dataset, Estimator, FittedEstimator
from mlchassis.extensions.metrics import CustomMetric
from mlchassis.formatting import format_number, refine
from mlchassis.project import Workspace
from mlchassis.training.estimator_files import save_estimator
from mlchassis.training.estimators.candidate import fit_candidate
from mlchassis.training.estimators.linear import LinearEstimator
from mlchassis.training.estimators.prior import PriorEstimator
from mlchassis.training.leakage import rank_single_features
from mlchassis.training.results import TrainingReport, ValidationMetrics
from mlchassis.training.trained_model import TrainedModel, fit_model


def run(paths: Workspace, params: Params) -> str:
    """Fit every model to the training split; the validation split stops and measures the fits."""
    contract = load_contract(paths.contract)
    train, validation = (_read_dataset(paths, contract, name) for name in ("train", "validation"))
    auc = rank_single_features(
        train.features, train.target, validation.features, validation.target, train.classes
    )
    check_leakage(auc, contract, params.train.max_single_feature_auc)
    own = paths.project
    models = fit_models(train, validation, params.train, params.seed, own.estimators)
    paths.models.mkdir(parents=True, exist_ok=True)
    files = {name: save_estimator(model, paths.models, name) for name, model in models.items()}
    metrics = {
        name: measure(model, validation, contract, own.metrics) for name, model in models.items()
    }
    report = TrainingReport(
        single_feature_auc=auc, validation=ValidationMetrics(**metrics), estimators=files
    )
    report.write(paths.reports)
    loss = next(iter(metrics_for(contract.task)))
    return ", ".join(
        f"{name} has {loss} {format_number(measured[loss])}" for name, measured in metrics.items()
    )


def _read_dataset(paths: Workspace, contract: Contract, name: str) -> Dataset:
    """Read a split as features and target."""
    rows = read_table(paths.splits / f"{name}.parquet")
    return make_dataset(rows, contract, paths.features)


def fit_models(
    train: Dataset,
    validation: Dataset,
    params: TrainParams,
    seed: int,
    own: Sequence[Estimator] = (),
) -> dict[str, TrainedModel]:
    """Fit the baselines `prior` and `linear`, and the `candidate`."""
    prior = fit_model(PriorEstimator(), train, validation, PriorParams(), seed)
    with ThreadPoolExecutor(max_workers=1) as beside:  # Neither needs the interpreter for long.
        linear = beside.submit(
            fit_model,
            LinearEstimator(params.min_category_count),
            train,
            validation,
            params.linear,
            seed,
        )
        # The linear candidate on the plain scale is the baseline itself.
        candidate = (
            linear.result()
            if (params.candidate.kind, params.candidate.target_scale) == ("linear", "plain")
            else fit_candidate(train, validation, params, seed, own)
        )
    return {"prior": prior, "linear": linear.result(), "candidate": candidate}


def check_leakage(auc_by_feature: dict[str, float], contract: Contract, limit: float) -> None:
    """Stop when one feature alone predicts the target.

    Raises:
        ProjectError: The most predictive feature is above the limit.
    """
    name, auc = next(iter(auc_by_feature.items()))
    if auc > limit:
        digits = refine(".2f", auc, limit)
        raise ProjectError(
            f"The feature '{name}' alone predicts '{contract.target.name}' with a ROC AUC of "
            f"{auc:{digits}}, above train.max_single_feature_auc ({limit:{digits}}): it is most "
            "likely known only after the event; tag its column 'leakage' in contract.yaml, or "
            "raise the limit if it really is known in time."
        )


def measure(
    model: FittedEstimator,
    validation: Dataset,
    contract: Contract,
    custom: Sequence[CustomMetric] = (),
) -> dict[str, float]:
    """Return a model's metrics on a split."""
    scores = model.predict(validation.features)
    return {
        name: metric.prepare(validation.target, scores)(np.ones_like(validation.target))
        for name, metric in metrics_for(contract.task, custom=custom).items()
    }
