"""Options of an adoption: location of the table, overrides, and answers to earlier questions."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from mlchassis.adoption.columns.plan import RoleOverrides
from mlchassis.adoption.formats.detect_source import DataLocation
from mlchassis.adoption.formats.overrides import FormatOverrides
from mlchassis.contract.checks import LONGEST_NAME


@dataclass(frozen=True, slots=True)
class AdoptionOptions:
    """Options of one adoption, from the command line.

    Attributes:
        location: Location of the table.
        name: Of the contract and the model; None takes it from the data.
        day_first: True to read ambiguous dates with the day first.
        force: Go on over uncommitted changes.
        formats: Format flags.
        leaky_features: ROC AUC by name of features that alone predict the validation target.
        agreed: To whatever changes in the contract.
    """

    location: DataLocation
    overrides: RoleOverrides
    name: str | None = None
    day_first: bool = True
    force: bool = False
    agreed: bool = False
    formats: FormatOverrides = field(default_factory=FormatOverrides)
    leaky_features: Mapping[str, float] = field(default_factory=dict)


def name_table(location: DataLocation) -> str:
    """A name for the contract and the model, from that of the table."""
    stem = location.name.split(".")[-1 if location.table else 0]
    name = "".join(c if c.isalnum() and c.isascii() else "_" for c in stem.lower()).strip("_")
    return name[:LONGEST_NAME] or "table"
