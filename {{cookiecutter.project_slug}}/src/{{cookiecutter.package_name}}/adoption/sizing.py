"""The settings that follow from a table's size and kind, each with its reason."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ..batches import split_by_month
from ..contract import Contract
from ..modelling.steps import find_steps
from ..params import Params
from .plan import SUSPICIOUS_AUC, Planned

LEAST_DAYS = 20
"""A table of fewer days cannot be split by whole days into three windows."""
MAX_STEP = 0.85
"""Seasons move a column by less, within a month; another unit moves it by more."""
_RARE_CLASS = 0.05

Setting = tuple[Any, str]
"""A value, and the comment that gives its unit and reason."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """What the settings follow from.

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
    """Small tables hold out more: intervals follow the number of rows, not their share."""
    return Sizes(rows, 0.15 if rows >= 10_000 else 0.2 if rows >= 1000 else 0.25)


def choose_settings(
    table: pd.DataFrame, contract: Contract, planned: Sequence[Planned], group: str | None
) -> dict[str, Setting]:
    """Every setting of `params.yaml` that depends on the table, by its dotted name.

    Args:
        table: All rows.
        contract: The drafted contract.
        planned: What was decided about the columns.
        group: Column whose rows stay together, if one was named.
    """
    labelled = table[table[contract.target.name].notna()]
    sizes = measure(len(labelled))
    return {
        "ingest.until": (
            None,
            "last month (UTC) that has arrived; null takes all that the files hold",
        ),
        **_validate(table, contract),
        **_split(labelled, contract, sizes, group),
        **_train(sizes, planned),
        "export.tolerance": (
            1.0e-5,
            "largest error of the graph against the model, absolute or relative",
        ),
        **_judge(labelled[contract.target.name], contract, sizes),
    }


def keep_settings(
    drafted: Mapping[str, Setting], current: Params, needs: Mapping[str, float]
) -> dict[str, Setting]:
    """Of the settings for a table that was adopted before, those that it demands to change.

    Args:
        drafted: What would be written for a new table.
        current: What `params.yaml` says.
        needs: By setting, the least value with which the table passes.
    """
    values = current.model_dump(by_alias=True)
    changed = {
        name: setting
        for name, setting in drafted.items()
        if name in needs and needs[name] > read_setting(values, name)
    }
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
    """By setting, the least value with which the table passes."""
    told = _train(measure(len(table)), planned)["train.max_single_feature_auc"][0]
    crowds = [c.facts.tail + 1 for c in planned if c.has("feature") and c.facts.tail]
    return {
        "validate.max_doubled": measure_repeated(table, contract),
        "train.max_single_feature_auc": told if told == 1.0 else 0.0,
        "train.rare": max(crowds, default=0),
    }


def measure_repeated(rows: pd.DataFrame, contract: Contract) -> float:
    """Share of the rows that repeat an earlier one; 0 where a key tells them apart."""
    return 0.0 if contract.key else float(rows.duplicated().mean())


def _validate(rows: pd.DataFrame, contract: Contract) -> dict[str, Setting]:
    """What the table has already is not new to it: rows that look alike, and steps."""
    alike = measure_repeated(rows, contract)
    months = dict(split_by_month(rows, contract))
    known: dict[str, list[str]] = {}
    for step in find_steps(months, contract.features, MAX_STEP):
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


def _split(
    rows: pd.DataFrame, contract: Contract, sizes: Sizes, group: str | None
) -> dict[str, Setting]:
    shares = "share of rows or groups, for the strategies group and random"
    least = min(500, max(20, sizes.held_out // 2))
    settings: dict[str, Setting] = {
        "split.strategy": ("random", "time | group | random; random, since there is no event time"),
        "split.valid_share": (sizes.share, shares),
        "split.test_share": (sizes.share, shares),
        "split.valid_days": (30, "days before the test window, for the strategy time"),
        "split.test_days": (
            30,
            "days at the end that nothing in training sees, for the strategy time",
        ),
        "split.group": (group, "column whose rows stay together, for the strategy group"),
        "split.min_rows": (
            least,
            f"rows in each window; half of what {sizes.rows:,} rows should give",
        ),
    }
    if group is not None:
        settings["split.strategy"] = ("group", "time | group | random; a group column was named")
        return settings
    days = count_days(rows, contract, sizes.share)
    if days is None:
        if contract.event_time is not None:
            reason = f"time | group | random; too few days for time (under {LEAST_DAYS})"
            settings["split.strategy"] = ("random", reason)
        return settings
    valid, test = days
    return {
        **settings,
        "split.strategy": (
            "time",
            "time | group | random; time, since predictions are about the future",
        ),
        "split.valid_days": (
            valid,
            f"days before the test window; they hold about {sizes.share:.0%} of the rows",
        ),
        "split.test_days": (
            test,
            f"days at the end; they hold about {sizes.share:.0%} of the rows",
        ),
    }


def count_days(rows: pd.DataFrame, contract: Contract, share: float) -> tuple[int, int] | None:
    """Days of the windows valid and test that hold a share of the rows each; None if too few."""
    if contract.event_time is None:
        return None
    days = rows[contract.event_time.name].dt.floor("D").sort_values(ignore_index=True)
    if days.nunique() < LEAST_DAYS:
        return None
    last = days.iloc[-1] + pd.Timedelta(days=1)
    test_from = days.iloc[int(len(days) * (1 - share))]
    valid_from = days.iloc[int(len(days) * (1 - 2 * share))]
    valid, test = (test_from - valid_from).days, (last - test_from).days
    return (valid, test) if valid and days.iloc[0] < valid_from else None


def _train(sizes: Sizes, planned: Sequence[Planned]) -> dict[str, Setting]:
    limit = SUSPICIOUS_AUC + 0.02
    reason = "one column alone must not tell the answer: above, it is a leak"
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
            "cost of a miss; decide: as dear as a false alarm until you say so",
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


def _judge(target: "pd.Series[Any]", contract: Contract, sizes: Sizes) -> dict[str, Setting]:
    bins = 10 if sizes.held_out >= 1000 else 5
    by_chance = 0.02 + 1.2 * math.sqrt(bins / max(1, sizes.held_out))
    settings: dict[str, Setting] = {
        "evaluate.calibration_bins": (
            bins,
            "equally filled bins of the reliability curve; few rows fill few bins",
        ),
        "judge.max_calibration_error": (
            round(max(0.08, by_chance), 2),
            f"expected calibration error; {sizes.held_out:,} test rows reach it by chance",
        ),
        "judge.max_regression": (
            0.005,
            "how much worse than the champion, at most, the interval may reach",
        ),
    }
    if contract.task == "regression":
        margin = float(f"{0.02 * float(target.astype(float).std()):.2g}") or 1e-9
        settings["judge.metric"] = (
            "rmse",
            "by which candidates are compared; in the target's unit",
        )
        settings["judge.max_regression"] = (
            margin,
            "how much worse than the champion; 2 % of the target's spread",
        )
    elif contract.task == "multiclass":
        settings["judge.metric"] = (
            "log_loss",
            "by which candidates are compared; all probabilities count",
        )
    elif target.value_counts(normalize=True).min() < _RARE_CLASS:
        settings["judge.metric"] = (
            "pr_auc",
            "by which candidates are compared; one class is rare, which roc_auc hides",
        )
    else:
        settings["judge.metric"] = ("roc_auc", "by which candidates are compared")
    return settings
