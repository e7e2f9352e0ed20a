"""Shape of `reports/split.json`."""

from typing import ClassVar

from pydantic import Field

from mlchassis.reports import ReportPart, StageReport


class RowAccount(ReportPart):
    """All rows that the source ever offered, by what became of them."""

    offered: int
    not_yet_arrived: int
    quarantined: int
    unlabeled: int
    used: int

    def spell(self) -> list[tuple[str, str]]:
        """Return the name and the number of each part: "not yet arrived" and "111,913"."""
        return [(name.replace("_", " "), f"{count:,}") for name, count in self]


class SplitFacts(ReportPart):
    """Rows of one split.

    Attributes:
        begin: Earliest event time (ISO 8601); None without event times.
        until: Latest event time.
        target_mean: Mean of the target, or the proportion of the last of two classes.
        target_proportions: Proportion of each class, where there are more than two.
    """

    rows: int
    begin: str | None = Field(default=None, alias="from")
    until: str | None = None
    target_mean: float | None = None
    target_proportions: dict[str, float] | None = None


class SplitsFacts(ReportPart):
    """Facts by split."""

    train: SplitFacts
    validation: SplitFacts
    test: SplitFacts


class SplitReport(StageReport):
    """Facts about the splits.

    Attributes:
        account: Number of rows by what became of them.
        explanation: Sentences on how rows were split, and what speaks against it.
    """

    file: ClassVar[str] = "split.json"

    account: RowAccount
    splits: SplitsFacts
    explanation: str
