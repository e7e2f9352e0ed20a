"""A model that is too good: either the problem is easy, or a column holds the answer."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from mlchassis.evaluation.metrics import Floats, Metric
from mlchassis.evaluation.results import Implausible

LIMITS: Mapping[str, float] = {"roc_auc": 0.98, "r2": 0.9}
"""Values above which a model is implausibly good."""
_MAX_ROWS = 500
"""Rows whose columns are shuffled: what carries most shows on few."""
_BLOCKS = 30
_NAMED = 3
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
        rows: Of the split in which it is too good.
        columns: Inputs of the model.
        metric: Metric that is implausibly good.
        target: Of the rows.
        score: The model.
        seed: Of the order in which values are shuffled.
    """
    places = np.linspace(0, len(rows) - 1, min(_MAX_ROWS, len(rows))).astype(int)
    chosen = rows.iloc[places].reset_index(drop=True)
    truth = target[places]
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


def spell_implausible(quality: Implausible | None) -> str:
    """Spell the warning for people; empty if there is none."""
    if quality is None:
        return ""
    names = ", ".join(f"'{name}'" for name in quality.columns)
    carry = "carries" if len(quality.columns) == 1 else "carry"
    part = " on the validation data" if quality.data == "validation" else ""
    return (
        f"{quality.metric} {quality.value:.3f}{part} is implausibly high: either this problem is "
        f"easy, or a column holds the answer. {names} {carry} most: if one of them is "
        "known only after the event, tag it leakage in contract.yaml, or adopt the table again "
        "with --leakage"
    )
