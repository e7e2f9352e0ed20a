"""Suggested parameters for a table, by its size and task, each with the reason."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from mlchassis.adoption.columns.plan import ColumnPlan
from mlchassis.adoption.columns.target import choose_leakage_auc
from mlchassis.adoption.split_choice import SplitChoice, choose_proportion
from mlchassis.config.params import Params
from mlchassis.contract.model import Contract
from mlchassis.contract.partitions import split_by_month
from mlchassis.data.shifts import find_shifts, find_target_shifts
from mlchassis.evaluation.evaluate import count_stale_days

MAX_SHIFT = 0.85
"""Between the shifts of seasons within a month and those of a changed unit."""
_RARE_CLASS = 0.05
_ORDINARY_STALENESS = 14
"""Days without an outcome that are ordinary."""
_BASE_MICROSECONDS = 5000
_FEATURE_MICROSECONDS = 40
"""Several times what a busy machine takes, so that the gate finds a slow model and no busy hour."""

Setting = tuple[Any, str]
"""A value, and the comment that gives its unit and reason."""


@dataclass(frozen=True, slots=True)
class SplitSizes:
    """Table sizes that the suggested parameters depend on.

    Attributes:
        rows: Rows with a label.
        proportion: Proportion of the rows that the validation and the test split get each.
    """

    rows: int
    proportion: float

    @property
    def held_out(self) -> int:
        """Rows of the test split, about."""
        return int(self.rows * self.proportion)


def measure_sizes(rows: int) -> SplitSizes:
    """Sizes of a table with this many labeled rows."""
    return SplitSizes(rows, choose_proportion(rows))


def choose_settings(
    table: pd.DataFrame, contract: Contract, plans: Sequence[ColumnPlan], split: SplitChoice
) -> dict[str, Setting]:
    """Every setting of `params.yaml` that depends on the table, by its dotted name.

    Args:
        table: All rows.
        contract: The drafted contract.
        plans: Plans of the columns.
        split: Split of the rows.
    """
    labeled = table[table[contract.target.name].notna()]
    sizes = measure_sizes(len(labeled))
    return {
        "ingest.as_of": (
            None,
            "last month (UTC) that has arrived; null takes all that the files hold",
        ),
        **_validate(table, contract),
        **_split(split, sizes),
        **_train(sizes, plans),
        "export.tolerance": (
            1.0e-5,
            "largest error of the graph against the model, absolute or relative",
        ),
        **size_judgement(sizes.held_out),
        **_choose_metric(labeled[contract.target.name], contract),
        **_limit_staleness(table, contract),
        **_limit_latency(contract),
    }


def keep_settings(
    drafted: Mapping[str, Setting], current: Params, required_limits: Mapping[str, float]
) -> dict[str, Setting]:
    """Of the settings for a table that was adopted before, those that it demands to change.

    Args:
        drafted: Settings for a new table.
        current: Settings in `params.yaml`.
        required_limits: Smallest value of each limit with which the table passes.
    """
    values = current.model_dump(by_alias=True)
    changed = {
        name: setting
        for name, setting in drafted.items()
        if name in required_limits and required_limits[name] > read_setting(values, name)
    }
    # The split that is there stays where it works.
    split = {name: drafted[name] for name in drafted if name == "seed" or name[:6] == "split."}
    if any(setting[0] != read_setting(values, name) for name, setting in split.items()):
        changed |= split
    months = dict(current.validate_.accepted_shifts)
    shifts, comment = drafted["validate.accepted_shifts"]
    new = {name: sorted({*months.get(name, ()), *shifts[name]}) for name in shifts}
    merged = {name: list(known) for name, known in months.items()} | new
    if merged != {name: list(known) for name, known in months.items()}:
        changed["validate.accepted_shifts"] = (merged, comment)
    return changed


def read_setting(values: Mapping[str, Any], name: str) -> Any:
    """The value of a setting by its dotted name."""
    value: Any = values
    for part in name.split("."):
        value = value[part]
    return value


def find_required_limits(
    table: pd.DataFrame, contract: Contract, plans: Sequence[ColumnPlan]
) -> dict[str, float]:
    """Smallest value of each limit with which the table passes validation."""
    single_feature_limit, _ = _limit_single_features(plans)
    tails = [c.facts.tail + 1 for c in plans if c.has("feature") and c.facts.tail]
    return {
        "validate.max_duplicates": measure_duplicates(table, contract),
        "train.max_single_feature_auc": 1.0 if single_feature_limit == 1.0 else 0.0,
        "train.min_category_count": max(tails, default=0),
        "judge.max_staleness_days": measure_staleness(table, contract),
        "judge.max_latency_us": 0.8 * _limit_latency(contract)["judge.max_latency_us"][0],
    }


def measure_duplicates(rows: pd.DataFrame, contract: Contract) -> float:
    """Proportion of the rows that repeat an earlier one; 0 where a key identifies rows."""
    return 0.0 if contract.key else float(rows.duplicated().mean())


def _validate(rows: pd.DataFrame, contract: Contract) -> dict[str, Setting]:
    """Limits of validation that accept the table's own duplicates and shifts."""
    duplicates = measure_duplicates(rows, contract)
    months = dict(split_by_month(rows, contract))
    accepted: dict[str, list[str]] = {}
    for shift in (
        *find_target_shifts(months, contract, MAX_SHIFT),
        *find_shifts(months, contract.features, MAX_SHIFT),
    ):
        accepted.setdefault(shift.column, []).append(shift.month)
    return {
        "validate.max_duplicates": (
            round(min(1.0, max(0.01, 1.5 * duplicates)), 3),
            f"proportion of rows that repeat an earlier one; the table has {duplicates:.1%}",
        ),
        "validate.max_shift": (
            MAX_SHIFT,
            "distance of half a month from the last half but one, 0 to 1",
        ),
        "validate.accepted_shifts": (
            accepted,
            "months, by column, whose shift the data had when they were adopted",
        ),
    }


