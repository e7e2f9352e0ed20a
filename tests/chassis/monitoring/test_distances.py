"""Distances of counts equal SciPy's distances of the values that were counted."""

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import jensenshannon

from mlchassis.bundle.cells import Cells
from mlchassis.monitoring.drift.distances import measure_distances

DRAW = np.random.default_rng(5)
BEFORE = DRAW.integers(0, 10, 3000).astype(float)
NOW = DRAW.binomial(9, 0.6, 1000).astype(float)
CELLS = Cells(kind="numeric", edges=tuple(range(10)), means=(*range(10), 9))


def count(values: np.ndarray, missing: int = 0) -> np.ndarray:
    counts = np.bincount(CELLS.assign(values), minlength=CELLS.size).astype(float)
    counts[-1] += missing
    return counts


def test_distances_equal_those_of_scipy() -> None:
    found = measure_distances(CELLS, count(BEFORE), count(NOW))
    assert found.ks == pytest.approx(stats.ks_2samp(BEFORE, NOW).statistic)
    # The spread is that of the population.
    expected = stats.wasserstein_distance(BEFORE, NOW) / BEFORE.std()
    assert found.wasserstein == pytest.approx(expected)
    proportions = [np.bincount(v.astype(int), minlength=10) / len(v) for v in (BEFORE, NOW)]
    assert found.jensen_shannon == pytest.approx(jensenshannon(*proportions, base=2))


def test_the_population_stability_index_is_the_sum_over_cells() -> None:
    cells = Cells(kind="categorical", categories=("a", "b"))
    found = measure_distances(cells, np.array([50.0, 50, 0, 0]), np.array([25.0, 75, 0, 0]))
    assert found.psi == pytest.approx(-0.25 * np.log(0.5) + 0.25 * np.log(1.5))
    assert np.isnan(found.ks)
    assert np.isnan(found.wasserstein)


def test_missing_values_are_a_proportion_of_their_own() -> None:
    found = measure_distances(CELLS, count(BEFORE), count(BEFORE, missing=1000))
    assert (found.missing_before, found.missing) == (0, 0.25)
    assert found.ks == pytest.approx(0)
    assert found.psi == pytest.approx(0)


def test_a_window_without_any_value_has_no_distance() -> None:
    found = measure_distances(CELLS, count(BEFORE), count(np.array([]), missing=10))
    assert np.isnan(found.ks)
    assert found.missing == 1
    assert found.psi == 0
