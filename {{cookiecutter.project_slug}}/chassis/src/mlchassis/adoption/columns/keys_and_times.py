"""Key and time inference: from flags, an older contract, or the column facts."""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mlchassis.adoption.columns.profile import ColumnFacts
from mlchassis.contract.checks import suggest
from mlchassis.errors import ProjectError

if TYPE_CHECKING:
    from mlchassis.adoption.columns.roles import Ask, Wishes


def choose_event_time(
    facts: Mapping[str, ColumnFacts],
    wishes: "Wishes",
    previous: Mapping[str, tuple[str, ...]],
    ask: "Ask",
) -> str | None:
    """The column that says when a row's event took place, or None.

    Raises:
        ProjectError: Several could be it, and nobody says which; or the named one has blanks.
    """
    settled = _settled("event_time", wishes.event_time, previous)
    if settled == "none":
        return None
    if settled:
        if wishes.event_time and not facts[settled].complete:
            raise ProjectError(_explain_blanks(facts[settled]))
        return settled
    candidates = [c.name for c in facts.values() if c.may_be_event_time and c.name != wishes.target]
    named = [name for name in candidates if facts[name].named_as_event_time]
    if len(named) > 1 or (candidates and not named):
        for name in named or candidates:
            if ask(f"Does '{name}' say when a row's event took place?", False):
                return name
        raise ProjectError(_explain_event_time(named or candidates))
    return named[0] if named else None


def _explain_blanks(column: ColumnFacts) -> str:
    return (
        f"'{column.name}' is empty in {column.rows - column.present:,} of {column.rows:,} rows, so "
        "it cannot say when a row's event took place; fill these cells or remove the rows, or say "
        "--event-time none."
    )


def _explain_event_time(candidates: Sequence[str]) -> str:
    if len(candidates) == 1:
        return (
            f"'{candidates[0]}' could say when a row's event took place; say --event-time "
            f"'{candidates[0]}' if it does, or --event-time none."
        )
    return (
        f"Several columns could say when a row's event took place ({', '.join(candidates)}); name "
        "the one with --event-time, or say --event-time none."
    )


def choose_key(
    facts: Mapping[str, ColumnFacts], wishes: "Wishes", previous: Mapping[str, tuple[str, ...]]
) -> str | None:
    """The column that names a row, or None."""
    settled = _settled("key", wishes.key, previous)
    if settled:
        return None if settled == "none" else settled
    candidates = [c.name for c in facts.values() if c.may_be_key and c.named_as_key]
    return next((name for name in candidates if name != wishes.target), None)


_GROUPS = re.compile(
    "(^|_| )(sex|gender|age|race|ethnic(ity)?|religion|nationality|disability|marital( |_)status)"
    "($|_| )",
    re.IGNORECASE,
)


def ask_about_groups(name: str) -> str:
    """Question on a column that may describe a protected group; empty if it does not."""
    if not _GROUPS.search(name):
        return ""
    return (
        "it may make groups of people who must be treated equally; if so, add the tag 'sensitive' "
        "in contract.yaml, and the gates compare them"
    )


def _settled(role: str, wish: str | None, previous: Mapping[str, tuple[str, ...]]) -> str | None:
    """Return the column that a flag or the existing contract gives a role."""
    if wish or not previous:
        return wish
    return next((name for name, tags in previous.items() if role in tags), "none")


def check_names(facts: Mapping[str, ColumnFacts], wishes: "Wishes") -> None:
    """Refuses a flag that names a column which is not there.

    Raises:
        ProjectError: The table has no such column.
    """
    named = [wishes.target, wishes.key, wishes.event_time, wishes.group]
    for name in (*named, *wishes.features, *wishes.leakage, *wishes.pii):
        if name not in (None, "none") and name not in facts:
            raise ProjectError(f"The table has no column '{name}'{suggest(str(name), facts)}.")