def _split(split: SplitChoice, sizes: SplitSizes) -> dict[str, Setting]:
    params = split.params
    proportions = "proportion of rows or groups, for the strategies group and random"
    held_out = "" if params.strategy != "time" else "; they hold about {:.0%} of the rows"
    return {
        "seed": (split.seed, "any integer; every random draw of the pipeline follows from it"),
        "split.strategy": (params.strategy, f"time | group | random; {split.reason}"),
        "split.validation_proportion": (params.validation_proportion, proportions),
        "split.test_proportion": (params.test_proportion, proportions),
        "split.validation_days": (
            params.validation_days,
            f"days before the test split{held_out.format(params.validation_proportion)}",
        ),
        "split.test_days": (
            params.test_days,
            "days at the end that nothing in training sees"
            + held_out.format(params.test_proportion),
        ),
        "split.group": (params.group, "column whose rows stay together, for the strategy group"),
        "split.min_rows": explain_min_rows(params.min_rows, sizes.rows),
    }


def explain_min_rows(least: int, rows: int) -> Setting:
    """Setting for the least rows of a split, with the number of rows that it was chosen for."""
    return least, f"rows in each split; half of what {rows:,} rows should give"


def choose_max_staleness(staleness: int) -> int:
    """Limit of recency for a table whose newest outcome is so many days old."""
    return max(_ORDINARY_STALENESS, math.ceil(1.5 * staleness))


