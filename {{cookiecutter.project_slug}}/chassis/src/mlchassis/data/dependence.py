"""Signs that rows are not independent: like neighbors in the file, and columns that name things."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlchassis.evaluation.metrics import Floats

LEAST_ROWS = 100
"""Fewer rows say nothing about their neighbors."""
_NOTICEABLE = 0.1
"""An autocorrelation up to this value is not reported."""
_ERRORS = 4.0
"""An autocorrelation of up to so many standard errors is not reported."""
LEAST_THINGS = 20
"""Different values of a column that may name things."""
LEAST_REPEATS = 1.2
"""Rows for each value of a column that may name things."""
_LEAST_PROPORTION = 0.01
"""Of the rows: a column with fewer values is a category."""
_ALIKE = 0.9
"""Agreement of another column between rows of one thing."""
_BY_CHANCE = 0.6
"""Agreement of another column between any two rows."""
_MAX_PAIRS = 2000


def measure_neighbors(target: Floats, *, classes: bool) -> float | None:
    """Measure how like the outcomes of neighboring rows are: their autocorrelation at lag 1.

    Of classes it is the agreement of neighbors beyond that of any two rows.

    Args:
        target: Numbers, or positions of classes, in the order of the file.
        classes: True if they are classes.

    Returns:
        None if it is no larger than chance makes it, or if the file is sorted by the target.
    """
    different = len(np.unique(target))
    runs = 1 + int(np.count_nonzero(np.diff(target)))
    steps = np.diff(target)
    is_sorted = runs <= 2 * different if classes else bool((steps >= 0).all() or (steps <= 0).all())
    if len(target) < LEAST_ROWS or different < 2 or is_sorted:
        return None
    if classes:
        proportions = np.unique(target, return_counts=True)[1] / len(target)
        expected = float((proportions**2).sum())
        likeness = (float((steps == 0).mean()) - expected) / (1 - expected)
    else:
        likeness = float(np.corrcoef(_rank(target[:-1]), _rank(target[1:]))[0, 1])
    limit = max(_NOTICEABLE, _ERRORS / np.sqrt(len(target)))
    return likeness if likeness > limit else None


def find_things(table: pd.DataFrame, candidates: Mapping[str, int]) -> dict[str, float]:
    """Find columns whose values name a thing that several rows are about, by their values alone.

    The rows of one thing agree in some other column, as the visits of one patient do in sex.

    Args:
        table: All rows.
        candidates: Columns of strings or whole numbers, with the number of different values.

    Returns:
        Column to rows for each value.
    """
    rows_per_value = {}
    for name, different in candidates.items():
        present = int(table[name].notna().sum())
        few = max(LEAST_THINGS, _LEAST_PROPORTION * present)
        if few <= different <= present / LEAST_REPEATS and _rows_agree(table, name):
            rows_per_value[name] = present / different
    return rows_per_value


def _rows_agree(table: pd.DataFrame, name: str) -> bool:
    """Return True if rows with the same value agree in another column, and others do not.

    The others of a number's rows are those of the next larger number too: a length that tells a
    species is a measure, and its neighbors tell the same one.
    """
    rows = table[table[name].notna()]
    codes = pd.factorize(rows[name], sort=True)[0]
    order = np.argsort(codes, kind="stable")
    same = np.flatnonzero(np.diff(codes[order]) == 0)
    draw = np.random.default_rng(0)
    if len(same) > _MAX_PAIRS:
        same = draw.choice(same, _MAX_PAIRS, replace=False)
    if len(same) < LEAST_THINGS:
        return False
    one, other = order[same], order[same + 1]
    strangers = [draw.permutation(other)]
    if pd.api.types.is_numeric_dtype(rows[name]):
        following = np.searchsorted(codes[order], codes[one] + 1)
        strangers.append(order[np.minimum(following, len(order) - 1)])
    return any(
        all(_agreement(values, one, stranger) <= _BY_CHANCE for stranger in strangers)
        and _agreement(values, one, other) >= _ALIKE
        for values in (pd.factorize(rows[column])[0] for column in rows.columns if column != name)
    )


def _agreement(values: NDArray[Any], one: NDArray[Any], other: NDArray[Any]) -> float:
    """Proportion of pairs with equal values; NaN where most have none."""
    there = (values[one] >= 0) & (values[other] >= 0)
    if there.mean() < 1 / 2:
        return float("nan")
    return float((values[one] == values[other])[there].mean())


def _rank(values: Floats) -> Floats:
    return np.unique(values, return_inverse=True)[1].astype(np.float64)
