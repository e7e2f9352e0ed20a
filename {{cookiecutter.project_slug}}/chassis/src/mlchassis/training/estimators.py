"""Baselines and the candidate behind one interface: scikit-learn's.

Every estimator takes a frame of numeric features followed by categorical ones (`feature_frame`) and
gives `predict_proba` or `predict`; `predict_scores` hides which.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from mlchassis.config.params import CandidateParams, LinearParams, TrainParams
from mlchassis.contract.model import Task
from mlchassis.errors import ProjectError
from mlchassis.evaluation.metrics import Floats
from mlchassis.extensions.estimators import Estimator, FittedEstimator
from mlchassis.extensions.signatures import call_project, describe_place
from mlchassis.features.encoding import FeatureMatrix
from mlchassis.training.category_encoding import CategoryEncoder, MeanEncoder
from mlchassis.training.custom_model import CustomModel, make_dataset
from mlchassis.training.log_target import LogTargetRegressor, choose_offset

MANY_CATEGORIES = 15
"""Of more, `train.candidate.categories: means` takes the means."""
_MOST_NEWTON_WEIGHTS = 1000


class TrainingError(ProjectError):
    """A fit that must not be used."""


@dataclass(frozen=True, slots=True)
class Examples:
    """Features with their answers: a frame as `feature_frame` gives it, and the encoded target."""

    features: pd.DataFrame
    target: Floats
    categorical: int


def feature_frame(matrix: FeatureMatrix) -> pd.DataFrame:
    """Both matrices side by side: float32 columns, then columns of strings."""
    numeric = pd.DataFrame(matrix.numeric, columns=list(matrix.numeric_names))
    categorical = pd.DataFrame(
        matrix.categorical, columns=list(matrix.categorical_names), dtype=object
    )
    return pd.concat([numeric, categorical], axis=1)


def predict_scores(estimator: Any, features: pd.DataFrame) -> Floats:
    """Class probabilities, or numbers as one column: shape (rows, classes or 1)."""
    if isinstance(estimator, CustomModel):
        return estimator.score(features)
    if hasattr(estimator, "predict_proba"):
        return np.asarray(estimator.predict_proba(features), dtype=np.float64)
    return np.asarray(estimator.predict(features), dtype=np.float64).reshape(-1, 1)


def fit_prior(train: Examples, task: Task) -> BaseEstimator:
    """Answers every row with what was common in training: what any model must beat."""
    model = DummyRegressor() if task == "regression" else DummyClassifier(strategy="prior")
    return model.fit(train.features, train.target)


def fit_linear(
    train: Examples, task: Task, params: LinearParams, min_category_count: int, seed: int
) -> Pipeline:
    """Logistic or ridge regression on scaled numbers and one-hot categories.

    Raises:
        TrainingError: The fit did not converge.
    """
    scale = make_pipeline(
        SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler()
    )
    # Codes first: so rare and unseen categories share one column, as they share one code.
    encoders = [
        make_pipeline(CategoryEncoder(min_category_count), OneHotEncoder(handle_unknown="ignore"))
        for _ in range(train.categorical)
    ]
    prepare = _prepare(train, scale, encoders)
    inputs = prepare.fit_transform(train.features)
    if task == "regression":
        model: Any = Ridge(alpha=1 / params.inverse_regularisation, random_state=seed)
    else:
        model = LogisticRegression(
            C=params.inverse_regularisation,
            solver=_choose_solver(inputs.shape[1], train.target),
            max_iter=params.max_iterations,
            random_state=seed,
        )
    model.fit(inputs, train.target)
    if task != "regression" and model.n_iter_.max() >= params.max_iterations:
        raise TrainingError(
            f"The linear baseline did not converge in {params.max_iterations} steps; raise "
            "train.linear.max_iterations in params.yaml."
        )
    return Pipeline([("prepare", prepare), ("model", model)])


def _choose_solver(width: int, target: Floats) -> str:
    """Newton's method needs a handful of steps, and room that grows with the weights' square."""
    classes = len(np.unique(target))
    weights = width * (classes if classes > 2 else 1)
    return "newton-cholesky" if weights <= _MOST_NEWTON_WEIGHTS else "lbfgs"


def fit_candidate(
    train: Examples,
    valid: Examples,
    task: Task,
    params: TrainParams,
    seed: int,
    custom: Sequence[Estimator] = (),
) -> Any:
    """The model that may be served: trees or the linear model, perhaps on a logarithmic scale.

    Raises:
        TrainingError: The fit must not be used, or the target has no logarithm.
    """
    for estimator in custom:
        if estimator.name == params.candidate.kind:
            return fit_custom(estimator, train, valid, task, params, seed)
    if params.candidate.target_scale == "plain":
        return _fit_kind(train, valid, task, params, seed)
    if task != "regression":
        raise TrainingError(
            "train.candidate.target_scale is 'log', which classes do not have; set it to 'plain' "
            "in params.yaml."
        )
    try:
        offset = choose_offset(train.target)
    except ValueError as error:
        raise TrainingError(
            f"train.candidate.target_scale is 'log', but {error}; set it to 'plain' in params.yaml."
        ) from None
    # A validation window may hold smaller targets than training does, zero among them.
    least = train.target.min() + offset
    logarithms = [np.log(np.maximum(part.target + offset, least)) for part in (train, valid)]
    # Around zero, where the graph's sums of single precision are finest; the factor of the answers
    # takes the center back.
    center = logarithms[0].mean()
    scaled_train, scaled_valid = (
        replace(part, target=logarithm - center)
        for part, logarithm in zip((train, valid), logarithms, strict=True)
    )
    model = _fit_kind(scaled_train, scaled_valid, task, params, seed)
    return LogTargetRegressor(model, offset).smear(train.features, train.target)


def fit_custom(
    estimator: Estimator,
    train: Examples,
    valid: Examples,
    task: Task,
    params: TrainParams,
    seed: int,
) -> CustomModel:
    """Fit an estimator of the project with its section of params.yaml.

    Raises:
        TrainingError: The target is to be scaled, or the estimator returned something else.
        ProjectError: The estimator failed.
    """
    if params.candidate.target_scale != "plain":
        raise TrainingError(
            f"train.candidate.target_scale is '{params.candidate.target_scale}', which the "
            f"estimator '{estimator.name}' does not have; set it to 'plain' in params.yaml, and "
            "scale the target within the estimator."
        )
    sets = [make_dataset(part.features, part.target, task) for part in (train, valid)]
    section = getattr(params, estimator.name)
    fitted = call_project(estimator.fit, *sets, section, seed, use="training")
    if not isinstance(fitted, FittedEstimator):
        raise TrainingError(
            f"{describe_place(estimator)}: fit returned {type(fitted).__name__}; return an object "
            "with `predict(features)` and `to_onnx(opset)`."
        )
    return CustomModel(fitted, width=max(1, sets[0].classes))


def _fit_kind(
    train: Examples, valid: Examples, task: Task, params: TrainParams, seed: int
) -> Pipeline:
    if params.candidate.kind == "linear":
        return fit_linear(train, task, params.linear, params.min_category_count, seed)
    return fit_trees(train, valid, task, params.candidate, params.min_category_count, seed)


def fit_trees(
    train: Examples,
    valid: Examples,
    task: Task,
    params: CandidateParams,
    min_category_count: int,
    seed: int,
) -> Pipeline:
    """Gradient-boosted trees, stopped by the validation window.

    Raises:
        TrainingError: Training was still gaining when it ran out of trees, or never gained.
    """
    lightgbm = _import_lightgbm()
    encoders = _choose_encoders(train, task, params, min_category_count, seed)
    prepare = _prepare(train, "passthrough", encoders)
    kind = lightgbm.LGBMRegressor if task == "regression" else lightgbm.LGBMClassifier
    model = kind(
        n_estimators=params.max_trees,
        learning_rate=params.learning_rate,
        num_leaves=params.leaves,
        min_child_samples=params.min_rows_per_leaf,
        colsample_bytree=params.feature_share,
        random_state=seed,
        n_jobs=params.threads,
        deterministic=True,
        force_row_wise=True,
        verbose=-1,
    )
    inputs = prepare.fit_transform(train.features, train.target)
    model.fit(
        inputs,
        train.target,
        eval_X=prepare.transform(valid.features),
        eval_y=valid.target,
        categorical_feature=_native_positions(prepare),
        callbacks=[lightgbm.early_stopping(params.patience, verbose=False)],
    )
    _check_stopping(model.best_iteration_, params)
    return Pipeline([("prepare", prepare), ("model", model)])


def _choose_encoders(
    train: Examples, task: Task, params: CandidateParams, min_category_count: int, seed: int
) -> list[Any]:
    """An encoder for each categorical column: means for those of many categories, if asked for."""
    columns = [train.features.iloc[:, position] for position in _positions(train)[1]]
    return [
        MeanEncoder(task, seed)
        if params.categories == "means" and column.nunique() > MANY_CATEGORIES
        else CategoryEncoder(min_category_count)
        for column in columns
    ]


def _native_positions(prepare: ColumnTransformer) -> list[int]:
    """Positions of the categorical inputs that the trees read as codes."""
    places = prepare.output_indices_
    return [
        places[name].start
        for name, encoder, _ in prepare.transformers_
        if isinstance(encoder, CategoryEncoder)
    ]


def _check_stopping(best: int, params: CandidateParams) -> None:
    if best + params.patience > params.max_trees:
        raise TrainingError(
            f"The candidate was still gaining after {params.max_trees} trees; raise "
            "train.candidate.max_trees or learning_rate in params.yaml."
        )


def _prepare(examples: Examples, for_numbers: Any, encoders: Sequence[Any]) -> ColumnTransformer:
    """Numbers together, then categories column by column.

    skl2onnx cannot convert a transformer without columns.
    """
    numbers, words = _positions(examples)
    parts = [("numeric", for_numbers, numbers)] if numbers else []
    parts += [
        (f"categorical_{position}", encoder, [position])
        for position, encoder in zip(words, encoders, strict=True)
    ]
    return ColumnTransformer(parts)


def _positions(examples: Examples) -> tuple[list[int], list[int]]:
    width = examples.features.shape[1]
    first = width - examples.categorical
    return list(range(first)), list(range(first, width))


def _import_lightgbm() -> Any:
    try:
        import lightgbm
    except OSError as error:
        raise TrainingError(
            f"LightGBM cannot start ({error}); install the OpenMP runtime: `apt-get install "
            "libgomp1` on Debian and Ubuntu, `dnf install libgomp` on Fedora, `brew install "
            "libomp` on macOS."
        ) from None
    return lightgbm
