"""Contract check of logged rows."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pandas as pd

from mlchassis.contract.model import Contract
from mlchassis.contract.table_checks import find_reasons
from mlchassis.data.tables import coerce
from mlchassis.errors import ProjectError
from mlchassis.monitoring.prediction_log import LoggedRow
from mlchassis.monitoring.results import Quality


@dataclass(slots=True)
class DayQuality:
    """Contract check of one day's rows."""

    rows: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    lacking: set[str] = field(default_factory=set)


class QualityCheck:
    """Checker of the log's chunks by the deployed model's contract.

    Rows of an older contract version were valid by another contract, so they are left out.
    Columns of persons are not logged, so they are left out too.

    Args:
        contract: Contract of the deployed model.
    """

    def __init__(self, contract: Contract) -> None:
        self._version = contract.version
        # Duplicate keys are repeated requests.
        columns = [
            replace(column, roles=column.roles - {"key"})
            for column in contract.features
            if column not in contract.pii
        ]
        self._contract = replace(contract, columns=tuple(columns))
        self.days: dict[str, DayQuality] = {}

    def add(self, rows: Sequence[LoggedRow]) -> None:
        """Check some rows."""
        current = [row for row in rows if row.contract_version == self._version]
        for row in current:
            self.days.setdefault(row.day, DayQuality()).rows += 1
        if not current:
            return
        frame = pd.DataFrame([row.inputs for row in current])
        names = [column.name for column in self._contract.columns]
        for name in set(names) - set(frame.columns):
            for row in current:
                self.days[row.day].lacking.add(name)
        frame = frame.reindex(columns=names)
        for place, reason in self._find_reasons(frame).items():
            self.days[current[place].day].reasons[reason] += 1

    def _find_reasons(self, frame: pd.DataFrame) -> dict[int, str]:
        """Return the first broken rule of each invalid row, by the row's position."""
        try:
            typed = coerce(frame, self._contract)
        except ProjectError:
            return self._find_mistyped(frame)
        reasons = find_reasons(typed, self._contract)
        places = reasons.index.to_numpy(dtype=int).tolist()
        return dict(zip(places, reasons.to_list(), strict=True))

    def _find_mistyped(self, frame: pd.DataFrame) -> dict[int, str]:
        """Return the reasons of a frame with a value of another type, found by halves."""
        if len(frame) == 1:
            return {int(frame.index[0]): "a value has another type than its column"}
        middle = len(frame) // 2
        return {**self._find_reasons(frame[:middle]), **self._find_reasons(frame[middle:])}


def summarize_quality(days: dict[str, DayQuality], window: Sequence[str]) -> Quality:
    """Add up the checks of a window's days."""
    checked = [days[day] for day in window if day in days]
    reasons: Counter[str] = Counter()
    lacking: set[str] = set()
    for day in checked:
        reasons.update(day.reasons)
        lacking |= day.lacking
    return Quality(
        rows=sum(day.rows for day in checked),
        invalid=sum(reasons.values()),
        reasons=dict(reasons.most_common()),
        lacking=sorted(lacking),
    )
