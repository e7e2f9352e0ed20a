"""Plan of a column: its role in the contract, decided by flags, by its profile or by a person."""

from collections.abc import Callable
from dataclasses import dataclass

from mlchassis.adoption.columns.profile import ColumnFacts
from mlchassis.contract.model import ClassLabel, Kind, Task

Ask = Callable[[str, bool], bool]
"""A question and what is safe, to the answer; without a terminal the safe one."""


@dataclass(frozen=True, slots=True)
class RoleOverrides:
    """Decisions made by flags.

    Attributes:
        task: Overrules what the target looks like.
        positive: The value of a two-valued target that is to be found.
        key: Column that names a row; "none" for no such column. None lets the facts decide.
        event_time: Like `key`, for the time of the event.
        group: Column whose rows stay together in one split.
        features: Columns that are features whatever speaks against it.
        leakage: Columns that are known only after the event.
        pii: Columns about a person.
        attended: True if somebody at the terminal can answer questions.
    """

    target: str
    task: Task | None = None
    positive: str | None = None
    key: str | None = None
    event_time: str | None = None
    group: str | None = None
    features: frozenset[str] = frozenset()
    leakage: frozenset[str] = frozenset()
    pii: frozenset[str] = frozenset()
    attended: bool = False


@dataclass(frozen=True, slots=True)
class ColumnPlan:
    """Role of a column in the contract, with its reason.

    Attributes:
        kind: "string" for a column without any value.
        tags: Its roles.
        reason: Why: one line.
        classes: For a target of classes, all of them; of two, the last is the positive one.
        question: Decision left to a person; may be empty.
    """

    facts: ColumnFacts
    kind: Kind
    tags: tuple[str, ...]
    reason: str
    classes: tuple[ClassLabel, ...] = ()
    question: str = ""

    def has(self, tag: str) -> bool:
        """True if the column has the role."""
        return tag in self.tags
