"""Shared by all studies: fit the candidate and compute the judged metric."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mlchassis.config.params import CandidateParams, Params
from mlchassis.contract.model import Contract
from mlchassis.data.datasets import window_examples
from mlchassis.errors import ProjectError
from mlchassis.evaluation.metrics import Floats, Metric, metrics_for
from mlchassis.extensions.estimators import Estimator
from mlchassis.extensions.metrics import CustomMetric
from mlchassis.features.code import FeatureCode
from mlchassis.training.estimators import Examples, fit_candidate, predict_scores


class NothingToStudyError(ProjectError):
    """The project has not what a study asks about; the other studies can be made."""


@dataclass(frozen=True, slots=True)
class Task:
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

    def examples(self, rows: pd.DataFrame) -> Examples:
        """Features and target of labelled rows."""
        return window_examples(rows, self.contract, self.features)

    def fit(
        self,
        train: Examples,
        valid: Examples,
        settings: CandidateParams | None = None,
        seed: int | None = None,
    ) -> Any:
        """A candidate with the project's settings, or others."""
        section = self.params.train
        if settings is not None:
            section = section.model_copy(update={"candidate": settings})
        drawn = self.params.seed if seed is None else seed
        return fit_candidate(train, valid, self.contract.task, section, drawn, self.estimators)

    def measure(self, model: Any, examples: Examples) -> float:
        """The metric of a model on some rows."""
        scores: Floats = predict_scores(model, examples.features)
        return self.metric.prepare(examples.target, scores)(np.ones_like(examples.target))
