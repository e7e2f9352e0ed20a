"""The linear model: a baseline, and a candidate where it is as good as trees."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from mlchassis.config.estimator_params import LinearParams
from mlchassis.contract.model import Task
from mlchassis.evaluation.metrics import Floats
from mlchassis.extensions.estimators import Dataset
from mlchassis.training.category_encoding import CategoryEncoder
from mlchassis.training.estimators.base import (
    FittedPipeline,
    feature_frame,
    prepare_columns,
    wrap_pipeline,
)
from mlchassis.training.trained_model import TrainingError

_MAX_NEWTON_WEIGHTS = 1000


@dataclass(frozen=True, slots=True)
class LinearEstimator:
    """Logistic or ridge regression on scaled numbers and one-hot categories.

    Attributes:
        min_category_count: Rows; rarer categories are treated as one.
    """

    min_category_count: int
    name = "linear"
    Params = LinearParams

    def fit(
        self,
        train: Dataset,
        validation: Dataset,  # noqa: ARG002 - of the protocol
        params: LinearParams,
        seed: int,
    ) -> FittedPipeline:
        """Fit the model to `train`.

        Raises:
            TrainingError: The fit did not converge.
        """
        scale = make_pipeline(
            SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler()
        )
        encoders = [self._make_encoder() for _ in train.features.categorical_names]
        prepare = prepare_columns(train.features, scale, encoders)
        inputs = prepare.fit_transform(feature_frame(train.features))
        model = _make_model(train.task, params, _choose_solver(inputs.shape[1], train.target), seed)
        model.fit(inputs, train.target)
        _check_convergence(model, params)
        return wrap_pipeline(Pipeline([("prepare", prepare), ("model", model)]), train)

    def _make_encoder(self) -> Pipeline:
        # Codes first: rare and unseen categories share one code, and so one column.
        codes = CategoryEncoder(self.min_category_count)
        return make_pipeline(codes, OneHotEncoder(handle_unknown="ignore"))


def _make_model(task: Task, params: LinearParams, solver: str, seed: int) -> Any:
    if task == "regression":
        return Ridge(alpha=1 / params.inverse_regularization, random_state=seed)
    return LogisticRegression(
        C=params.inverse_regularization,
        solver=solver,
        max_iter=params.max_iterations,
        random_state=seed,
    )


def _check_convergence(model: Any, params: LinearParams) -> None:
    if isinstance(model, LogisticRegression) and model.n_iter_.max() >= params.max_iterations:
        raise TrainingError(
            f"The linear baseline did not converge in {params.max_iterations} steps; raise "
            "train.linear.max_iterations in params.yaml."
        )


def _choose_solver(width: int, target: Floats) -> str:
    """Newton's method needs a handful of steps, and room that grows with the weights' square."""
    classes = len(np.unique(target))
    weights = width * (classes if classes > 2 else 1)
    return "newton-cholesky" if weights <= _MAX_NEWTON_WEIGHTS else "lbfgs"
