"""Columns that a model does not see, with the reason of each."""

from collections.abc import Iterator

from mlchassis.contract.model import Column, Contract
from mlchassis.html.blocks import Section, Table, Text


def describe_left_out(contract: Contract) -> Iterator[Section]:
    """A section about the columns that are not features; none where all are."""
    used = {"feature", "target", "key", "event_time"}
    rows = [(c.name, _explain(c)) for c in contract.columns if not c.roles & used]
    if rows:
        yield Section(
            "Columns that are left out",
            [
                Text("The model does not see these columns of the table."),
                Table(("column", "reason"), rows),
            ],
        )


def _explain(column: Column) -> str:
    if column.reason:
        return column.reason
    if "leakage" in column.roles:
        return "known only after the event"
    if "pii" in column.roles:
        return "about a person"
    return column.description or "not tagged as a feature in contract.yaml"
