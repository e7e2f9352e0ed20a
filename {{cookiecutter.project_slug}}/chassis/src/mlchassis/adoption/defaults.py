"""The settings that follow from a table's size and kind, each with its reason."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from mlchassis.adoption.columns.roles import Planned, find_suspicious_auc
from mlchassis.adoption.split_choice import SplitChoice, choose_share
from mlchassis.config.params import Params
from mlchassis.contract.model import Contract
from mlchassis.contract.partitions import split_by_month
from mlchassis.data.shifts import find_steps, find_target_steps
from mlchassis.evaluation.evaluate import find_age

MAX_STEP = 0.85
"""Seasons move a column by less, within a month; another unit moves it by more."""
_RARE_CLASS = 0.05
_LEAST_AGE = 14
"""Days without an outcome that are ordinary."""
_BASE_MICROSECONDS = 5000
_FEATURE_MICROSECONDS = 40
"""Several times what a busy machine takes, so that the gate finds a slow model and no busy hour."""

Setting = tuple[Any, str]
"""A value, and the comment that gives its unit and reason."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Table sizes that the suggested parameters depend on.

    Attributes:
        rows: Rows with a label.
        share: Share of the rows that each of the windows valid and test gets.
    """

    rows: int
    share: float

    @property
    def held_out(self) -> int:
        """Rows of the test window, about."""
        return int(self.rows * self.share)


def measure(rows: int) -> Sizes:
    """Sizes of a table with this many labelled rows."""
    return Sizes(rows, choose_share(rows))


def choose_settings(
    table: pd.DataFrame, contract: Contract, planned: Sequence[Planned], split: SplitChoice
) -> dict[str, Setting]:
    """Every setting of `params.yaml` that depends on the table, by its dotted name.

    Args:
        table: All rows.
        contract: The drafted contract.
        planned: Plans of the columns.
        split: Split of the rows.
    """
    labelled = table[table[contract.target.name].notna()]
    sizes = measure(len(labelled))
    return {
        "ingest.until": (
            None,
            "last month (UTC) that has arrived; null takes all that the files hold",
        ),
        **_validate(table, contract),
        **_split(split, sizes),
        **_train(sizes, planned),
        "export.tolerance": (
            1.0e-5,
            "largest error of the graph against the model, absolute or relative",
        ),
        **size_judgement(sizes.held_out),
        **_choose_metric(labelled[contract.target.name], contract),
        **_limit_age(table, contract),
        **_limit_latency(contract),
    }


def keep_settings(
    drafted: Mapping[str, Setting], current: Params, needs: Mapping[str, float]
) -> dict[str, Setting]:
    """Of the settings for a table that was adopted before, those that it demands to change.

    Args:
        drafted: Settings for a new table.
        current: Settings in `params.yaml`.
        needs: Smallest value of each limit with which the table passes.
    """
    values = current.model_dump(by_alias=True)
    changed = {
        name: setting
        for name, setting in drafted.items()
        if name in needs and needs[name] > read_setting(values, name)
    }
    # The split that is there stays where it works.
    split = {name: drafted[name] for name in drafted if name == "seed" or name[:6] == "split."}
    if any(setting[0] != read_setting(values, name) for name, setting in split.items()):
        changed |= split
    months = dict(current.validate_.known_steps)
    found, comment = drafted["validate.known_steps"]
    new = {name: sorted({*months.get(name, ()), *found[name]}) for name in found}
    merged = {name: list(known) for name, known in months.items()} | new
    if merged != {name: list(known) for name, known in months.items()}:
        changed["validate.known_steps"] = (merged, comment)
    return changed


def read_setting(values: Mapping[str, Any], name: str) -> Any:
    """The value of a setting by its dotted name."""
    found: Any = values
    for part in name.split("."):
        found = found[part]
    return found


def find_needs(
    table: pd.DataFrame, contract: Contract, planned: Sequence[Planned]
) -> dict[str, float]:
    """Smallest value of each limit with which the table passes validation."""
    told = _train(measure(len(table)), planned)["train.max_single_feature_auc"][0]
    crowds = [c.facts.tail + 1 for c in planned if c.has("feature") and c.facts.tail]
    return {
        "validate.max_doubled": measure_repeated(table, contract),
        "train.max_single_feature_auc": told if told == 1.0 else 0.0,
        "train.min_category_count": max(crowds, default=0),
        "judge.max_age_days": measure_age(table, contract),
        "judge.max_microseconds": 0.8 * _limit_latency(contract)["judge.max_microseconds"][0],
    }


def measure_repeated(rows: pd.DataFrame, contract: Contract) -> float:
    """Share of the rows that repeat an earlier one; 0 where a key tells them apart."""
    return 0.0 if contract.key else float(rows.duplicated().mean())


def _validate(rows: pd.DataFrame, contract: Contract) -> dict[str, Setting]:
    """Limits of validation that accept the table's own duplicates and shifts."""
    alike = measure_repeated(rows, contract)
    months = dict(split_by_month(rows, contract))
    known: dict[str, list[str]] = {}
    for step in (
        *find_target_steps(months, contract, MAX_STEP),
        *find_steps(months, contract.features, MAX_STEP),
    ):
        known.setdefault(step.column, []).append(step.month)
    return {
        "validate.max_doubled": (
            round(min(1.0, max(0.01, 1.5 * alike)), 3),
            f"share of rows that repeat an earlier one; the table has {alike:.1%}",
        ),
        "validate.max_step": (
            MAX_STEP,
            "distance of half a month from the last half but one, 0 to 1",
        ),
        "validate.known_steps": (
            known,
            "months, by column, whose step the data had when they were adopted",
        ),
    }


