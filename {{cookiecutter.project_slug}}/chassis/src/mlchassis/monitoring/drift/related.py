"""Tests of related columns: values that no longer fit each other, though each looks ordinary."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mlchassis.bundle.relations import Relation
from mlchassis.config.params import MonitorParams
from mlchassis.monitoring.counting import Daily, sum_days
from mlchassis.monitoring.drift.distances import Floats
from mlchassis.monitoring.drift.thresholds import History, find_limits, find_nearest
from mlchassis.monitoring.results import RelatedTest

Names = tuple[str, str]
"""Names of two related columns."""


@dataclass(frozen=True, slots=True)
class RelatedHistory:
    """Related columns of the reference, by day.

    Attributes:
        history: Rows by day and cell.
        unusual: Cells that hardly any row has.
    """

    history: History
    unusual: tuple[int, ...]

    def find_unusual(self, counts: Floats) -> float:
        """Return the proportion of unusual rows."""
        return float(counts[list(self.unusual)].sum() / max(1.0, counts.sum()))


def read_related(
    relations: Sequence[Relation], left_out: Sequence[str]
) -> dict[Names, RelatedHistory]:
    """Read the relations of a reference, without those that name some columns."""
    return {
        relation.names: RelatedHistory(
            History(relation.signal.cells, relation.signal.counts), relation.unusual
        )
        for relation in relations
        if not set(relation.names) & set(left_out)
    }


def compare_related(
    reference: Mapping[Names, RelatedHistory],
    counts: Mapping[Names, Daily],
    days: Sequence[str],
    params: MonitorParams,
    generator: np.random.Generator,
) -> list[RelatedTest]:
    """Test the relations of which the window has enough rows; limits cover all of them together.

    Args:
        reference: Relations of the reference.
        counts: Relations of the log, by day.
        days: Days of the window.
        params: Settings of the monitor.
        generator: Source of chance.
    """
    summed = {
        names: sum_days(counts.get(names, {}), days, related.history.cells.size).astype(np.float64)
        for names, related in reference.items()
    }
    # A number that is missing has no residual.
    rows = {names: int(window[:-1].sum()) for names, window in summed.items()}
    tested = {" ".join(names): names for names in reference if rows[names] >= params.min_rows}
    if not tested:
        return []
    histories = {key: reference[names].history for key, names in tested.items()}
    fewest = min(int(summed[names].sum()) for names in tested.values())
    limits = find_limits(histories, len(days), fewest, params.draws, params.false_alarms, generator)
    return [
        _test(
            names, reference[names], summed[names], len(days), limits.by_test[key, "distribution"]
        )
        for key, names in tested.items()
    ]


def _test(
    names: Names, related: RelatedHistory, window: Floats, days: int, limit: float
) -> RelatedTest:
    nearest = find_nearest(related.history, days, window[np.newaxis])
    return RelatedTest(
        columns=names,
        value=float(nearest["distribution"][0]),
        limit=limit,
        unusual=related.find_unusual(window),
        unusual_before=related.find_unusual(related.history.counts.sum(axis=0).astype(np.float64)),
    )
