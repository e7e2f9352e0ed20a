"""Rows as a model sees them: features and encoded target."""

import pandas as pd

from mlchassis.contract.model import Contract
from mlchassis.evaluation.metrics import encode_target
from mlchassis.extensions.estimators import Dataset
from mlchassis.features.code import FeatureCode
from mlchassis.features.encoding import FeatureMatrix, columns_from_frame


def compute_matrix(rows: pd.DataFrame, contract: Contract, features: FeatureCode) -> FeatureMatrix:
    """Return the features of some rows."""
    return features.arrange(columns_from_frame(contract, rows))


def join_target(matrix: FeatureMatrix, rows: pd.DataFrame, contract: Contract) -> Dataset:
    """Return features with the encoded target of the same rows."""
    target = encode_target(rows[contract.target.name].to_numpy(), contract.classes)
    return Dataset(matrix, target, contract.task, len(contract.classes))


def make_dataset(rows: pd.DataFrame, contract: Contract, features: FeatureCode) -> Dataset:
    """Return features and encoded target of some rows."""
    return join_target(compute_matrix(rows, contract, features), rows, contract)
