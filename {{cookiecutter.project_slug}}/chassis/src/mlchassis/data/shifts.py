"""Abrupt shifts of a column, in rows that satisfy the contract.

A changed unit, a renamed category and a column that is no longer filled keep every limit of a
contract. They show in a comparison with earlier rows. Each half of a month is compared with the
half before the last: where a shift falls into the middle of a half, its neighbors still show it in
full. Two halves lie a month apart, so seasons count as much as between months.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd

from mlchassis.contract.model import ClassLabel, Column, Contract, class_name
from mlchassis.evaluation.metrics import Floats

LEAST_VALUES = 50
"""A month with fewer values is not compared: chance alone moves it."""
_LEAST_PROPORTION = 0.2
"""Of the mean of the months: one with fewer rows has just begun, or is a remainder."""
_COMMON = 0.01
"""Proportion of a month's values from which on a category does not vanish by chance."""
_LEAST_DISTANCES = 3
"""Differences of a column from which on its usual change is known."""
_NOTICEABLE = 0.25
"""A smaller distance is a usual change."""
_UNUSUAL = 5.0
"""A distance of fewer times the column's usual one is a usual change."""
_MOVING = 0.25
"""A column with a larger proportion of shifts changes with time: no fault."""
_PROPORTION_NOTICEABLE = 0.15
"""Change of a class' proportion that is worth a look."""
_PROPORTION_UNKNOWN = 0.3
"""Change of a class' proportion that is worth a look even if its usual change is not known."""
_PROPORTION_UNUSUAL = 3.0
"""Multiple of the largest earlier change of a class' proportion that is worth a look."""
_LEAST_CATEGORY_ROWS = 20
"""A category of so many rows does not vanish by chance."""

_Parts = Sequence[tuple[str, "pd.Series[Any]"]]
"""Months or halves of them, in their order, each with a column's values."""


@dataclass(frozen=True, slots=True)
class Shift:
    """An abrupt shift of one column in one month, as the middle of a sentence."""

    column: str
    month: str
    description: str

    def __str__(self) -> str:
        """Return column, month and description."""
        return f"'{self.column}' in {self.month}: {self.description}"


def find_shifts(
    months: Mapping[str, pd.DataFrame], columns: Sequence[Column], limit: float
) -> list[Shift]:
    """Find the shifts of every column, at most one of a column in a month.

    Args:
        months: The rows of each month, in the order of the months.
        columns: Those that are compared.
        limit: Largest distance of two months, from 0 (equal) to 1 (nothing in common): of numbers
            the Kolmogorov-Smirnov statistic, of every kind the change of the proportion that is
            empty.
            A column that has hardly moved so far is held to less.
    """
    shifts = []
    least = max(
        LEAST_VALUES, _LEAST_PROPORTION * float(np.mean([len(rows) for rows in months.values()]))
    )
    kept = {month: rows for month, rows in months.items() if len(rows) >= least}
    lag = 2 if all(len(rows) >= 2 * LEAST_VALUES for rows in kept.values()) else 1
    for column in columns:
        parts = [
            part for month, rows in kept.items() for part in _part(month, rows[column.name], lag)
        ]
        described = _find_gaps(parts, lag, limit)
        if column.kind in ("integer", "number"):
            described |= _find_jumps(parts, lag, limit)
        elif column.kind == "string":
            described |= _find_renamed(parts, lag)
        if "pii" in column.roles:
            described = dict.fromkeys(
                described, "its values changed abruptly; they are not repeated here"
            )
        shifts += [Shift(column.name, month, described[month]) for month in sorted(described)]
    return shifts


def find_target_shifts(
    months: Mapping[str, pd.DataFrame], contract: Contract, limit: float
) -> list[Shift]:
    """Find abrupt shifts of the outcome: of the proportion of each class, or of the numbers.

    Args:
        months: The rows of each month, in the order of the months.
        contract: Contract of the rows.
        limit: Of numbers, as in `find_shifts`.
    """
    target = contract.target
    known = {month: rows[target.name].dropna() for month, rows in months.items()}
    least = max(LEAST_VALUES, _LEAST_PROPORTION * float(np.mean([len(v) for v in known.values()])))
    known = {month: values for month, values in known.items() if len(values) >= least}
    lag = 2 if all(len(values) >= 2 * LEAST_VALUES for values in known.values()) else 1
    parts = [part for month, values in known.items() for part in _part(month, values, lag)]
    if not contract.classes:
        described = _find_jumps(parts, lag, limit)
    else:
        # Of a yes or no one proportion is the rest of the other.
        labels = contract.classes[-1:] if len(contract.classes) == 2 else contract.classes
        described = {}
        for label in labels:
            for month, sentence in _find_proportion_shifts(parts, lag, label).items():
                described.setdefault(month, sentence)
    return [Shift(target.name, month, described[month]) for month in sorted(described)]


def _find_proportion_shifts(parts: _Parts, lag: int, label: ClassLabel) -> dict[str, str]:
    proportions = [(month, float((values == label).mean()), len(values)) for month, values in parts]
    pairs = list(zip(proportions, proportions[lag:], strict=False))
    distances = [abs(after - before) for (_, before, _), (_, after, _) in pairs]
    large = []
    for k, ((_, before, rows), (_, after, more)) in enumerate(pairs):
        earlier = distances[: max(0, k + 1 - lag)]
        usual = (
            _PROPORTION_UNUSUAL * max(earlier)
            if len(earlier) >= _LEAST_DISTANCES
            else _PROPORTION_UNKNOWN
        )
        mean = (before * rows + after * more) / (rows + more)
        error = float(np.sqrt(mean * (1 - mean) * (1 / rows + 1 / more)))
        large.append(distances[k] > max(_PROPORTION_NOTICEABLE, _UNUSUAL * error, usual))
    described = {}
    for start in _find_starts(large, lag):
        (_, before, _), (month, after, _) = pairs[start]
        described[month] = (
            f"{after:.0%} of the outcomes are '{class_name(label)}', before {before:.0%}; what is "
            "recorded as an outcome seems to have changed"
        )
    return described


