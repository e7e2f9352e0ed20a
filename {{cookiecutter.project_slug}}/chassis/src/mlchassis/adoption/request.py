"""The request of an adoption: a table, flags, and answers to earlier questions."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from mlchassis.adoption.columns.roles import Wishes
from mlchassis.adoption.formats.detect_source import Place
from mlchassis.adoption.formats.overrides import FormatOverrides
from mlchassis.contract.checks import LONGEST_NAME


@dataclass(frozen=True, slots=True)
class Request:
    """Options of one adoption.

    Attributes:
        place: Location of the table.
        name: Of the contract and the model; None takes it from the data.
        day_first: True to read ambiguous dates with the day first.
        force: Go on over uncommitted changes.
        formats: Format flags.
        telling: Features that alone tell the outcome of the validation data: ROC AUC by name.
        agreed: To whatever changes in the contract.
    """

    place: Place
    wishes: Wishes
    name: str | None = None
    day_first: bool = True
    force: bool = False
    agreed: bool = False
    formats: FormatOverrides = field(default_factory=FormatOverrides)
    telling: Mapping[str, float] = field(default_factory=dict)


def name_table(place: Place) -> str:
    """A name for the contract and the model, from that of the table."""
    stem = place.name.split(".")[-1 if place.table else 0]
    name = "".join(c if c.isalnum() and c.isascii() else "_" for c in stem.lower()).strip("_")
    return name[:LONGEST_NAME] or "table"
