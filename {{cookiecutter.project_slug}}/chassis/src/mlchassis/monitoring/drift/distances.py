"""Distances between two distributions that are given as counts by cell."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr
from scipy.stats import wasserstein_distance

from mlchassis.bundle.cells import Cells

Floats = NDArray[np.float64]

_SMALLEST_PROPORTION = 1e-4
"""The PSI of an empty cell would be infinite."""


@dataclass(frozen=True, slots=True)
class Distances:
    """Distances of the values that are there, and the proportions of those that are missing.

    Attributes:
        ks: Kolmogorov-Smirnov statistic, 0 to 1; NaN for categories.
        jensen_shannon: Distance with base 2, 0 to 1.
        wasserstein: In standard deviations of the reference; NaN for categories.
        psi: Population stability index; above 0.25 is commonly called a large shift.
        missing: Proportion of missing values now.
        missing_before: The same in the reference.
    """

    ks: float
    jensen_shannon: float
    wasserstein: float
    psi: float
    missing: float
    missing_before: float


def measure_distances(cells: Cells, reference: Floats, window: Floats) -> Distances:
    """Measure all distances of a column.

    Args:
        cells: Division of the column's values.
        reference: Rows of the reference by cell.
        window: Rows of production by cell.
    """
    before = find_proportions(reference)
    now = find_proportions(window)
    shift = float("nan")
    ks = float("nan")
    if cells.kind == "numeric" and before.sum() and now.sum():
        ks = float(find_ks(before, now))
        shift = _measure_wasserstein(np.array(cells.means), before, now)
    return Distances(
        ks=ks,
        jensen_shannon=float(find_jensen_shannon(before, now)),
        wasserstein=shift,
        psi=_measure_psi(before, now),
        missing=float(find_missing(window)),
        missing_before=float(find_missing(reference)),
    )


def find_proportions(counts: Floats) -> Floats:
    """Return the proportions of present values' cells, shape (…, cells - 1); 0 without rows."""
    present = counts[..., :-1]
    total = present.sum(axis=-1, keepdims=True)
    proportions: Floats = present / np.maximum(total, 1)
    return proportions


def find_missing(counts: Floats) -> Floats:
    """Return the proportion of missing values, shape (…)."""
    missing: Floats = counts[..., -1] / np.maximum(counts.sum(axis=-1), 1)
    return missing


def find_ks(before: Floats, now: Floats) -> Floats:
    """Return the largest difference of the cumulated proportions, shape (…)."""
    difference: Floats = np.abs(np.cumsum(before - now, axis=-1)).max(axis=-1)
    return difference


def find_jensen_shannon(before: Floats, now: Floats) -> Floats:
    """Return the Jensen-Shannon distance, shape (…); 0 where one of them has no row."""
    middle = entr((before + now) / 2).sum(axis=-1)
    divergence = middle - (entr(before).sum(axis=-1) + entr(now).sum(axis=-1)) / 2
    has_rows = (before.sum(axis=-1) > 0) & (now.sum(axis=-1) > 0)
    # By rounding, the divergence of equal proportions may be negative.
    distance: Floats = np.sqrt(np.maximum(np.where(has_rows, divergence, 0.0), 0.0) / np.log(2))
    return distance


def _measure_wasserstein(means: Floats, before: Floats, now: Floats) -> float:
    center = float(means @ before)
    spread = float(np.sqrt(((means - center) ** 2) @ before))
    return float(wasserstein_distance(means, means, before, now)) / spread if spread else 0.0


def _measure_psi(before: Floats, now: Floats) -> float:
    if not before.sum() or not now.sum():
        return 0.0
    old = np.maximum(before, _SMALLEST_PROPORTION)
    new = np.maximum(now, _SMALLEST_PROPORTION)
    return float(((new - old) * np.log(new / old)).sum())
