"""Key and time inference: from flags, an older contract, or the column facts."""

import re
from collections.abc import Collection, Mapping, Sequence

from mlchassis.adoption.columns.plan import Ask, RoleOverrides
from mlchassis.adoption.columns.profile import ColumnFacts
from mlchassis.contract.checks import suggest
from mlchassis.errors import ProjectError


def choose_event_time(
    facts: Mapping[str, ColumnFacts],
    overrides: RoleOverrides,
    previous: Mapping[str, tuple[str, ...]],
    ask: Ask,
) -> str | None:
    """The column that says when a row's event took place, or None.

    Raises:
        ProjectError: Several could be it, and nobody says which; or the named one has blanks.
    """
    settled = _settled("event_time", overrides.event_time, previous)
    if settled == "none":
        return None
    if settled:
        if overrides.event_time and not facts[settled].complete:
            raise ProjectError(_explain_blanks(facts[settled]))
        return settled
    candidates = [
        c.name for c in facts.values() if c.may_be_event_time and c.name != overrides.target
    ]
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
    facts: Mapping[str, ColumnFacts],
    overrides: RoleOverrides,
    previous: Mapping[str, tuple[str, ...]],
) -> str | None:
    """The column that names a row, or None."""
    settled = _settled("key", overrides.key, previous)
    if settled:
        return None if settled == "none" else settled
    candidates = [c.name for c in facts.values() if c.may_be_key and c.named_as_key]
    return next((name for name in candidates if name != overrides.target), None)


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


def _settled(role: str, flag: str | None, previous: Mapping[str, tuple[str, ...]]) -> str | None:
    """Return the column that a flag or the existing contract gives a role."""
    if flag or not previous:
        return flag
    return next((name for name, tags in previous.items() if role in tags), "none")


def check_names(names: Collection[str], overrides: RoleOverrides) -> None:
    """Reject an option that names an unknown column.

    Raises:
        ProjectError: The table has no such column.
    """
    named = [overrides.target, overrides.key, overrides.event_time, overrides.group]
    for name in (*named, *overrides.features, *overrides.leakage, *overrides.pii):
        if name not in (None, "none") and name not in names:
            raise ProjectError(f"The table has no column '{name}'{suggest(str(name), names)}.")
