"""Steps: a column that is another one from one month to the next, though every row is allowed.

A unit that changed upstream, a category that was renamed and a column that is no longer filled keep
every limit of a contract. What gives them away is the month before.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from ..contract import Column
from .metrics import Floats

LEAST_VALUES = 50
"""A month with fewer values is not compared: chance alone moves it."""
_LEAST_SHARE = 0.2
"""Of the mean of the months: one with fewer rows has just begun, or is a remainder."""
_COMMON = 0.01
"""Share of a month's values from which on a category does not vanish by chance."""
_LEAST_STEPS, _NOTICEABLE, _UNUSUAL = 3, 0.25, 5.0
"""From so many steps on it is known how a column moves; one beyond both others is no such move."""
_MOVING = 0.25
"""A column with more large steps than this, of all its steps, moves with time: that is no fault."""


@dataclass(frozen=True, slots=True)
class Step:
    """What happened to a column in a month, as a sentence's middle."""

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
        limit: Largest distance of two months, from 0 (alike) to 1 (nothing in common): of numbers
            the Kolmogorov-Smirnov statistic, of every kind the change of the share without a value.
            A column that has hardly moved so far is held to less.
    """
    found = []
    least = max(
        LEAST_VALUES, _LEAST_SHARE * float(np.mean([len(rows) for rows in months.values()]))
    )
    for column in columns:
        values = {m: rows[column.name] for m, rows in months.items() if len(rows) >= least}
        said = dict(_find_gaps(values, limit))
        if column.kind in ("integer", "number"):
            said |= _find_jumps(values, limit)
        elif column.kind == "string":
            said |= dict(_find_renamed(values))
        found += [Step(column.name, month, said[month]) for month in sorted(said)]
    return found


def _find_gaps(months: "Mapping[str, pd.Series[Any]]", limit: float) -> Iterator[tuple[str, str]]:
    shares = {m: float(v.isna().mean()) for m, v in months.items()}
    steps = [(b, shares[a], shares[b]) for a, b in pairwise(shares)]
    large = [(m, before, after) for m, before, after in steps if abs(after - before) > limit]
    if len(large) <= max(1, _MOVING * len(steps)):
        for month, before, after in large:
            yield month, f"{after:.0%} of the rows have no value, of the month before {before:.0%}"


def _find_jumps(months: "Mapping[str, pd.Series[Any]]", limit: float) -> dict[str, str]:
    present = {month: np.sort(v.dropna().to_numpy(float)) for month, v in months.items()}
    present = {month: values for month, values in present.items() if len(values) >= LEAST_VALUES}
    steps = list(pairwise(present))
    distances = [measure_distance(present[a], present[b]) for a, b in steps]
    large = [steps[k] for k in range(len(steps)) if _is_large(distances[: k + 1], limit)]
    if len(large) > _MOVING * len(steps):
        return {}
    # What has one value in each month tells the time, such as a year.
    return {
        b: f"its median is {np.median(present[b]):.4g}, of the month before "
        f"{np.median(present[a]):.4g}, and so far it never moved like that; its unit or its "
        "meaning seems to have changed"
        for a, b in large
        if present[a][0] < present[a][-1] or present[b][0] < present[b][-1]
    }


def _is_large(distances: Sequence[float], limit: float) -> bool:
    """Whether the last distance is beyond the limit, or far beyond those before it."""
    *before, last = distances
    usual = max(before) if len(before) >= _LEAST_STEPS else 1.0
    return last > min(limit, max(_NOTICEABLE, _UNUSUAL * usual))


def measure_distance(one: Floats, other: Floats) -> float:
    """Kolmogorov-Smirnov statistic of two sorted samples: largest gap of their distributions."""
    everywhere = np.concatenate([one, other])
    shares = [np.searchsorted(part, everywhere, "right") / len(part) for part in (one, other)]
    return float(np.abs(shares[0] - shares[1]).max())


def _find_renamed(months: "Mapping[str, pd.Series[Any]]") -> Iterator[tuple[str, str]]:
    """Common categories of which one vanishes just as another comes that was never there."""
    shares = {
        month: values.value_counts(normalize=True)
        for month, values in months.items()
        if values.notna().sum() >= LEAST_VALUES
    }
    seen: set[Any] = set()
    for before, month in pairwise(shares):
        seen |= {*shares[before].index}
        gone = shares[before][shares[before] >= _COMMON].drop(shares[month].index, errors="ignore")
        new = shares[month][shares[month] >= _COMMON].drop([*seen], errors="ignore")
        for (old, was), (name, is_now) in zip(gone.items(), new.items(), strict=False):
            if was / 2 <= is_now <= was * 2:
                gone_and_new = f"'{old}' ({was:.1%} of the month before) is gone and '{name}'"
                yield month, f"{gone_and_new} ({is_now:.1%}) is new; it seems to be renamed"
