"""From which probability on an answer is positive."""

import numpy as np

from mlchassis.evaluation.metrics import Floats


def choose_threshold(
    target: Floats, probability: Floats, cost_false_positive: float, cost_false_negative: float
) -> float:
    """Return the threshold with the least total cost on the given rows.

    Thresholds lie half-way between neighboring probabilities, so that rounding in a serving
    library cannot move a row across; of equally cheap ones the lowest is taken.

    Args:
        target: 0 or 1, shape (rows,).
        probability: Of the positive class, shape (rows,).
        cost_false_positive: Of one false alarm.
        cost_false_negative: Of one miss.
    """
    order = np.argsort(probability, kind="stable")
    sorted_target = target[order]
    ranked = probability[order]
    # Cutting below position k calls the first k rows negative.
    misses = np.concatenate([[0], np.cumsum(sorted_target)])
    alarms = (len(target) - target.sum()) - np.concatenate([[0], np.cumsum(1 - sorted_target)])
    cost = cost_false_positive * alarms + cost_false_negative * misses
    half_way = (ranked[:-1] + ranked[1:]) / 2
    # Between neighbors there is no number: half-way is one of them.
    half_way = np.where(half_way > ranked[:-1], half_way, ranked[1:])
    cuts = np.concatenate([[0.0], half_way, [1.0]])
    # A probability of 1 is positive at every threshold.
    distinct = np.concatenate([[True], ranked[:-1] < ranked[1:], ranked[-1:] < 1])
    allowed = np.flatnonzero(distinct)
    return float(cuts[allowed[cost[allowed].argmin()]])
