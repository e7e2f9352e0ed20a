"""Windows of production, compared with a bundle's reference."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from mlchassis.bundle.cells import Counts, Signal
from mlchassis.bundle.daily_counts import NO_DAY, DailyReference
from mlchassis.config.params import MonitorParams
from mlchassis.monitoring.counting import Daily, LogCounts, sum_days
from mlchassis.monitoring.drift.distances import Floats, measure_distances
from mlchassis.monitoring.drift.related import RelatedHistory, compare_related, read_related
from mlchassis.monitoring.drift.thresholds import (
    History,
    Limits,
    find_limits,
    find_nearest,
    find_statistics,
)
from mlchassis.monitoring.performance import LossReference, measure_performance
from mlchassis.monitoring.results import (
    STATISTICS,
    ColumnDistances,
    DriftTest,
    Season,
    SeasonDistance,
    Window,
)

PREDICTION = "prediction"
"""Name of the answers among the columns."""
_YEAR = timedelta(days=364)
"""52 weeks: the same days of the week."""
_LEAST_SEASON_ROWS = 100


@dataclass(frozen=True, slots=True)
class Reference:
    """A bundle's reference, read once.

    Attributes:
        inputs: Tested feature columns.
        prediction: Answers to the held-out rows, by the name PREDICTION.
        loss: Losses of the held-out rows.
        estimated_loss: Estimates of these losses.
        related: Related columns that are tested, by their names.
    """

    days: tuple[str, ...]
    inputs: dict[str, History]
    prediction: dict[str, History]
    loss: LossReference
    estimated_loss: LossReference
    related: dict[tuple[str, str], RelatedHistory]

    @classmethod
    def read(cls, daily: DailyReference, left_out: Sequence[str]) -> "Reference":
        """Read the counts of a reference without some columns."""
        inputs = {
            name: _read_history(signal)
            for name, signal in daily.features.items()
            if name not in left_out
        }
        prediction = {PREDICTION: _read_history(daily.prediction)}
        realized = _read_losses(daily.loss)
        # A bundle of an older version has no estimates.
        estimated = _read_losses(daily.estimated_loss or daily.loss)
        related = read_related(daily.relations.every, left_out)
        return cls(daily.days, inputs, prediction, realized, estimated, related)


def _read_losses(signal: Signal) -> LossReference:
    return LossReference(signal.counts, np.array(signal.cells.means))


def _read_history(signal: Signal) -> History:
    return History(signal.cells, signal.counts)


def drop_stray_days(rows: Mapping[str, int], now: datetime, min_rows: int) -> list[str]:
    """Return the days of the log, in order, without the last ones that hardly any row has.

    Windows are counted back from the newest day. A single row with a mistyped year would be a
    window of its own and hide all others, so days after today count if enough rows are that late.

    Args:
        rows: Rows of each day.
        now: Time from which on days lie in the future.
        min_rows: Rows that a window needs.
    """
    days = sorted(rows)
    today = now.astimezone(UTC).date().isoformat()
    late = 0
    while len(days) > 1 and days[-1] > today:
        late += rows[days[-1]]
        if late >= min_rows:
            break
        days.pop()
    return days


def list_windows(days: Sequence[str], params: MonitorParams) -> list[list[str]]:
    """Return the days of the newest windows, the oldest window first.

    Windows are counted back from the newest day of the log.
    """
    if not days:
        return []
    newest = date.fromisoformat(max(days))
    windows = []
    for back in range(params.windows):
        end = newest - timedelta(days=back * params.window_days)
        windows.append(
            [(end - timedelta(days=day)).isoformat() for day in reversed(range(params.window_days))]
        )
    oldest = min(days)
    return [window for window in reversed(windows) if window[-1] >= oldest]


def compare_window(
    days: Sequence[str],
    counts: LogCounts,
    reference: Reference,
    params: MonitorParams,
    seed: int,
) -> tuple[Window, int]:
    """Compare one window with the reference.

    Returns:
        The window, and the number of different windows of its length in the reference.
    """
    rows = sum(counts.rows.get(day, 0) for day in days)
    enough = rows >= params.min_rows
    window = Window(start=days[0], end=days[-1], rows=rows, enough=enough)
    if not enough:
        return window, 0
    generator = np.random.default_rng(seed)
    inputs = _sum_columns(counts.features, days, reference.inputs)
    answers = _sum_columns({PREDICTION: counts.prediction}, days, reference.prediction)
    tests, limits = _test(reference.inputs, inputs, len(days), params, generator)
    more, _ = _test(reference.prediction, answers, len(days), params, generator)
    facts = {
        "tests": [*tests, *more],
        "distances": [
            *_measure(reference.inputs, inputs),
            *_measure(reference.prediction, answers),
        ],
        "related": compare_related(reference.related, counts.relations, days, params, generator),
        "season": compare_season(days, inputs, reference),
        "performance": measure_performance(
            days, counts.losses, reference.loss, reference.estimated_loss, params, generator
        ),
    }
    return window.model_copy(update=facts), limits.blocks if limits else 0


def _sum_columns(
    counts: Mapping[str, Daily], days: Sequence[str], reference: Mapping[str, History]
) -> dict[str, Counts]:
    """Return the rows by cell of a window, for each column of the reference."""
    return {
        name: sum_days(counts.get(name, {}), days, history.cells.size)
        for name, history in reference.items()
    }


def _test(
    reference: dict[str, History],
    window: dict[str, Counts],
    days: int,
    params: MonitorParams,
    generator: np.random.Generator,
) -> tuple[list[DriftTest], Limits | None]:
    """Test the columns of which the window has enough rows."""
    tested = {name: reference[name] for name in reference if window[name].sum() >= params.min_rows}
    if not tested:
        return [], None
    rows = min(int(window[name].sum()) for name in tested)
    limits = find_limits(tested, days, rows, params.draws, params.false_alarms, generator)
    tests = []
    for name, history in tested.items():
        now = window[name].astype(np.float64)[np.newaxis]
        nearest = find_nearest(history, days, now)
        tests += [
            DriftTest(
                column=name,
                statistic=statistic,
                value=float(nearest[statistic][0]),
                limit=limits.by_test[name, statistic],
            )
            for statistic in STATISTICS
        ]
    return tests, limits


def _measure(reference: dict[str, History], window: dict[str, Counts]) -> list[ColumnDistances]:
    measured = []
    for name, history in reference.items():
        now = window[name].astype(np.float64)
        if not now.sum():
            continue
        before = history.counts.sum(axis=0).astype(np.float64)
        distances = measure_distances(history.cells, before, now)
        measured.append(
            ColumnDistances(
                column=name,
                ks=_drop_nan(distances.ks),
                jensen_shannon=distances.jensen_shannon,
                wasserstein=_drop_nan(distances.wasserstein),
                psi=distances.psi,
                missing=distances.missing,
                missing_before=distances.missing_before,
            )
        )
    return measured


def _drop_nan(value: float) -> float | None:
    return None if np.isnan(value) else value


def compare_season(
    days: Sequence[str], window: dict[str, Counts], reference: Reference
) -> Season | None:
    """Compare a window with the same days a year earlier; None where the reference has none."""
    earlier = [(date.fromisoformat(day) - _YEAR).isoformat() for day in days]
    chosen = _find_days(reference.days, earlier)
    if not chosen.any():
        return None
    distances = []
    rows = 0
    for name, history in reference.inputs.items():
        before: Floats = history.counts[chosen].sum(axis=0, keepdims=True).astype(np.float64)
        now = window[name].astype(np.float64)[np.newaxis]
        rows = int(before.sum())
        if now.sum():
            value = find_statistics(history.cells, before, now)["distribution"]
            distances.append(SeasonDistance(column=name, value=float(value[0, 0])))
    if rows < _LEAST_SEASON_ROWS:
        return None
    return Season(start=earlier[0], end=earlier[-1], rows=rows, distances=distances)


def _find_days(days: Sequence[str], wanted: Sequence[str]) -> NDArray[np.bool_]:
    names = {day for day in wanted if day != NO_DAY}
    return np.array([day in names for day in days], dtype=bool)
