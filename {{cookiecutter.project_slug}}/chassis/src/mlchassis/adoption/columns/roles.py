"""Roles of columns: decided by profile, flags, or the person at the terminal."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from mlchassis.adoption.columns.keys_and_times import (
    ask_about_groups,
    check_names,
    choose_event_time,
    choose_key,
)
from mlchassis.adoption.columns.plan import Ask, ColumnPlan, RoleOverrides
from mlchassis.adoption.columns.profile import ColumnFacts
from mlchassis.adoption.columns.target import LEAKAGE_AUC, choose_leakage_auc, plan_target
from mlchassis.errors import ProjectError

KEPT = "as it was decided before"
_MAX_SLICES = 3
_MAX_REASONS = 3
_MAX_SLICE_CATEGORIES = 12

_SPECIAL_REASONS = {
    "event_time": "a time in every row, and the name of one: when the event took place",
    "key": "differs in every row, and is named so: it names a row",
}
RoleDecision = tuple[tuple[str, ...], str, str]
"""Roles, the reason, and what a person should still decide."""
_ONE_OF_A_ROW = frozenset({"target", "key", "event_time"})
_LEFT_OUT = "left out of the model and of every log"
_AFTERWARDS = "taken as known only afterwards"


@dataclass(frozen=True, slots=True)
class LeakageEvidence:
    """Evidence that a column is known only after the event.

    Attributes:
        auc: ROC AUC of the column alone.
        reason: Reason that an earlier adoption wrote; empty if there was none.
        sign: Why it is probably known only afterwards, whatever its ROC AUC; may be empty.
        limit: ROC AUC from which on it is suspected.
    """

    auc: float
    reason: str
    sign: str = ""
    limit: float = LEAKAGE_AUC

    @property
    def objection(self) -> str:
        """Reason to suspect it, as the beginning of a sentence; empty without one."""
        if self.auc >= self.limit:
            return f"alone it predicts the target with a ROC AUC of {self.auc:.2f}"
        return self.sign


def plan_columns(
    facts: Mapping[str, ColumnFacts],
    leakage_scores: Mapping[str, float],
    overrides: RoleOverrides,
    previous: Mapping[str, tuple[str, ...]],
    ask: Ask,
    reasons: Mapping[str, str] = MappingProxyType({}),
    find_leakage_signs: Callable[[str | None], Mapping[str, str]] = lambda _: {},
) -> tuple[ColumnPlan, ...]:
    """Choose a role for every column.

    Args:
        facts: Profiles by column.
        leakage_scores: Leakage score by column: ROC AUC of the column alone.
        overrides: Decisions made by flags.
        previous: Roles in the contract that is there already, which stay as they are.
        ask: Callback for the user's answer; the safe one where nobody can be asked.
        reasons: Of those roles, as that contract's comments give them.
        find_leakage_signs: Function from the event-time column to the reasons to suspect columns.

    Raises:
        ProjectError: A flag names no column, or nothing can be predicted from this table.
    """
    check_names(facts, overrides)
    target = plan_target(facts[overrides.target], overrides)
    event_time = choose_event_time(facts, overrides, previous, ask)
    special = {event_time: "event_time", choose_key(facts, overrides, previous): "key"}
    signs = find_leakage_signs(event_time)
    limit = choose_leakage_auc(target)
    plans = []
    for name, column in facts.items():
        if name == overrides.target:
            plans.append(target)
        elif name in special:
            plans.append(_plan_special(column, special[name], overrides, previous))
        else:
            score = leakage_scores.get(name, 0.5)
            evidence = LeakageEvidence(score, reasons.get(name, ""), signs.get(name, ""), limit)
            plans.append(_plan_other(column, evidence, overrides, previous, ask))
    _check_features(plans)
    return _add_slices(plans, previous)


def _plan_special(
    column: ColumnFacts,
    role: str,
    overrides: RoleOverrides,
    previous: Mapping[str, tuple[str, ...]],
) -> ColumnPlan:
    """Plan the key or the event time; it keeps the roles that it had."""
    before = previous.get(column.name, ())
    tags = before if role in before else (role,)
    if column.name in overrides.pii and "pii" not in tags:
        tags = (*tags, "pii")
    return ColumnPlan(column, column.kind or "string", tags, _SPECIAL_REASONS[role])


def _plan_other(
    column: ColumnFacts,
    evidence: LeakageEvidence,
    overrides: RoleOverrides,
    previous: Mapping[str, tuple[str, ...]],
    ask: Ask,
) -> ColumnPlan:
    tags, reason, question = _decide(column, evidence, overrides, previous, ask)
    return ColumnPlan(column, column.kind or "string", tags, reason, question=question)


def _check_features(plans: Sequence[ColumnPlan]) -> None:
    """Reject a table without a feature, with the reasons why columns were left out."""
    if any(column.has("feature") for column in plans):
        return
    others = [column for column in plans if not column.has("target")]
    shown = [f"'{column.facts.name}': {column.reason}" for column in others[:_MAX_REASONS]]
    rest = len(others) - len(shown)
    listed = "; ".join([*shown, f"{rest} more columns"] if rest else shown)
    reasons = f" ({listed})" if listed else ""
    raise ProjectError(
        f"No column is left to predict from{reasons}; name one that is known in time with "
        "--feature, or bring a table with other columns."
    )


def _add_slices(
    plans: Sequence[ColumnPlan], previous: Mapping[str, tuple[str, ...]]
) -> tuple[ColumnPlan, ...]:
    """Add the role `slice` to the first new features with few categories."""
    free = _MAX_SLICES - sum("slice" in tags for tags in previous.values())
    planned = []
    for column in plans:
        is_new = column.facts.name not in previous and column.tags == ("feature",)
        is_slice = free > 0 and is_new and _may_slice(column.facts)
        free -= int(is_slice)
        planned.append(replace(column, tags=("feature", "slice")) if is_slice else column)
    return tuple(planned)


def _decide(
    column: ColumnFacts,
    evidence: LeakageEvidence,
    overrides: RoleOverrides,
    previous: Mapping[str, tuple[str, ...]],
    ask: Ask,
) -> RoleDecision:
    before = previous.get(column.name)
    if override := _apply_override(column, overrides):
        return (before, *override[1:]) if before and _is_covered(override[0], before) else override
    # A column that was the target or named a row, and does no more, is decided like a new one.
    if before is not None and not _ONE_OF_A_ROW & set(before):
        return before, KEPT, _ask_again(column, before, evidence.reason)
    if reason := _explain_no_use(column):
        return (), reason, ""
    return _ask_about_suspicion(column, evidence, overrides, ask) or (
        ("feature",),
        _describe(column),
        ask_about_groups(column.name),
    )


def _is_covered(override: tuple[str, ...], before: tuple[str, ...]) -> bool:
    """True if the requested roles exist already, beside others that stay."""
    deciding = {"feature", "leakage"}
    return set(override) <= set(before) and deciding & set(override) == deciding & set(before)


def _ask_again(column: ColumnFacts, tags: tuple[str, ...], reason: str) -> str:
    """The question that an earlier adoption left open; empty where somebody has answered it."""
    if "leakage" in tags and reason.endswith(_AFTERWARDS):
        return f"{reason}; {_offer_feature(column.name, 'is known in time')}"
    if "pii" in tags and reason.endswith(_LEFT_OUT) and "asked" not in reason:
        return f"{reason}; {_offer_feature(column.name, 'may be used')}"
    if "feature" in tags and "sensitive" not in tags:
        return ask_about_groups(column.name)
    return ""


def _offer_feature(name: str, condition: str) -> str:
    return f"if it {condition}, run again with --feature '{name}'"


def _apply_override(column: ColumnFacts, overrides: RoleOverrides) -> RoleDecision | None:
    name = column.name
    person = ("pii",) if name in overrides.pii else ()
    if name in overrides.leakage:
        return ("leakage", *person), "known only afterwards, as --leakage says", ""
    if name in overrides.features:
        return ("feature", *person), "known in time, as --feature says", ""
    if name == overrides.group:
        return person, "rows that share it stay together in one split", ""
    if person:
        return person, "personal data, as --pii says: left out of the model and of every log", ""
    return None


def _ask_about_suspicion(
    column: ColumnFacts, evidence: LeakageEvidence, overrides: RoleOverrides, ask: Ask
) -> RoleDecision | None:
    """Ask about a suspected column; leave it out where nobody answers."""
    name = column.name
    if column.person:
        if not ask(f"'{name}' may be about a person ({column.person}). Leave it out?", True):
            return ("feature",), "asked: may be used", ""
        if overrides.attended:
            return ("pii",), f"{column.person}; asked: {_LEFT_OUT}", ""
        reason = f"{column.person}: {_LEFT_OUT}"
        return ("pii",), reason, f"{reason}; {_offer_feature(name, 'may be used')}"
    if objection := evidence.objection:
        if not ask(f"'{name}': {objection}. Is it known only after the event?", True):
            return ("feature",), f"{objection}; asked: known in time", ""
        if overrides.attended:
            return ("leakage",), f"{objection}; asked: known only afterwards", ""
        reason = f"{objection}: {_AFTERWARDS}"
        return ("leakage",), reason, f"{reason}; {_offer_feature(name, 'is known in time')}"
    return None


def _explain_no_use(column: ColumnFacts) -> str:
    """Why a column cannot help; empty where it may."""
    if column.kind is None:
        return "no value in any row: left out"
    if column.constant:
        return "the same value in every row: left out"
    if column.counts_rows:
        return "numbers the rows, so it predicts nothing: left out"
    if column.person:
        return ""  # Where it goes is decided with more care.
    if column.has_sentences:
        return f"sentences ({column.mean_length:.0f} characters on average): left out"
    if column.unique and column.undecided:
        return f"{column.note}; left out until that is decided"
    if column.unique and (column.kind == "string" or column.named_as_key):
        return "differs in every row, so it predicts nothing: left out"
    return ""


def _describe(column: ColumnFacts) -> str:
    missing = column.rows - column.present
    gaps = f"{missing / column.rows:.1%} missing" if missing else "never missing"
    values = f"{column.distinct:,} different values"
    if column.kind == "string" and not column.has_few_categories:
        values += ", the rare ones count as one (train.min_category_count)"
    return "; ".join(filter(None, (values, gaps, column.note)))


def _may_slice(column: ColumnFacts) -> bool:
    few = 2 <= column.distinct <= _MAX_SLICE_CATEGORIES
    return few and (column.kind == "boolean" or column.has_few_categories)