@dataclass(frozen=True, slots=True)
class Outcome:
    """Outcomes of some rows in numbers; both are None without a label.

    Attributes:
        mean: Their mean, or the proportion of the last of two classes.
        proportions: Proportion of each class, where there are more than two.
    """

    mean: float | None = None
    proportions: dict[str, float] | None = None


def describe_target(values: "pd.Series[Any]", contract: Contract) -> Outcome:
    """Describe outcomes: their mean, the proportion of the last class, or of every class."""
    if len(contract.classes) > 2:
        proportions = {class_name(c): float((values == c).mean()) for c in contract.classes}
        return Outcome(proportions=proportions)
    outcomes = values.astype(float) if not contract.classes else values == contract.classes[-1]
    return Outcome(mean=float(outcomes.mean()))


def _part(month: str, values: "pd.Series[Any]", parts: int) -> _Parts:
    edges = np.linspace(0, len(values), parts + 1).astype(int)
    return [(month, values.iloc[edges[k] : edges[k + 1]]) for k in range(parts)]


def _find_gaps(parts: _Parts, lag: int, limit: float) -> dict[str, str]:
    proportions = [(month, float(values.isna().mean())) for month, values in parts]
    pairs = list(zip(proportions, proportions[lag:], strict=False))
    large = [abs(after - before) > limit for (_, before), (_, after) in pairs]
    described = {}
    for start in _find_starts(large, lag):
        (_, before), (month, after) = pairs[start]
        described[month] = f"{after:.0%} of the rows have no value, before {before:.0%}"
    return described


def _find_jumps(parts: _Parts, lag: int, limit: float) -> dict[str, str]:
    present = [(month, np.sort(v.dropna().to_numpy(float))) for month, v in parts]
    present = [(month, values) for month, values in present if len(values) >= LEAST_VALUES]
    pairs = list(zip(present, present[lag:], strict=False))
    distances = [measure_distance(one, other) for (_, one), (_, other) in pairs]
    large = [_is_large(distances[: k + 1], lag, limit) for k in range(len(distances))]
    # A column with one value in each part, such as a year, stands for the time.
    return {
        month: f"its median is {np.median(new):.4g}, before it was {np.median(old):.4g}, and so "
        "far it never moved like that; its unit or its meaning seems to have changed"
        for (_, old), (month, new) in (pairs[k] for k in _find_starts(large, lag))
        if old[0] < old[-1] or new[0] < new[-1]
    }


def _find_starts(large: Sequence[bool], lag: int) -> list[int]:
    """Return the positions at which shifts begin: a shift spans `lag` pairs or one more."""
    runs = [(is_large, [*run]) for is_large, run in groupby(range(len(large)), large.__getitem__)]
    starts = [run[0] for is_large, run in runs if is_large and len(run) <= 2 * lag]
    moves = len(runs) == 1 or len(starts) > max(1, _MOVING * len(large) / lag)
    return [] if moves else starts


def _is_large(distances: Sequence[float], lag: int, limit: float) -> bool:
    """True if the last distance exceeds the limit, or far exceeds the earlier ones."""
    # A pair that shares a part with the last one may hold half of its shift.
    before = distances[:-lag]
    usual = max(before) if len(before) >= _LEAST_DISTANCES else 1.0
    return distances[-1] > min(limit, max(_NOTICEABLE, _UNUSUAL * usual))


def measure_distance(one: Floats, other: Floats) -> float:
    """Return the Kolmogorov-Smirnov statistic of two sorted samples.

    It equals that of `scipy.stats.ks_2samp`, whose import costs more than all comparisons.
    """
    everywhere = np.concatenate([one, other])
    proportions = [np.searchsorted(part, everywhere, "right") / len(part) for part in (one, other)]
    return float(np.abs(proportions[0] - proportions[1]).max())


def _find_renamed(parts: _Parts, lag: int) -> dict[str, str]:
    """Find common categories that vanish just as another one appears."""
    present = [(month, v.dropna()) for month, v in parts if v.notna().sum() >= LEAST_VALUES]
    proportions = [(month, v.value_counts(normalize=True), len(v)) for month, v in present]
    seen: set[Any] = set()
    described: dict[str, str] = {}
    for (_, before, rows), (month, after, more) in zip(
        proportions, proportions[lag:], strict=False
    ):
        seen |= {*before.index}
        gone = before[before >= max(_COMMON, _LEAST_CATEGORY_ROWS / rows)].drop(
            after.index, errors="ignore"
        )
        new = after[after >= max(_COMMON, _LEAST_CATEGORY_ROWS / more)].drop(
            [*seen], errors="ignore"
        )
        for (old, was), (name, is_now) in zip(gone.items(), new.items(), strict=False):
            if was / 2 <= is_now <= was * 2:
                gone_and_new = f"'{old}' ({was:.1%} before) is gone and '{name}'"
                described.setdefault(
                    month, f"{gone_and_new} ({is_now:.1%}) is new; it seems to be renamed"
                )
    return described
