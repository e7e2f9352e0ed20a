"""A model that is too good: either the problem is easy, or a column knows the answer."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from mlchassis.evaluation.metrics import Floats, Metric

LIMITS: Mapping[str, float] = {"roc_auc": 0.98, "r2": 0.9}
"""Values above which a model is seldom honest."""
_MOST_ROWS = 500
"""Rows whose columns are shuffled: what carries most shows on few."""
_BLOCKS, _NAMED = 30, 3
_CARRIES = 0.05
"""Part of the furthest fall from which on a column carries something."""

Score = Callable[[pd.DataFrame], Floats]
"""A frame to probabilities or numbers, shape (rows, classes or 1)."""


def find_implausible(metrics: Mapping[str, float]) -> str | None:
    """Find the metric that is too good to be believed without a look; None if there is none."""
    return next(
        (name for name, limit in LIMITS.items() if name in metrics and metrics[name] > limit), None
    )


def rank_columns(
    rows: pd.DataFrame,
    columns: Sequence[str],
    metric: Metric,
    target: Floats,
    score: Score,
    seed: int,
) -> list[str]:
    """Name the columns that carry most: those without which the metric falls furthest.

    Many columns are first shuffled in blocks, and one by one in the blocks that matter.

    Args:
        rows: Of the window in which it is too good.
        columns: Inputs of the model.
        metric: Metric that is implausibly good.
        target: Of the rows.
        score: The model.
        seed: Of the order in which values are shuffled.
    """
    places = np.linspace(0, len(rows) - 1, min(_MOST_ROWS, len(rows))).astype(int)
    chosen, truth = rows.iloc[places].reset_index(drop=True), target[places]
    order = np.random.default_rng(seed).permutation(len(chosen))

    def measure(names: Sequence[str]) -> float:
        mixed = {name: chosen[name].iloc[order].reset_index(drop=True) for name in names}
        value = metric.prepare(truth, score(chosen.assign(**mixed)))(np.ones(len(truth)))
        return value if metric.higher_is_better else -value

    blocks = [block.tolist() for block in np.array_split(np.array(columns, dtype=object), _BLOCKS)]
    blocks = sorted((block for block in blocks if block), key=measure)[:_NAMED]
    whole = measure([])
    falls = {name: whole - measure([name]) for block in blocks for name in block}
    furthest = sorted(falls, key=lambda name: -falls[name])[:_NAMED]
    return [name for name in furthest if falls[name] >= _CARRIES * falls[furthest[0]]]


def spell_implausible(found: Mapping[str, Any] | None) -> str:
    """Spell the warning for people; empty if there is none."""
    if not found:
        return ""
    names = ", ".join(f"'{name}'" for name in found["columns"])
    carry = "carries" if len(found["columns"]) == 1 else "carry"
    part = " on the validation data" if found.get("data") == "validation" else ""
    return (
        f"{found['metric']} {found['value']:.3f}{part} is seldom honest: either this problem is "
        f"easy, or a column knows the answer. {names} {carry} most: if one of them is "
        "known only after the event, tag it leakage in contract.yaml, or adopt the table again "
        "with --leakage"
    )
