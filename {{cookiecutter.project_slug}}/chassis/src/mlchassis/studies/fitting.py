"""Fit the candidate and compute the judged metric, for all studies."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mlchassis.config.params import Params
from mlchassis.config.section import ParamsSection
from mlchassis.contract.model import Contract
from mlchassis.data.datasets import make_dataset
from mlchassis.errors import ProjectError
from mlchassis.evaluation.metrics import Metric, metrics_for
from mlchassis.extensions.estimators import Dataset, Estimator, FittedEstimator
from mlchassis.extensions.metrics import CustomMetric
from mlchassis.features.code import FeatureCode
from mlchassis.training.estimators.candidate import fit_candidate


class NothingToStudyError(ProjectError):
    """The project lacks what a study needs; the other studies can be made."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A project's problem, as a study sees it."""

    contract: Contract
    params: Params
    features: FeatureCode
    metrics: Sequence[CustomMetric] = ()
    estimators: Sequence[Estimator] = ()

    @property
    def metric(self) -> Metric:
        """The metric of `judge.metric`."""
        bins = self.params.evaluate.calibration_bins
        return metrics_for(self.contract.task, bins, self.metrics)[self.params.judge.metric]

    @property
    def settings(self) -> ParamsSection:
        """Parameters of the candidate's estimator: the section `train.NAME`."""
        section: ParamsSection = getattr(self.params.train, self.params.train.candidate.kind)
        return section

    def make_dataset(self, rows: pd.DataFrame) -> Dataset:
        """Return features and target of labeled rows."""
        return make_dataset(rows, self.contract, self.features)

    def fit(
        self,
        train: Dataset,
        validation: Dataset,
        settings: ParamsSection | None = None,
        seed: int | None = None,
    ) -> FittedEstimator:
        """Fit a candidate with the settings of params.yaml, or with others."""
        train_params = self.params.train
        if settings is not None:
            kind = train_params.candidate.kind
            train_params = train_params.model_copy(update={kind: settings})
        chosen_seed = self.params.seed if seed is None else seed
        return fit_candidate(train, validation, train_params, chosen_seed, self.estimators)

    def measure(self, model: FittedEstimator, dataset: Dataset) -> float:
        """Return the judged metric of a model on some rows."""
        scores = np.asarray(model.predict(dataset.features))
        return self.metric.prepare(dataset.target, scores)(np.ones_like(dataset.target))
