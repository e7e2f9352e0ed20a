"""The check of single features that `train` makes, made before anything is written."""

import pandas as pd

from ..columns import FeatureMatrix, arrange_features, columns_from_frame
from ..contract import Contract
from ..errors import ProjectError
from ..modelling.leakage import rank_single_features
from ..modelling.metrics import Floats, encode_target
from ..pipeline.split import split_rows
from ..tables import conform
from .split_choice import SplitChoice

_MOST_ROWS = 100_000
"""Rows of each part that are looked at; more tell nothing new."""


def check_features(
    rows: pd.DataFrame, contract: Contract, split: SplitChoice, limit: float
) -> None:
    """Refuse a feature that alone tells the outcome of the validation data.

    Args:
        rows: Those with an outcome.
        contract: What they are.
        split: How they are split.
        limit: Largest ROC AUC of a single feature.

    Raises:
        ProjectError: A feature is above the limit.
    """
    if limit >= 1.0:
        return
    parts = split_rows(rows, contract, split.params, split.seed)
    seen, answer = _arrange(parts["train"], contract)
    offered, truth = _arrange(parts["valid"], contract)
    ranked = rank_single_features(seen, answer, offered, truth, len(contract.classes))
    name, auc = next(iter(ranked.items()))
    if auc > limit:
        raise ProjectError(
            f"'{name}' alone tells '{contract.target.name}' with a ROC AUC of {auc:.2f} on the "
            f"validation data; run again with --leakage '{name}' if it is known only after the "
            f"event, or with --feature '{name}' if it is known in time."
        )


def _arrange(rows: pd.DataFrame, contract: Contract) -> tuple[FeatureMatrix, Floats]:
    rows = conform(rows.sample(min(len(rows), _MOST_ROWS), random_state=0), contract)
    target = encode_target(rows[contract.target.name].to_numpy(), contract.classes)
    return arrange_features(columns_from_frame(contract, rows)), target
