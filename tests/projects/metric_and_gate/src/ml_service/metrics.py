"""Custom metric of this project."""

import numpy as np
from mlchassis import metric
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@metric(
    tasks=("binary",),
    higher_is_better=True,
    description="proportion of returned orders among the tenth with the highest scores",
)
def precision_in_top_tenth(target: Floats, scores: Floats, weight: Floats) -> float:
    """Return the weighted precision in the tenth of the rows with the highest scores."""
    order = np.argsort(-scores, kind="stable")
    counted = np.cumsum(weight[order]) <= 0.1 * weight.sum()
    chosen = weight[order] * counted
    total = chosen.sum()
    return float((chosen * target[order]).sum() / total) if total else float("nan")
