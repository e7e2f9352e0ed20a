"""The threshold: the cheapest one on the validation split, and safe from rounding."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlchassis.training.threshold import choose_threshold


def cost(target: Any, probability: Any, threshold: float, alarm: float, miss: float) -> float:
    positive = probability >= threshold
    return float(
        alarm * (positive & (target == 0)).sum() + miss * (~positive & (target == 1)).sum()
    )


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10**6),
    rows=st.integers(1, 40),
    grid=st.integers(2, 30),
    alarm=st.sampled_from([0.5, 1.0, 3.0]),
    miss=st.sampled_from([0.5, 1.0, 3.0]),
)
def test_no_other_threshold_is_cheaper(
    seed: int, rows: int, grid: int, alarm: float, miss: float
) -> None:
    generator = np.random.default_rng(seed)
    target = generator.integers(2, size=rows).astype(float)
    # Zero and one are among them: trees that are certain answer so.
    probability = generator.integers(grid + 1, size=rows) / grid
    chosen = choose_threshold(target, probability, alarm, miss)
    thresholds = np.linspace(0, 1, 4 * grid + 1)
    cheapest = min(cost(target, probability, t, alarm, miss) for t in thresholds)

    assert cost(target, probability, chosen, alarm, miss) == cheapest


def test_a_threshold_lies_half_way_between_two_probabilities() -> None:
    target, probability = np.array([0.0, 0, 1, 1]), np.array([0.1, 0.2, 0.6, 0.9])

    assert choose_threshold(target, probability, 1, 1) == pytest.approx(0.4)


def test_dear_misses_lower_it_and_dear_alarms_raise_it() -> None:
    generator = np.random.default_rng(1)
    probability = generator.random(5000)
    target = (generator.random(5000) < probability).astype(float)
    found = [choose_threshold(target, probability, *costs) for costs in ((1, 9), (1, 1), (9, 1))]

    # With calibrated probabilities the best threshold is the proportion of the false alarm's cost.
    assert found == pytest.approx([0.1, 0.5, 0.9], abs=0.08)


def test_rows_of_one_probability_are_never_parted() -> None:
    target, probability = np.array([0.0, 1, 0, 1]), np.full(4, 0.3)

    assert choose_threshold(target, probability, 1, 3) == 0
    assert choose_threshold(target, probability, 3, 1) == 1


def test_a_row_of_certainty_is_positive_at_every_threshold() -> None:
    target, probability = np.array([0.0, 0, 1, 0]), np.array([0.1, 0.2, 0.5, 1.0])

    assert choose_threshold(target, probability, 100, 1) == pytest.approx(0.35)


def test_a_threshold_parts_probabilities_that_are_neighbors() -> None:
    for low in np.random.default_rng(1).random(20):
        target, probability = np.array([0.0, 1]), np.array([low, np.nextafter(low, 1)])
        chosen = choose_threshold(target, probability, 1, 1)
        assert cost(target, probability, chosen, 1, 1) == 0
