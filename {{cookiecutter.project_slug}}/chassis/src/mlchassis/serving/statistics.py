"""Statistics of answered rows for the metrics: missing values, classes and scores."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlchassis.bundle.scorer import Answers
from mlchassis.contract.model import Contract, class_name
from mlchassis.serving.protocols.types import Rows


@dataclass(frozen=True, slots=True)
class BatchStatistics:
    """Statistics of the rows of one batch.

    Attributes:
        nulls: Missing values by feature column, where there are any.
        classes: Predictions by class name; empty for regression.
        scores: Probabilities of the positive class, or predicted numbers; empty if there are more
            than two classes.
    """

    nulls: Mapping[str, int]
    classes: Mapping[str, int]
    scores: Sequence[float]


class RowStatistics:
    """Counter of one contract's rows; cheap, since each request waits for it."""

    def __init__(self, contract: Contract) -> None:
        places = {column.name: place for place, column in enumerate(contract.request_columns)}
        self.features = [column.name for column in contract.features if column.name in places]
        self.classes = [class_name(label) for label in contract.classes]
        # A required column has no missing value in a row that keeps the contract.
        optional = [column.name for column in contract.features if not column.required]
        self._places = [(name, places[name]) for name in optional if name in places]
        self._names: dict[Any, str] = {label: class_name(label) for label in contract.classes}

    def count(self, batches: Sequence[tuple[Rows, Answers]]) -> BatchStatistics:
        """Return the statistics of rows that were scored together or one batch after another."""
        nulls: dict[str, int] = {}
        classes: dict[str, int] = {}
        scores: list[float] = []
        for rows, answers in batches:
            self._count_nulls(rows, nulls)
            if answers.probabilities is None:
                scores += answers.values.tolist()
                continue
            for label, count in Counter(answers.values.tolist()).items():
                name = self._names[label]
                classes[name] = classes.get(name, 0) + count
            if answers.probabilities.shape[1] == 2:
                scores += answers.probabilities[:, 1].tolist()
        return BatchStatistics(nulls, classes, scores)

    def _count_nulls(self, rows: Rows, nulls: dict[str, int]) -> None:
        for row in rows:
            for name, place in self._places:
                if row[place] is None:
                    nulls[name] = nulls.get(name, 0) + 1
