"""Realized and estimated performance of a window, compared with the held-out rows.

The loss is the Brier score for classes and the absolute error for numbers. Before labels arrive it
is estimated from held-out rows: for classes from those of the same doubt, for numbers by the
effects of prediction and features on the error. If equal rows have other outcomes than before
(concept drift), the estimate does not change: only labels show it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mlchassis.bundle.cells import Counts
from mlchassis.config.params import MonitorParams
from mlchassis.evaluation.bootstrap import bootstrap
from mlchassis.evaluation.metrics import proportion
from mlchassis.monitoring.counting import DayLoss
from mlchassis.monitoring.drift.distances import Floats
from mlchassis.monitoring.drift.thresholds import cut_windows, draw_rows, draw_starts
from mlchassis.monitoring.results import Performance, Window

_CONFIDENCE = 0.95
_RESAMPLES = 300
_LEAST_DAYS = 2
"""Of fewer days there is no interval."""


@dataclass(frozen=True, slots=True)
class LossReference:
    """Losses of the held-out rows, or estimates of them.

    Attributes:
        counts: Rows by day and range of the loss.
        means: Mean loss of each range.
    """

    counts: Counts
    means: Floats

    @property
    def mean(self) -> float:
        """Mean loss of all held-out rows."""
        present = self.counts[:, :-1].sum(axis=0)
        return float(present @ self.means / max(1, present.sum()))


def measure_performance(
    days: Sequence[str],
    losses: Mapping[str, DayLoss],
    reference: LossReference,
    estimates: LossReference,
    params: MonitorParams,
    generator: np.random.Generator,
) -> Performance:
    """Measure one window's performance.

    Args:
        days: Days of the window.
        losses: Losses of the log by day.
        reference: Losses of the held-out rows.
        estimates: Estimates of these losses.
        params: Settings of the monitor.
        generator: Source of chance.
    """
    daily = [losses[day] for day in days if day in losses]
    answered = sum(day.answered for day in daily)
    labeled = sum(day.labeled for day in daily)
    is_mature = labeled >= max(params.min_rows, params.min_labeled * answered)
    low, high = _find_ends(daily) if is_mature else (None, None)
    return Performance(
        answered=answered,
        labeled=labeled,
        value=sum(day.loss for day in daily) / labeled if is_mature else None,
        low=low,
        high=high,
        limit=(
            find_loss_limit(reference, len(days), labeled, params, generator) if is_mature else None
        ),
        estimated=sum(day.estimated for day in daily) / answered if answered else None,
        estimated_limit=(
            find_loss_limit(estimates, len(days), answered, params, generator)
            if answered >= params.min_rows
            else None
        ),
        reference=reference.mean,
    )


def describe_few_labels(windows: Sequence[Window], params: MonitorParams) -> str:
    """Return a sentence on labels that are too few in every window.

    Returns:
        Empty if the realized performance of a window is known, or no response has a label.
    """
    measured = [(window, window.performance) for window in windows if window.performance]
    if any(performance.value is not None for _, performance in measured):
        return ""
    labeled = [(window, performance) for window, performance in measured if performance.labeled]
    if not labeled:
        return ""
    window, performance = max(labeled, key=lambda pair: pair[1].maturity)
    return (
        f"Too few labels for the realized performance: {performance.labeled:,} of "
        f"{performance.answered:,} responses in {window.start} to {window.end} have one; a window "
        f"needs {params.min_rows:,} (monitor.min_rows) and {params.min_labeled:.0%} of its "
        "responses (monitor.min_labeled)."
    )


def _find_ends(days: Sequence[DayLoss]) -> tuple[float, float] | tuple[None, None]:
    """Return the ends of an interval of the mean loss by days; none of too few days."""
    labeled = [day for day in days if day.labeled]
    if len(labeled) < _LEAST_DAYS:
        return None, None
    loss = np.array([day.loss for day in labeled])
    rows = np.array([float(day.labeled) for day in labeled])
    units = np.arange(len(labeled))
    statistics = {"loss": proportion(loss, rows, units)}
    interval = bootstrap(statistics, units, _RESAMPLES, _CONFIDENCE, seed=0)["loss"]
    return interval.low, interval.high


def find_loss_limit(
    reference: LossReference,
    days: int,
    rows: int,
    params: MonitorParams,
    generator: np.random.Generator,
) -> float:
    """Return the largest mean loss of windows that are drawn from the held-out days."""
    starts = draw_starts(reference.counts, days, params.draws, generator)
    window = cut_windows(reference.counts[:, :-1], starts, days)
    drawn = draw_rows(window, rows, generator) @ reference.means / rows
    return float(np.quantile(drawn, 1 - params.false_alarms, method="higher"))