def _split(split: SplitChoice, sizes: Sizes) -> dict[str, Setting]:
    params = split.params
    shares = "share of rows or groups, for the strategies group and random"
    held_out = "" if params.strategy != "time" else "; they hold about {:.0%} of the rows"
    return {
        "seed": (split.seed, "any integer; every random draw of the pipeline follows from it"),
        "split.strategy": (params.strategy, f"time | group | random; {split.reason}"),
        "split.valid_share": (params.valid_share, shares),
        "split.test_share": (params.test_share, shares),
        "split.valid_days": (
            params.valid_days,
            f"days before the test window{held_out.format(params.valid_share)}",
        ),
        "split.test_days": (
            params.test_days,
            f"days at the end that nothing in training sees{held_out.format(params.test_share)}",
        ),
        "split.group": (params.group, "column whose rows stay together, for the strategy group"),
        "split.min_rows": (
            params.min_rows,
            f"rows in each window; half of what {sizes.rows:,} rows should give",
        ),
    }


def _limit_age(table: pd.DataFrame, contract: Contract) -> dict[str, Setting]:
    age = measure_age(table, contract)
    limit = max(_LEAST_AGE, math.ceil(1.5 * age))
    reason = "days by which the newest labelled row may lie before the data that have arrived"
    return {"judge.max_age_days": (limit, f"{reason}; {age} days in the table as adopted")}


def measure_age(table: pd.DataFrame, contract: Contract) -> int:
    """Days by which the newest row with an outcome lies before the newest month of the table."""
    if contract.event_time is None:
        return 0
    times = table[contract.event_time.name]
    newest = times[table[contract.target.name].notna()].max()
    age = find_age(newest.isoformat(), None, f"{times.max():%Y-%m}")
    return age or 0


def _limit_latency(contract: Contract) -> dict[str, Setting]:
    features = len(contract.features)
    return {
        "judge.max_microseconds": (
            _BASE_MICROSECONDS + _FEATURE_MICROSECONDS * features,
            f"for one record of {features} features, {_FEATURE_MICROSECONDS} for each of them",
        )
    }


def _train(sizes: Sizes, planned: Sequence[Planned]) -> dict[str, Setting]:
    target = next(column for column in planned if column.has("target"))
    limit = min(find_suspicious_auc(target) + 0.03, 1.0)
    reason = "one column alone must not tell the answer: above, it is a leak"
    if len(target.classes) > 2:
        reason = "not held: of several classes, one is often told by an honest column"
    if any("ROC AUC" in column.reason and column.has("feature") for column in planned) or any(
        "in time" in column.reason for column in planned
    ):
        limit, reason = 1.0, "not held: columns that tell the answer were said to be known in time"
    leaf = min(200, max(5, sizes.rows // 200))
    return {
        "train.max_single_feature_auc": (limit, reason),
        "train.cost_false_positive": (
            1.0,
            "cost of a false alarm; only the ratio of the costs matters",
        ),
        "train.cost_false_negative": (
            1.0,
            "cost of a miss; decide: as expensive as a false alarm until you change it",
        ),
        "train.min_category_count": (
            _choose_rare(sizes, planned),
            "rows; rarer categories are treated as one, and unseen ones like them",
        ),
        "train.candidate.kind": (
            "trees",
            "trees | linear; linear where it is as good as trees",
        ),
        "train.candidate.target_scale": (
            "plain",
            "plain | log; log is for skewed positive numbers",
        ),
        "train.candidate.categories": (
            "native",
            "native | means: codes, or mean targets of other folds where categories are many",
        ),
        "train.candidate.learning_rate": (0.05, "shrinkage per tree; smaller needs more trees"),
        "train.candidate.max_trees": (2000, "trees; training must stop by itself before"),
        "train.candidate.min_rows_per_leaf": (
            leaf,
            "rows; a 200th of the table, since small leaves learn single rows",
        ),
        "train.candidate.feature_share": (
            0.8,
            "share of features offered to each tree; fewer make trees differ",
        ),
    }


def _choose_rare(sizes: Sizes, planned: Sequence[Planned]) -> int:
    """So many rows that no column keeps more categories than a graph should hold."""
    crowds = [c.facts.tail + 1 for c in planned if c.has("feature") and c.kind == "string"]
    return max(min(100, max(2, sizes.rows // 500)), *crowds, 0)


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
