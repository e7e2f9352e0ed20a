"""Shape of `reports/validation.json`."""

from typing import Annotated, Any, ClassVar

from pydantic import Discriminator, Tag

from mlchassis.reports import ReportPart, StageReport


class MonthFacts(ReportPart):
    """Accepted rows of one month.

    Attributes:
        labeled: Proportion of rows with a label.
        missing: Proportion of empty cells in the features.
        target_mean: Mean of the target, or the proportion of the last of two classes; None without
            labels.
        target_proportions: Proportion of each class, where there are more than two.
    """

    rows: int
    labeled: float
    missing: float
    target_mean: float | None = None
    target_proportions: dict[str, float] | None = None


class ColumnFacts(ReportPart):
    """A column without a distribution: of times, or empty.

    Attributes:
        missing: Proportion of empty cells by month.
    """

    description: str
    missing: dict[str, float]


class NumberFacts(ColumnFacts):
    """Distribution of a column of numbers.

    Attributes:
        edges: Inner edges of the ranges.
        proportions: Proportion of each range: one more than there are edges.
        typical: Median by month; None in a month without a value.
    """

    edges: list[float]
    proportions: list[float]
    typical: dict[str, float | None]


class CategoryFacts(ColumnFacts):
    """Distribution of a column of categories or few numbers.

    Attributes:
        values: Proportion of each of the commonest categories.
        distinct: Number of all categories.
        commonest: The commonest category.
        typical: Proportion of the commonest category by month; None in a month without a value.
    """

    values: dict[str, float]
    distinct: int
    commonest: str
    typical: dict[str, float | None]


def _find_kind(facts: Any) -> str:
    """Return the kind of a column by the facts that it has, as a model or as JSON."""
    keys = facts if isinstance(facts, dict) else vars(facts)
    if "edges" in keys:
        return "numbers"
    return "categories" if "values" in keys else "column"


ColumnReport = Annotated[
    Annotated[NumberFacts, Tag("numbers")]
    | Annotated[CategoryFacts, Tag("categories")]
    | Annotated[ColumnFacts, Tag("column")],
    Discriminator(_find_kind),
]


class ValidationReport(StageReport):
    """Facts about the rows that `validate` read.

    Attributes:
        reasons: Number of quarantined rows by reason.
        duplicates: Accepted rows that equal an earlier one in every column.
        shifts: Abrupt shifts that stop the stage.
        accepted_shifts: Abrupt shifts that `validate.accepted_shifts` accepts.
        months: Accepted rows by month.
        columns: Distribution by column.
    """

    file: ClassVar[str] = "validation.json"

    rows: int
    accepted: int
    quarantined: int
    reasons: dict[str, int]
    duplicates: int
    shifts: list[str]
    accepted_shifts: list[str]
    months: dict[str, MonthFacts]
    columns: dict[str, ColumnReport]
