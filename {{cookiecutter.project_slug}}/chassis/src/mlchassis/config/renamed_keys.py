"""Keys of `params.yaml` that have another name now, for the error that an old one causes."""

from collections.abc import Mapping

RENAMED_KEYS: Mapping[str, str] = {
    "ingest.until": "ingest.as_of",
    "validate.max_doubled": "validate.max_duplicates",
    "validate.max_step": "validate.max_shift",
    "validate.known_steps": "validate.accepted_shifts",
    "split.valid_days": "split.validation_days",
    "split.valid_share": "split.validation_proportion",
    "split.validation_share": "split.validation_proportion",
    "split.test_share": "split.test_proportion",
    "train.trees.feature_share": "train.trees.feature_proportion",
    "train.linear.inverse_regularisation": "train.linear.inverse_regularization",
    "train.candidate.categories": "train.trees.categories",
    "train.candidate.learning_rate": "train.trees.learning_rate",
    "train.candidate.max_trees": "train.trees.max_trees",
    "train.candidate.patience": "train.trees.patience",
    "train.candidate.leaves": "train.trees.leaves",
    "train.candidate.min_rows_per_leaf": "train.trees.min_rows_per_leaf",
    "train.candidate.feature_share": "train.trees.feature_proportion",
    "train.candidate.threads": "train.trees.threads",
    "judge.max_group_gap": "judge.max_disparity",
    "judge.max_flips": "judge.max_counterfactual_flip_rate",
    "judge.max_surprise": "judge.max_contamination",
    "judge.max_age_days": "judge.max_staleness_days",
    "judge.max_microseconds": "judge.max_latency_us",
}
"""Old dotted names and the names that replaced them."""
