"""The candidate: the estimator that `train.candidate` names, built-in or of the project."""

from collections.abc import Sequence

from mlchassis.config.params import TrainParams
from mlchassis.extensions.estimators import Dataset, Estimator
from mlchassis.training.estimators.lightgbm import LightgbmEstimator
from mlchassis.training.estimators.linear import LinearEstimator
from mlchassis.training.log_target import fit_log_target
from mlchassis.training.trained_model import TrainedModel, fit_model


def choose_estimator(params: TrainParams, own: Sequence[Estimator] = ()) -> Estimator:
    """Return the estimator that `train.candidate.kind` names.

    Args:
        params: Parameters of training.
        own: Estimators of the project.
    """
    estimators: list[Estimator] = [
        LightgbmEstimator(params.min_category_count),
        LinearEstimator(params.min_category_count),
        *own,
    ]
    return next(one for one in estimators if one.name == params.candidate.kind)


def fit_candidate(
    train: Dataset,
    validation: Dataset,
    params: TrainParams,
    seed: int,
    own: Sequence[Estimator] = (),
) -> TrainedModel:
    """Fit the model that may be served, perhaps on a logarithmic scale of its target.

    Raises:
        TrainingError: The fit must not be used, or the target has no logarithm.
    """
    estimator = choose_estimator(params, own)
    section = getattr(params, estimator.name)
    fit = fit_log_target if params.candidate.target_scale == "log" else fit_model
    return fit(estimator, train, validation, section, seed)
