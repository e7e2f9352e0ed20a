"""The draft of `contract.yaml`: what was planned, as a contract with its reasons."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from mlchassis.adoption.columns.plan import ColumnPlan
from mlchassis.adoption.columns.profile import ColumnFacts
from mlchassis.adoption.columns.ranges import find_code_range, is_year
from mlchassis.contract.model import REASON_PROPERTY

_HEAD = """\
# What a row is. Validation, the API, the model's inputs, test data and monitoring derive from it.
# Open Data Contract Standard v3.2. Tags are roles: key, event_time, feature, target, slice,
# leakage (known only after the event, never a feature), pii (left out of logs), sensitive (makes
# groups of people that the model must treat equally).
# Drafted by `make adopt` from the data; the comment above each column says why. Correct what it
# cannot know: descriptions, units, true limits, what is known only afterwards.
"""
_LIMIT_MARGIN = 0.5
"""Margin of limits beyond the observed values, as a proportion of their spread."""
_REQUIRED_ROLES = frozenset({"key", "event_time", "feature", "slice", "sensitive"})
"""Roles of columns that a row must have."""
_MIN_MAX_LENGTH = 64
"""Smallest `maxLength` of a string column: names and codes grow longer."""


def draft_contract(
    name: str,
    version: str,
    source: str,
    plans: Sequence[ColumnPlan],
    descriptions: Mapping[str, str],
) -> str:
    """The text of the contract.

    Args:
        name: The table's, and later the model's.
        version: Of the contract.
        source: Source of the rows, for people.
        plans: The columns in their order.
        descriptions: Words about columns that people have written already.
    """
    target = next(column.facts.name for column in plans if column.has("target"))
    document = {
        "apiVersion": "v3.2.0",
        "kind": "DataContract",
        "id": name,
        "name": name,
        "version": version,
        "status": "draft",
        "description": {"purpose": f"Predicts '{target}' from the other columns of {source}."},
    }
    parts = [
        _HEAD,
        dump_yaml(document),
        f"schema:\n  - name: {name}\n",
        "    physicalType: table\n",
    ]
    parts.append("    properties:\n")
    for column in plans:
        about = descriptions.get(column.facts.name, "")
        parts.append(draft_property(column, about))
    return "".join(parts)


def draft_property(column: ColumnPlan, description: str) -> str:
    """One column's lines, with its reason above them."""
    mapping = dump_yaml([draft_column(column, description)])
    return f"      # {one_line(column.reason)}\n{_indent(mapping, 6)}"


def draft_column(column: ColumnPlan, description: str) -> dict[str, Any]:
    """One column as the standard writes it."""
    facts = column.facts
    mapping: dict[str, Any] = {"name": facts.name, "logicalType": column.kind}
    asked = _REQUIRED_ROLES & set(column.tags)
    if facts.complete and asked:
        mapping["required"] = True
    if column.tags:
        mapping["tags"] = list(column.tags)
    mapping |= {"description": description} if description else {}
    if column.classes:
        return {**mapping, "enum": [{"value": label} for label in column.classes]}
    if not column.has("target") and facts.kind is not None:
        mapping |= _draft_values(column)
    if not {"feature", "target", "key", "event_time"} & set(column.tags):
        # The reports say why a column is left out.
        reason = {"property": REASON_PROPERTY, "value": one_line(column.reason)}
        mapping["customProperties"] = [reason]
    return mapping


def _draft_values(column: ColumnPlan) -> dict[str, Any]:
    """Allowed values of a column, with examples unless they are a person's.

    What the model does not see has no limits: nobody is turned away for it.
    """
    facts = column.facts
    values: dict[str, Any] = {}
    if not _REQUIRED_ROLES & set(column.tags):
        return values if column.has("pii") else _give_examples(facts)
    if facts.is_closed_list and not column.has("pii"):
        words = sorted(word for word, _ in facts.common_values)
        return {"enum": [{"value": word} for word in words], "examples": words[:1]}
    options = _limit(column)
    if options:
        values["logicalTypeOptions"] = options
    if not column.has("pii"):
        values |= _give_examples(facts)
    return values


def _limit(column: ColumnPlan) -> dict[str, Any]:
    """Limits with room for what was not seen yet; a key has none but its length."""
    facts = column.facts
    if column.kind in ("integer", "number") and not column.has("key"):
        return _limit_numbers(facts, whole=column.kind == "integer")
    if column.kind != "string" or not facts.length:
        return {}
    return {"maxLength": max(_MIN_MAX_LENGTH, 2 * facts.length)}


def _limit_numbers(facts: ColumnFacts, *, whole: bool) -> dict[str, Any]:
    if facts.low is None or facts.high is None:
        return {}
    codes = find_code_range(facts)
    if codes is not None:
        return {"minimum": codes[0], "maximum": codes[1]}
    low, high = widen(facts.low, facts.high)
    limits = {"minimum": low, "maximum": high}
    if whole:
        limits = {"minimum": math.floor(low), "maximum": math.ceil(high)}
    # Time goes on: tomorrow's value of such a column lies beyond all that were seen.
    if facts.rises or is_year(facts):
        del limits["maximum"]
    if facts.falls:
        del limits["minimum"]
    return limits


def widen(low: float, high: float) -> tuple[float, float]:
    """Limits with room, in two digits; they change the sign only if the values do."""
    room = _LIMIT_MARGIN * (high - low) or max(1.0, abs(high) * _LIMIT_MARGIN)
    step = 10.0 ** (math.floor(math.log10(room)) - 1)
    wide = (math.floor((low - room) / step) * step, math.ceil((high + room) / step) * step)
    digits = max(0, -round(math.log10(step)))
    bottom, top = (round(end, digits) for end in wide)
    return (max(0.0, bottom) if low >= 0 else bottom), (min(0.0, top) if high <= 0 else top)


def _give_examples(facts: ColumnFacts) -> dict[str, Any]:
    """Typical values: the most common categories, or the middle of numbers and times."""
    if facts.median is not None:
        whole = facts.kind == "integer"
        return {"examples": [facts.median if whole else float(f"{facts.median:.6g}")]}
    if facts.common_values:
        return {"examples": [word for word, _ in facts.common_values[:2]]}
    if facts.kind == "boolean":
        return {"examples": [True]}
    return {"examples": [facts.median_time]} if facts.median_time else {}


def dump_yaml(document: Any) -> str:
    """The form in which a contract is written."""
    return yaml.safe_dump(
        document, sort_keys=False, allow_unicode=True, width=110, default_flow_style=None
    )


def _indent(text: str, spaces: int) -> str:
    return "".join(" " * spaces + line for line in text.splitlines(keepends=True))


def one_line(text: str) -> str:
    """Fold text onto one line, so that it is safe in a YAML comment."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
