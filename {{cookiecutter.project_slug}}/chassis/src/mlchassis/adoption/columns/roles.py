"""Roles of columns: decided by profile, flags, or the person at the terminal."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from mlchassis.adoption.columns.keys_and_times import (
    ask_about_groups,
    check_names,
    choose_event_time,
    choose_key,
)
from mlchassis.adoption.columns.profile import ColumnFacts
from mlchassis.contract.model import ClassLabel, Kind, Task
from mlchassis.errors import ProjectError

SUSPICIOUS_AUC = 0.95
"""A column that tells the target so well by itself was most likely filled in afterwards."""
SUSPICIOUS_CLASS_AUC = 0.995
"""The same for one class of several, of which the easiest counts.

One class of three that lies three standard deviations from the others, as one species of penguins
or flowers does, gives an honest column 0.98. What is filled in afterwards marks its class exactly.
"""
MOST_CLASSES = 50
LEAST_ROWS_PER_CLASS = 10
_MOST_CLASS_NUMBERS = 20
KEPT = "as it was decided before"
_MOST_SLICES = 3
_MOST_SLICE_WORDS = 12

Ask = Callable[[str, bool], bool]
"""A question and what is safe, to the answer; without a terminal the safe one."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """Decisions made by flags.

    Attributes:
        task: Overrules what the target looks like.
        positive: The value of a two-valued target that is to be found.
        key: Column that names a row; "none" for no such column. None lets the facts decide.
        event_time: As `key`, for the time of the event.
        group: Column whose rows stay together in one window.
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
class Planned:
    """A column's place in the contract.

    Attributes:
        kind: A column without any value counts as words.
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


def plan_columns(
    facts: Mapping[str, ColumnFacts],
    suspicion: Mapping[str, float],
    wishes: Wishes,
    previous: Mapping[str, tuple[str, ...]],
    ask: Ask,
    reasons: Mapping[str, str] = MappingProxyType({}),
    find_signs: Callable[[str | None], Mapping[str, str]] = lambda _: {},
) -> tuple[Planned, ...]:
    """Decides about every column.

    Args:
        facts: Profiles by column.
        suspicion: Leakage score by column: ROC AUC of the column alone.
        wishes: Decisions made by flags.
        previous: Roles in the contract that is there already, which stay as they are.
        ask: Function that settles doubts.
        reasons: Of those roles, as that contract's comments give them.
        find_signs: From the column of the event's time to what speaks against each column.

    Raises:
        ProjectError: A flag names no column, or nothing can be predicted from this table.
    """
    check_names(facts, wishes)
    event_time = choose_event_time(facts, wishes, previous, ask)
    signs = find_signs(event_time)
    special = {
        wishes.target: "target",
        event_time: "event_time",
        choose_key(facts, wishes, previous): "key",
    }
    planned = []
    suspicious = find_suspicious_auc(plan_target(facts[wishes.target], wishes))
    slices = sum("slice" in tags for tags in previous.values())
    for name, column in facts.items():
        if name == wishes.target:
            planned.append(plan_target(column, wishes))
            continue
        kind, role = column.kind or "string", special.get(name)
        before = previous.get(name, ())
        if role:
            tags = before if role in before else (role,)
            if name in wishes.pii and "pii" not in tags:
                tags = (*tags, "pii")
            planned.append(Planned(column, kind, tags, _SPECIAL_REASONS[role]))
            continue
        doubt = Doubt(
            suspicion.get(name, 0.5), reasons.get(name, ""), signs.get(name, ""), suspicious
        )
        tags, reason, question = _decide(column, doubt, wishes, previous, ask)
        is_new = name not in previous and tags == ("feature",)
        if is_new and slices < _MOST_SLICES and _may_slice(column):
            tags, slices = ("feature", "slice"), slices + 1
        planned.append(Planned(column, kind, tags, reason, question=question))
    if not any(column.has("feature") for column in planned):
        raise ProjectError(
            "No column is left to predict from; name some with --feature, or bring a table with "
            "columns that differ between rows."
        )
    return tuple(planned)


_SPECIAL_REASONS = {
    "event_time": "a time in every row, and the name of one: when the event took place",
    "key": "differs in every row, and is named so: it names a row",
}


def find_suspicious_auc(target: Planned) -> float:
    """Return the ROC AUC from which on a column that tells this target is suspected."""
    return SUSPICIOUS_CLASS_AUC if len(target.classes) > 2 else SUSPICIOUS_AUC


def plan_target(column: ColumnFacts, wishes: Wishes) -> Planned:
    """The target's kind and classes.

    Raises:
        ProjectError: It has one value alone, or neither classes nor numbers.
    """
    if column.kind is None or column.constant:
        raise ProjectError(
            f"The target '{column.name}' has {column.distinct or 'no'} value "
            f"{'alone ' if column.distinct else ''}in {column.rows} rows; there is nothing to "
            "learn: bring rows of every outcome."
        )
    numbers = column.kind in ("integer", "number")
    _check_task(column, wishes.task, numbers=numbers)
    if column.kind == "boolean":
        reason = "two values: true is what is to be found"
        doubt = "true is the class to find; --positive and the word for false take the other one"
        return Planned(column, "boolean", ("target",), reason, question=doubt)
    many = column.distinct > (_MOST_CLASS_NUMBERS if numbers else MOST_CLASSES)
    if numbers and _is_regression(column, wishes, many=many):
        reason = f"{column.distinct:,} different numbers: regression{_name_flag(wishes)}"
        doubt = "" if many or wishes.task else _MAY_BE_CLASSES
        return Planned(column, column.kind, ("target",), reason, question=doubt)
    if many or not column.every:
        raise ProjectError(
            f"The target '{column.name}' has {column.distinct:,} different values of kind "
            f"{column.kind}; at most {MOST_CLASSES} classes or numbers can be predicted: group "
            "them, or name another column."
        )
    _check_classes(column)
    classes = _order_classes(column, wishes.positive)
    if len(classes) == 2:
        reason = f"two values: '{classes[-1]}' is what is to be found; --positive takes the other"
        reason += _name_flag(wishes)
        doubt = (
            f"'{classes[-1]}' is the class to find; --positive '{classes[0]}' takes the other one"
        )
        return Planned(column, column.kind, ("target",), reason, classes, doubt)
    reason = f"{len(classes)} different values: classes{_name_flag(wishes)}"
    question = ""
    if numbers and not wishes.task:
        question = (
            "its numbers were taken for classes; for numbers run again with --task regression"
        )
    return Planned(column, column.kind, ("target",), reason, classes, question)


def _is_regression(column: ColumnFacts, wishes: Wishes, *, many: bool) -> bool:
    """Return True for numbers that are asked for as such, or that make no classes."""
    if wishes.task is not None:
        return wishes.task == "regression"
    # Counts have a tail of rare numbers, which as classes nobody could learn.
    counts = column.distinct > 2 and column.every and _rarest(column) < LEAST_ROWS_PER_CLASS
    return many or counts or not column.every


def _rarest(column: ColumnFacts) -> int:
    return column.words[-1][1]


_MAY_BE_CLASSES = (
    "it has few numbers, which were taken as such; for classes run again with --task multiclass"
)


def _name_flag(wishes: Wishes) -> str:
    """Reason that tells the next adoption that a flag decided."""
    return f", as --task {wishes.task} says" if wishes.task else ""


def _check_task(column: ColumnFacts, task: Task | None, *, numbers: bool) -> None:
    fits = {"binary": column.distinct == 2, "multiclass": column.distinct > 2}
    if task and not fits.get(task, numbers):
        raise ProjectError(
            f"--task is {task}, but the target '{column.name}' has {column.distinct:,} different "
            f"values of kind {column.kind}; leave --task out, or name another column."
        )


def _check_classes(column: ColumnFacts) -> None:
    word, count = column.words[-1]
    if count < LEAST_ROWS_PER_CLASS:
        raise ProjectError(
            f"The target '{column.name}' is {word!r} in {count} rows alone; every class needs "
            f"{LEAST_ROWS_PER_CLASS}: bring more such rows, or join it with another class."
        )


def _order_classes(column: ColumnFacts, positive: str | None) -> tuple[ClassLabel, ...]:
    labels = sorted(word for word, _ in column.words)
    if len(labels) != 2:
        return tuple(labels)
    if positive is not None:
        found = [label for label in labels if str(label) == positive]
        if not found:
            raise ProjectError(
                f"--positive is '{positive}', but '{column.name}' is {labels[0]!r} or "
                f"{labels[1]!r}; name one of them."
            )
        return tuple(sorted(labels, key=lambda label: label == found[0]))
    # Of numbers the larger; of words the rarer one, since that is what one looks for.
    return tuple(labels if column.kind == "integer" else [word for word, _ in column.words])


Verdict = tuple[tuple[str, ...], str, str]
"""Roles, the reason, and what a person should still decide."""
_ONE_OF_A_ROW = frozenset({"target", "key", "event_time"})
_LEFT_OUT = "left out of the model and of every log"
_AFTERWARDS = "taken as known only afterwards"


@dataclass(frozen=True, slots=True)
class Doubt:
    """Objection to a feature.

    Attributes:
        auc: ROC AUC of the column alone.
        reason: Reason that an earlier adoption wrote; empty if there was none.
        sign: Why it is probably known only afterwards, whatever its ROC AUC; may be empty.
        limit: ROC AUC from which on it is suspected.
    """

    auc: float
    reason: str
    sign: str = ""
    limit: float = SUSPICIOUS_AUC

    @property
    def tells(self) -> str:
        """Why it may be known only afterwards: the beginning of a sentence; empty if it may not."""
        if self.auc >= self.limit:
            return f"alone it tells the target with a ROC AUC of {self.auc:.2f}"
        return self.sign


def _decide(
    column: ColumnFacts,
    doubt: Doubt,
    wishes: Wishes,
    previous: Mapping[str, tuple[str, ...]],
    ask: Ask,
) -> Verdict:
    before = previous.get(column.name)
    if wished := _by_wish(column, wishes):
        return (before, *wished[1:]) if before and _says_no_more(wished[0], before) else wished
    # A column that was the target or named a row, and does no more, is decided like a new one.
    if before is not None and not _ONE_OF_A_ROW & set(before):
        return before, KEPT, _ask_again(column, before, doubt.reason)
    if reason := _useless(column):
        return (), reason, ""
    return _by_doubt(column, doubt, wishes, ask) or (
        ("feature",),
        _describe(column),
        ask_about_groups(column.name),
    )


def _says_no_more(wished: tuple[str, ...], before: tuple[str, ...]) -> bool:
    """True if the requested roles exist already, beside others that stay."""
    deciding = {"feature", "leakage"}
    return set(wished) <= set(before) and deciding & set(wished) == deciding & set(before)


def _ask_again(column: ColumnFacts, tags: tuple[str, ...], reason: str) -> str:
    """The question that an earlier adoption left open; empty where somebody has answered it."""
    if "leakage" in tags and reason.endswith(_AFTERWARDS):
        return f"{reason}; {_offer_feature(column.name, 'is known in time')}"
    if "pii" in tags and reason.endswith(_LEFT_OUT) and "asked" not in reason:
        return _offer_feature(column.name, "may be used")
    if "feature" in tags and "sensitive" not in tags:
        return ask_about_groups(column.name)
    return ""


def _offer_feature(name: str, condition: str) -> str:
    return f"if it {condition}, run again with --feature '{name}'"


def _by_wish(column: ColumnFacts, wishes: Wishes) -> Verdict | None:
    name = column.name
    person = ("pii",) if name in wishes.pii else ()
    if name in wishes.leakage:
        return ("leakage", *person), "said to be known only afterwards", ""
    if name in wishes.features:
        return ("feature", *person), "said to be known in time", ""
    if name == wishes.group:
        return person, "rows that share it stay together in one window", ""
    if person:
        return person, "said to be about a person: left out of the model and of every log", ""
    return None


def _by_doubt(column: ColumnFacts, doubt: Doubt, wishes: Wishes, ask: Ask) -> Verdict | None:
    """Settles a suspicion by asking; nobody there to answer means: leave it out."""
    name = column.name
    if column.person:
        if not ask(f"'{name}' may be about a person ({column.person}). Leave it out?", True):
            return ("feature",), "asked: may be used", ""
        if wishes.attended:
            return ("pii",), f"{column.person}; asked: {_LEFT_OUT}", ""
        return ("pii",), f"{column.person}: {_LEFT_OUT}", _offer_feature(name, "may be used")
    if tells := doubt.tells:
        if not ask(f"'{name}': {tells}. Is it known only after the event?", True):
            return ("feature",), f"{tells}; asked: known in time", ""
        if wishes.attended:
            return ("leakage",), f"{tells}; asked: known only afterwards", ""
        reason = f"{tells}: {_AFTERWARDS}"
        return ("leakage",), reason, f"{reason}; {_offer_feature(name, 'is known in time')}"
    return None


def _useless(column: ColumnFacts) -> str:
    """Why a column cannot help; empty where it may."""
    if column.kind is None:
        return "no value in any row: left out"
    if column.constant:
        return "the same value in every row: left out"
    if column.counts_rows:
        return "counts the rows, so it tells nothing: left out"
    if column.person:
        return ""  # Where it goes is decided with more care.
    if column.is_text:
        return f"sentences ({column.mean_length:.0f} characters on average): left out"
    if column.unique and column.undecided:
        return f"{column.note}; left out until that is decided"
    if column.unique and (column.kind == "string" or column.named_as_key):
        return "differs in every row, so it tells nothing: left out"
    return ""


def _describe(column: ColumnFacts) -> str:
    missing = column.rows - column.present
    gaps = f"{missing / column.rows:.1%} missing" if missing else "never missing"
    values = f"{column.distinct:,} different values"
    if column.kind == "string" and not column.has_few_words:
        values += ", the rare ones count as one (train.min_category_count)"
    return "; ".join(filter(None, (values, gaps, column.note)))


def _may_slice(column: ColumnFacts) -> bool:
    few = 2 <= column.distinct <= _MOST_SLICE_WORDS
    return few and (column.kind == "boolean" or column.has_few_words)
