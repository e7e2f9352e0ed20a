"""A window of rows as a model sees it: features and encoded target."""

import pandas as pd

from mlchassis.contract.model import Contract
from mlchassis.evaluation.metrics import encode_target
from mlchassis.features.code import FeatureCode
from mlchassis.features.encoding import FeatureMatrix, columns_from_frame
from mlchassis.training.estimators import Examples, feature_frame


def window_matrix(rows: pd.DataFrame, contract: Contract, features: FeatureCode) -> FeatureMatrix:
    """The features of some rows."""
    return features.arrange(columns_from_frame(contract, rows))


def make_examples(matrix: FeatureMatrix, rows: pd.DataFrame, contract: Contract) -> Examples:
    """Features with the encoded target of the same rows, for an estimator."""
    target = encode_target(rows[contract.target.name].to_numpy(), contract.classes)
    return Examples(feature_frame(matrix), target, matrix.categorical.shape[1])


def window_examples(rows: pd.DataFrame, contract: Contract, features: FeatureCode) -> Examples:
    """Features and target of some rows, for an estimator."""
    return make_examples(window_matrix(rows, contract, features), rows, contract)
