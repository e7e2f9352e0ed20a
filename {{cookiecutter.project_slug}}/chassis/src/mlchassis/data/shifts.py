"""Steps: a column that is another one from some moment on, though every row is allowed.

A unit that changed upstream, a category that was renamed and a column that is no longer filled keep
every limit of a contract. What gives them away is what was there before. Halves of months are held
against the last half but one: where a step falls into a half, that one is neither here nor there,
and its neighbours still show the step in full. Two halves lie a month apart, so seasons count as
much as between months.
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
_LEAST_SHARE = 0.2
"""Of the mean of the months: one with fewer rows has just begun, or is a remainder."""
_COMMON = 0.01
"""Share of a month's values from which on a category does not vanish by chance."""
_LEAST_STEPS = 3
"""Steps of a column from which on its usual move is known."""
_NOTICEABLE = 0.25
"""A smaller step is a usual move."""
_UNUSUAL = 5.0
"""A step of fewer times the column's usual one is a usual move."""
_MOVING = 0.25
"""A column with more steps than this, of all that it could have, moves with time: no fault."""
_SHARE_NOTICEABLE = 0.15
"""Change of a class' share that is worth a look."""
_SHARE_SURELY = 0.3
"""Change of a class' share that is worth a look even if its usual change is not known."""
_SHARE_UNUSUAL = 3.0
"""Multiple of the largest earlier change of a class' share that is worth a look."""
_SURELY = 20
"""A category of so many rows does not vanish by chance."""

_Parts = Sequence[tuple[str, "pd.Series[Any]"]]
"""Months or halves of them, in their order, each with a column's values."""


@dataclass(frozen=True, slots=True)
class Step:
    """An abrupt shift of one column in one month, as the middle of a sentence."""

    column: str
    month: str
    said: str

    def __str__(self) -> str:
        """All of it, for people."""
        return f"'{self.column}' in {self.month}: {self.said}"


def find_steps(
    months: Mapping[str, pd.DataFrame], columns: Sequence[Column], limit: float
) -> list[Step]:
    """Every step of every column, at most one of a column in a month.

    Args:
        months: The rows of each month, in the order of the months.
        columns: Those that are compared.
        limit: Largest distance of two months, from 0 (equal) to 1 (nothing in common): of numbers
            the Kolmogorov-Smirnov statistic, of every kind the change of the share without a value.
            A column that has hardly moved so far is held to less.
    """
    found = []
    least = max(
        LEAST_VALUES, _LEAST_SHARE * float(np.mean([len(rows) for rows in months.values()]))
    )
    kept = {month: rows for month, rows in months.items() if len(rows) >= least}
    lag = 2 if all(len(rows) >= 2 * LEAST_VALUES for rows in kept.values()) else 1
    for column in columns:
        parts = [
            part for month, rows in kept.items() for part in _part(month, rows[column.name], lag)
        ]
        said = _find_gaps(parts, lag, limit)
        if column.kind in ("integer", "number"):
            said |= _find_jumps(parts, lag, limit)
        elif column.kind == "string":
            said |= _find_renamed(parts, lag)
        if "pii" in column.roles:
            said = dict.fromkeys(said, "its values changed abruptly; they are not repeated here")
        found += [Step(column.name, month, said[month]) for month in sorted(said)]
    return found


def find_target_steps(
    months: Mapping[str, pd.DataFrame], contract: Contract, limit: float
) -> list[Step]:
    """Find abrupt shifts of the outcome: of the share of each class, or of the numbers.

    Args:
        months: The rows of each month, in the order of the months.
        contract: Contract of the rows.
        limit: Of numbers, as in `find_steps`.
    """
    target = contract.target
    known = {month: rows[target.name].dropna() for month, rows in months.items()}
    least = max(LEAST_VALUES, _LEAST_SHARE * float(np.mean([len(v) for v in known.values()])))
    known = {month: values for month, values in known.items() if len(values) >= least}
    lag = 2 if all(len(values) >= 2 * LEAST_VALUES for values in known.values()) else 1
    parts = [part for month, values in known.items() for part in _part(month, values, lag)]
    if not contract.classes:
        said = _find_jumps(parts, lag, limit)
    else:
        # Of a yes or no one share is the rest of the other.
        labels = contract.classes[-1:] if len(contract.classes) == 2 else contract.classes
        said = {}
        for label in labels:
            for month, sentence in _find_share_steps(parts, lag, label).items():
                said.setdefault(month, sentence)
    return [Step(target.name, month, said[month]) for month in sorted(said)]


