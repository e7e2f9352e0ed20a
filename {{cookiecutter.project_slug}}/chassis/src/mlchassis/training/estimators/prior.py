"""The baseline `prior`: what was common in training, for every row."""

from sklearn.dummy import DummyClassifier, DummyRegressor

from mlchassis.config.estimator_params import PriorParams
from mlchassis.extensions.estimators import Dataset
from mlchassis.training.estimators.base import FittedPipeline, feature_frame, wrap_pipeline


class PriorEstimator:
    """Proportions of the classes, or the mean of the numbers: any model must be better."""

    name = "prior"
    Params = PriorParams

    def fit(
        self,
        train: Dataset,
        validation: Dataset,  # noqa: ARG002 - of the protocol
        params: PriorParams,  # noqa: ARG002 - of the protocol
        seed: int,  # noqa: ARG002 - of the protocol
    ) -> FittedPipeline:
        """Learn the proportions or the mean of the training rows."""
        regression = train.task == "regression"
        model = DummyRegressor() if regression else DummyClassifier(strategy="prior")
        return wrap_pipeline(model.fit(feature_frame(train.features), train.target), train)