def choose_min_category_count(rows: int) -> int:
    """Rows below which a category is rare in a table of so many rows."""
    return min(100, max(2, rows // 500))


def _limit_staleness(table: pd.DataFrame, contract: Contract) -> dict[str, Setting]:
    staleness = measure_staleness(table, contract)
    limit = choose_max_staleness(staleness)
    reason = "days by which the newest labeled row may lie before the data that have arrived"
    return {
        "judge.max_staleness_days": (limit, f"{reason}; {staleness} days in the table as adopted")
    }


def measure_staleness(table: pd.DataFrame, contract: Contract) -> int:
    """Days by which the newest row with an outcome lies before the newest month of the table."""
    if contract.event_time is None:
        return 0
    times = table[contract.event_time.name]
    newest = times[table[contract.target.name].notna()].max()
    staleness = count_stale_days(newest.isoformat(), None, f"{times.max():%Y-%m}")
    return staleness or 0


def _limit_latency(contract: Contract) -> dict[str, Setting]:
    features = len(contract.features)
    return {
        "judge.max_latency_us": (
            _BASE_MICROSECONDS + _FEATURE_MICROSECONDS * features,
            f"for one record of {features} features, {_FEATURE_MICROSECONDS} for each of them",
        )
    }


def _train(sizes: SplitSizes, plans: Sequence[ColumnPlan]) -> dict[str, Setting]:
    return {
        "train.max_single_feature_auc": _limit_single_features(plans),
        "train.cost_false_positive": (
            1.0,
            "cost of a false alarm; only the ratio of the costs matters",
        ),
        "train.cost_false_negative": (
            1.0,
            "cost of a miss; decide: as expensive as a false alarm until you change it",
        ),
        "train.min_category_count": (
            _choose_min_category_count(sizes, plans),
            "rows; rarer categories are treated as one, and unseen ones like them",
        ),
        "train.candidate.kind": ("trees", "trees | linear; linear where it is as good as trees"),
        "train.candidate.target_scale": (
            "plain",
            "plain | log; log is for skewed positive numbers",
        ),
        **_set_trees(sizes),
    }


def _limit_single_features(plans: Sequence[ColumnPlan]) -> Setting:
    """Return the largest ROC AUC of a single feature, with the reason."""
    confirmed = any(
        "in time" in column.reason or ("ROC AUC" in column.reason and column.has("feature"))
        for column in plans
    )
    if confirmed:
        return (
            1.0,
            "not checked: columns that predict the target were confirmed to be known in time",
        )
    target = next(column for column in plans if column.has("target"))
    reason = "one column alone must not predict the target: above this, it is a leak"
    if len(target.classes) > 2:
        reason = "not checked: a legitimate column often predicts one of several classes"
    return min(choose_leakage_auc(target) + 0.03, 1.0), reason


def _set_trees(sizes: SplitSizes) -> dict[str, Setting]:
    leaf = min(200, max(5, sizes.rows // 200))
    return {
        "train.trees.categories": (
            "native",
            "native | means: codes, or mean targets of other folds where categories are many",
        ),
        "train.trees.learning_rate": (0.05, "shrinkage per tree; smaller needs more trees"),
        "train.trees.max_trees": (2000, "trees; training must stop by itself before"),
        "train.trees.min_rows_per_leaf": (
            leaf,
            "rows; a 200th of the table, since small leaves learn single rows",
        ),
        "train.trees.feature_proportion": (
            0.8,
            "proportion of features offered to each tree; fewer make trees differ",
        ),
    }


def _choose_min_category_count(sizes: SplitSizes, plans: Sequence[ColumnPlan]) -> int:
    """So many rows that no column keeps more categories than a graph should hold."""
    tails = [c.facts.tail + 1 for c in plans if c.has("feature") and c.kind == "string"]
    return max(choose_min_category_count(sizes.rows), *tails, 0)


def size_judgement(held_out: int) -> dict[str, Setting]:
    """Settings of the judgement that follow from the number of rows of the test data."""
    bins = 10 if held_out >= 1000 else 5
    by_chance = 0.02 + 1.2 * math.sqrt(bins / max(1, held_out))
    slice_rows = min(500, max(30, held_out // 20))
    return {
        "evaluate.calibration_bins": (
            bins,
            "equally filled bins of the reliability curve; few rows fill few bins",
        ),
        "evaluate.min_slice_rows": (
            slice_rows,
            f"rows of a slice, or of a pair; a 20th of {held_out:,} test rows, 30 to 500",
        ),
        "judge.max_calibration_error": (
            round(max(0.08, by_chance), 2),
            f"expected calibration error; {held_out:,} test rows reach it by chance",
        ),
    }


def _choose_metric(target: "pd.Series[Any]", contract: Contract) -> dict[str, Setting]:
    """The metric by which candidates are compared, and the margin in its unit."""
    margin: Setting = (0.005, "how much worse than the champion, at most, the interval may reach")
    metric: Setting = ("roc_auc", "by which candidates are compared")
    if contract.task == "regression":
        spread = float(f"{0.02 * float(target.astype(float).std()):.2g}") or 1e-9
        margin = (spread, "how much worse than the champion; 2 % of the target's spread")
        metric = ("rmse", "by which candidates are compared; in the target's unit")
    elif contract.task == "multiclass":
        metric = ("log_loss", "by which candidates are compared; all probabilities count")
    elif target.value_counts(normalize=True).min() < _RARE_CLASS:
        reason = "by which candidates are compared; one class is rare, which roc_auc hides"
        metric = ("pr_auc", reason)
    return {"judge.metric": metric, "judge.max_regression": margin}