def _find_share_steps(parts: _Parts, lag: int, label: ClassLabel) -> dict[str, str]:
    shares = [(month, float((values == label).mean()), len(values)) for month, values in parts]
    pairs = list(zip(shares, shares[lag:], strict=False))
    distances = [abs(after - before) for (_, before, _), (_, after, _) in pairs]
    large = []
    for k, ((_, before, rows), (_, after, more)) in enumerate(pairs):
        earlier = distances[: max(0, k + 1 - lag)]
        usual = _SHARE_UNUSUAL * max(earlier) if len(earlier) >= _LEAST_STEPS else _SHARE_SURELY
        mean = (before * rows + after * more) / (rows + more)
        error = float(np.sqrt(mean * (1 - mean) * (1 / rows + 1 / more)))
        large.append(distances[k] > max(_SHARE_NOTICEABLE, _UNUSUAL * error, usual))
    return {
        after[
            0
        ]: f"{after[1]:.0%} of the outcomes are '{class_name(label)}', before {before[1]:.0%}; "
        "what is recorded as an outcome seems to have changed"
        for before, after in (pairs[k] for k in _find_starts(large, lag))
    }


def describe_target(values: "pd.Series[Any]", contract: Contract) -> dict[str, Any]:
    """Describe outcomes: their mean, the share of the class to be found, or of every class."""
    if len(contract.classes) > 2:
        shares = {class_name(c): float((values == c).mean()) for c in contract.classes}
        return {"target_shares": shares}
    found = values.astype(float) if not contract.classes else values == contract.classes[-1]
    return {"target_mean": float(found.mean())}


def _part(month: str, values: "pd.Series[Any]", parts: int) -> _Parts:
    edges = np.linspace(0, len(values), parts + 1).astype(int)
    return [(month, values.iloc[edges[k] : edges[k + 1]]) for k in range(parts)]


def _find_gaps(parts: _Parts, lag: int, limit: float) -> dict[str, str]:
    shares = [(month, float(values.isna().mean())) for month, values in parts]
    pairs = list(zip(shares, shares[lag:], strict=False))
    return {
        pairs[k][1][
            0
        ]: f"{pairs[k][1][1]:.0%} of the rows have no value, before {pairs[k][0][1]:.0%}"
        for k in _find_starts([abs(b - a) > limit for (_, a), (_, b) in pairs], lag)
    }


def _find_jumps(parts: _Parts, lag: int, limit: float) -> dict[str, str]:
    present = [(month, np.sort(v.dropna().to_numpy(float))) for month, v in parts]
    present = [(month, values) for month, values in present if len(values) >= LEAST_VALUES]
    pairs = list(zip(present, present[lag:], strict=False))
    distances = [measure_distance(one, other) for (_, one), (_, other) in pairs]
    large = [_is_large(distances[: k + 1], lag, limit) for k in range(len(distances))]
    # What has one value in each part tells the time, such as a year.
    return {
        month: f"its median is {np.median(new):.4g}, before it was {np.median(old):.4g}, and so "
        "far it never moved like that; its unit or its meaning seems to have changed"
        for (_, old), (month, new) in (pairs[k] for k in _find_starts(large, lag))
        if old[0] < old[-1] or new[0] < new[-1]
    }


def _find_starts(large: Sequence[bool], lag: int) -> list[int]:
    """First months of shifts: a shift spans `lag` pairs or one more."""
    runs = [(is_large, [*run]) for is_large, run in groupby(range(len(large)), large.__getitem__)]
    starts = [run[0] for is_large, run in runs if is_large and len(run) <= 2 * lag]
    moves = len(runs) == 1 or len(starts) > max(1, _MOVING * len(large) / lag)
    return [] if moves else starts


def _is_large(distances: Sequence[float], lag: int, limit: float) -> bool:
    """True if the last distance exceeds the limit, or far exceeds the earlier ones."""
    # A pair that shares a part with the last one may hold half of its step.
    before = distances[:-lag]
    usual = max(before) if len(before) >= _LEAST_STEPS else 1.0
    return distances[-1] > min(limit, max(_NOTICEABLE, _UNUSUAL * usual))


def measure_distance(one: Floats, other: Floats) -> float:
    """Kolmogorov-Smirnov statistic of two sorted samples: largest gap of their distributions."""
    everywhere = np.concatenate([one, other])
    shares = [np.searchsorted(part, everywhere, "right") / len(part) for part in (one, other)]
    return float(np.abs(shares[0] - shares[1]).max())


def _find_renamed(parts: _Parts, lag: int) -> dict[str, str]:
    """Common categories of which one vanishes just as another comes that was never there."""
    present = [(month, v.dropna()) for month, v in parts if v.notna().sum() >= LEAST_VALUES]
    shares = [(month, v.value_counts(normalize=True), len(v)) for month, v in present]
    seen: set[Any] = set()
    said: dict[str, str] = {}
    for (_, before, rows), (month, after, more) in zip(shares, shares[lag:], strict=False):
        seen |= {*before.index}
        gone = before[before >= max(_COMMON, _SURELY / rows)].drop(after.index, errors="ignore")
        new = after[after >= max(_COMMON, _SURELY / more)].drop([*seen], errors="ignore")
        for (old, was), (name, is_now) in zip(gone.items(), new.items(), strict=False):
            if was / 2 <= is_now <= was * 2:
                gone_and_new = f"'{old}' ({was:.1%} before) is gone and '{name}'"
                said.setdefault(
                    month, f"{gone_and_new} ({is_now:.1%}) is new; it seems to be renamed"
                )
    return said
