"""Check of single features, as in `train`, before anything is written."""

import pandas as pd

from mlchassis.adoption.split_choice import SplitChoice
from mlchassis.contract.model import Contract
from mlchassis.data.splitting import split_rows
from mlchassis.data.tables import coerce
from mlchassis.errors import ProjectError
from mlchassis.evaluation.metrics import Floats, encode_target
from mlchassis.features.encoding import FeatureMatrix, arrange_features, columns_from_frame
from mlchassis.training.leakage import rank_single_features

_MAX_ROWS = 100_000
"""Rows of each split that are examined; more show nothing new."""


class LeakyFeatureError(ProjectError):
    """A feature that alone predicts the target.

    Attributes:
        name: Of the feature.
        auc: Its ROC AUC on the validation data.
    """

    def __init__(self, name: str, auc: float, target: str) -> None:
        super().__init__(
            f"'{name}' alone predicts '{target}' with a ROC AUC of {auc:.2f} on the validation "
            f"split; run again with --leakage '{name}' if it is known only after the event, or "
            f"with --feature '{name}' if it is known in time."
        )
        self.name = name
        self.auc = auc


def check_features(
    rows: pd.DataFrame, contract: Contract, split: SplitChoice, limit: float
) -> None:
    """Reject a feature that alone predicts the target of the validation split.

    Args:
        rows: Those with an outcome.
        contract: Contract of the rows.
        split: Split of the rows.
        limit: Largest ROC AUC of a single feature.

    Raises:
        LeakyFeatureError: A feature is above the limit.
    """
    if limit >= 1.0:
        return
    parts = split_rows(rows, contract, split.params, split.seed)
    features, outcome = _arrange(parts["train"], contract)
    validation_features, validation_outcome = _arrange(parts["validation"], contract)
    ranked = rank_single_features(
        features, outcome, validation_features, validation_outcome, len(contract.classes)
    )
    name, auc = next(iter(ranked.items()))
    if auc > limit:
        raise LeakyFeatureError(name, auc, contract.target.name)


def _arrange(rows: pd.DataFrame, contract: Contract) -> tuple[FeatureMatrix, Floats]:
    rows = coerce(rows.sample(min(len(rows), _MAX_ROWS), random_state=0), contract)
    target = encode_target(rows[contract.target.name].to_numpy(), contract.classes)
    return arrange_features(columns_from_frame(contract, rows)), target
