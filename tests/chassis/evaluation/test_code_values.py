"""Codes among whole numbers: found by their outcomes, and never a magnitude."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlchassis.evaluation.code_values import are_codes
from mlchassis.evaluation.metrics import Floats


def draw(
    seed: int, different: int, effect: Callable[[Any], Floats]
) -> tuple["pd.Series[Any]", Floats]:
    """Draw numbers of which each moves the outcome as an effect says."""
    generator = np.random.default_rng(seed)
    numbers = generator.integers(0, different, 6000)
    target = effect(numbers) + generator.normal(size=len(numbers))
    return pd.Series(pd.array(numbers, dtype="Int64")), target


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(
    "effect",
    [
        lambda number: 0 * number,
        lambda number: number / 10,
        lambda number: (number - 12) ** 2 / 40,
        lambda number: np.sin(number / 4),
        lambda number: np.where(number == 0, 2.0, 0.0),
        lambda number: np.where(number > 9, 1.0, 0.0),
        lambda number: np.where(number % 7 > 4, 1.0, 0.0),
    ],
    ids=["none", "line", "bend", "wave", "zero", "step", "weekend"],
)
def test_a_magnitude_is_no_code(seed: int, effect: Callable[[Any], Floats]) -> None:
    assert not are_codes(*draw(seed, 25, effect))


@pytest.mark.parametrize("different", [25, 120, 600])
def test_a_code_is_found_for_most_seeds(different: int) -> None:
    found = 0
    for seed in range(20):
        own = np.random.default_rng([seed, 1]).normal(size=different)
        numbers, target = draw(seed, different, own.__getitem__)
        found += are_codes(numbers.mask(numbers.index % 9 == 0), target)
    assert found >= 15


def test_few_numbers_are_not_judged() -> None:
    own = np.array([0.0, 3, 1, 5, 2, 4, 9, 7])
    assert not are_codes(*draw(1, 8, own.__getitem__))
