"""Gradient-boosted trees by LightGBM."""

from dataclasses import dataclass
from typing import Any

from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline

from mlchassis.config.estimator_params import TreesParams
from mlchassis.contract.model import Task
from mlchassis.extensions.estimators import Dataset
from mlchassis.training.category_encoding import CategoryEncoder, MeanEncoder
from mlchassis.training.estimators.base import (
    FittedPipeline,
    feature_frame,
    prepare_columns,
    wrap_pipeline,
)
from mlchassis.training.trained_model import TrainingError

MANY_CATEGORIES = 15
"""Columns with more categories are encoded by means under `train.trees.categories: means`."""


@dataclass(frozen=True, slots=True)
class LightgbmEstimator:
    """Gradient-boosted trees, stopped by the validation split.

    Attributes:
        min_category_count: Rows; rarer categories are treated as one.
    """

    min_category_count: int
    name = "trees"
    Params = TreesParams

    def fit(
        self, train: Dataset, validation: Dataset, params: TreesParams, seed: int
    ) -> FittedPipeline:
        """Fit trees to `train` until the loss on `validation` stops falling.

        Raises:
            TrainingError: Training was still gaining when it ran out of trees.
        """
        encoders = self._choose_encoders(train, params, seed)
        prepare = prepare_columns(train.features, "passthrough", encoders)
        model = _make_model(train.task, params, seed)
        inputs = prepare.fit_transform(feature_frame(train.features), train.target)
        model.fit(
            inputs,
            train.target,
            eval_X=prepare.transform(feature_frame(validation.features)),
            eval_y=validation.target,
            categorical_feature=_native_positions(prepare),
            callbacks=[_import_lightgbm().early_stopping(params.patience, verbose=False)],
        )
        _check_stopping(model.best_iteration_, params)
        return wrap_pipeline(Pipeline([("prepare", prepare), ("model", model)]), train)

    def _choose_encoders(self, train: Dataset, params: TreesParams, seed: int) -> list[Any]:
        """Choose an encoder for each categorical column."""
        frame = feature_frame(train.features)
        return [
            MeanEncoder(train.task, seed)
            if params.categories == "means" and frame[name].nunique() > MANY_CATEGORIES
            else CategoryEncoder(self.min_category_count)
            for name in train.features.categorical_names
        ]


def _make_model(task: Task, params: TreesParams, seed: int) -> Any:
    lightgbm = _import_lightgbm()
    kind = lightgbm.LGBMRegressor if task == "regression" else lightgbm.LGBMClassifier
    return kind(
        n_estimators=params.max_trees,
        learning_rate=params.learning_rate,
        num_leaves=params.leaves,
        min_child_samples=params.min_rows_per_leaf,
        colsample_bytree=params.feature_proportion,
        random_state=seed,
        n_jobs=params.threads,
        deterministic=True,
        force_row_wise=True,
        verbose=-1,
    )


def _native_positions(prepare: ColumnTransformer) -> list[int]:
    """Return the positions of the categorical inputs that the trees read as codes."""
    places = prepare.output_indices_
    return [
        places[name].start
        for name, encoder, _ in prepare.transformers_
        if isinstance(encoder, CategoryEncoder)
    ]


def _check_stopping(best: int, params: TreesParams) -> None:
    if best + params.patience > params.max_trees:
        raise TrainingError(
            f"The candidate was still gaining after {params.max_trees} trees; raise "
            "train.trees.max_trees or learning_rate in params.yaml."
        )


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
