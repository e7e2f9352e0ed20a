"""The contract of a table that was adopted before: what the data demand, and nothing else.

What a person wrote stays byte for byte. A column's text changes only where a value of the table
breaks a rule, where a flag says so, or where the table has no such column any more.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import yaml

from mlchassis.adoption.columns.plan import ColumnPlan
from mlchassis.adoption.columns.profile import MAX_LISTED
from mlchassis.adoption.draft import (
    draft_column,
    draft_property,
    dump_yaml,
    one_line,
    widen,
)
from mlchassis.contract.checks import match_pattern
from mlchassis.contract.compatibility import next_version
from mlchassis.contract.model import parse_contract

_MAX_ENUM_LENGTH = 2 * MAX_LISTED
"""A list that grew longer than this was never complete, so it is opened."""


@dataclass(frozen=True, slots=True)
class ColumnText:
    """One column in the text of a contract.

    Attributes:
        text: Its lines, with the comments above it.
        comment: Those comments alone.
        raw: Parsed content of the lines.
    """

    text: str
    comment: str
    raw: dict[str, Any]

    @property
    def reason(self) -> str:
        """Why it is what it is, as the comment above it says."""
        return " ".join(line.strip(" #") for line in self.comment.splitlines())


@dataclass(frozen=True, slots=True)
class ContractText:
    """A contract's text in parts: what stands above the columns, the columns, what follows."""

    head: str
    columns: dict[str, ColumnText]
    tail: str


def split_text(text: str) -> ContractText:
    """Part the text of a valid contract, so that each column keeps its own lines."""
    lines = text.splitlines(keepends=True)
    nodes, end = _find_columns(text)
    starts = [_find_comment(lines, node.start_mark.line) for node in nodes]
    ends = [*starts[1:], min(end, len(lines))]
    columns = {}
    mappings = yaml.safe_load(text)["schema"][0]["properties"]
    for raw, node, start, stop in zip(mappings, nodes, starts, ends, strict=True):
        comment = "".join(lines[start : node.start_mark.line])
        columns[str(raw["name"])] = ColumnText("".join(lines[start:stop]), comment, raw)
    return ContractText("".join(lines[: starts[0]]), columns, "".join(lines[ends[-1] :]))


def _find_columns(text: str) -> tuple[list[yaml.Node], int]:
    """The columns' nodes, and the line at which they end."""
    document = yaml.compose(text)
    tables = _get_value(document, "schema")
    properties = _get_value(tables.value[0], "properties")
    return properties.value, properties.end_mark.line + (1 if properties.flow_style else 0)


def _get_value(mapping: Any, name: str) -> Any:
    return next(value for key, value in mapping.value if key.value == name)


def _find_comment(lines: Sequence[str], line: int) -> int:
    """The first of the comment lines that stand directly above a line."""
    while line and lines[line - 1].lstrip().startswith("#"):
        line -= 1
    return line


def redraft_contract(text: str, plans: Sequence[ColumnPlan], table: pd.DataFrame) -> str:
    """The text with the changes that the table demands; the same text where it demands none.

    Args:
        text: Of the contract that is there.
        plans: The table's columns, with what was decided about them.
        table: All rows, in their kinds.
    """
    parts = split_text(text)
    by_name = {column.facts.name: column for column in plans}
    kept = [name for name in parts.columns if name in by_name]
    added = [name for name in by_name if name not in parts.columns]
    columns = [_redraft_column(parts.columns[n], by_name[n], table[n]) for n in kept]
    columns += [draft_property(by_name[name], "") for name in added]
    changed = "".join([parts.head, *columns, parts.tail])
    if changed == text:
        return text
    old, new = parse_contract(text), parse_contract(changed)
    version = next_version(old, new)
    return re.sub(r"^version:.*$", f"version: {version}", changed, count=1, flags=re.MULTILINE)


def rename_contract(text: str, name: str | None) -> str:
    """The text with another name for the contract, and so for the model; None keeps it."""
    if name is None:
        return text
    quoted = dump_yaml(name).splitlines()[0]
    text = re.sub(
        r"^(name|id):.*$", lambda match: f"{match[1]}: {quoted}", text, flags=re.MULTILINE
    )
    return re.sub(
        r"^(  - name:).*$", lambda match: f"{match[1]} {quoted}", text, count=1, flags=re.MULTILINE
    )


def _redraft_column(old: ColumnText, column: ColumnPlan, values: "pd.Series[Any]") -> str:
    raw = update_column(old.raw, column, values)
    if raw == old.raw:
        return old.text
    comment = old.comment
    item = old.text.removeprefix(old.comment)
    spaces = " " * (len(item) - len(item.lstrip(" ")))
    if set(raw.get("tags", ())) != set(old.raw.get("tags", ())) or column.has("target"):
        comment = f"{spaces}# {one_line(column.reason)}\n"
    body = "".join(spaces + line for line in dump_yaml([raw]).splitlines(keepends=True))
    return comment + body


def update_column(
    old: Mapping[str, Any], column: ColumnPlan, values: "pd.Series[Any]"
) -> dict[str, Any]:
    """A column's mapping with what its values, or flags, demand."""
    kind = "timestamp" if old["logicalType"] == "date" else old["logicalType"]
    if column.facts.kind is not None and kind != column.kind:
        fresh = draft_column(column, str(old.get("description", "")))
        return {**fresh, **{key: old[key] for key in ("businessName",) if key in old}}
    raw = dict(old)
    if set(column.tags) != set(raw.get("tags", ())):
        raw["tags"] = list(column.tags)
        raw.pop("customProperties", None)
        raw |= {k: v for k, v in draft_column(column, "").items() if k == "customProperties"}
    present = values.dropna()
    if raw.get("required") and len(present) < len(values) and not column.has("target"):
        del raw["required"]
    if column.has("target"):
        return _update_target(raw, column)
    return _update_options(_update_list(raw, present), present)


def _update_target(raw: dict[str, Any], column: ColumnPlan) -> dict[str, Any]:
    """New classes, or another one that is positive; its limits are a person's."""
    listed = [entry["value"] for entry in raw.get("enum", ())]
    binary_swapped = len(listed) == 2 and listed != list(column.classes)
    if set(listed) != set(column.classes) or binary_swapped:
        raw["enum"] = [{"value": label} for label in column.classes]
    if not column.classes:
        raw.pop("enum", None)
    return raw


def _update_list(raw: dict[str, Any], present: "pd.Series[Any]") -> dict[str, Any]:
    """A list with the words that are new, or none where it turned out to be endless."""
    if "enum" not in raw:
        return raw
    listed = [entry["value"] for entry in raw["enum"]]
    new = sorted(set(present.unique().tolist()) - set(listed))
    if not new:
        return raw
    if len(listed) + len(new) <= max(_MAX_ENUM_LENGTH, len(listed)):
        return {**raw, "enum": [*raw["enum"], *({"value": word} for word in new)]}
    opened = {key: value for key, value in raw.items() if key != "enum"}
    opened.setdefault("examples", listed[:1])
    return opened


def _update_options(raw: dict[str, Any], present: "pd.Series[Any]") -> dict[str, Any]:
    options = dict(raw.get("logicalTypeOptions") or {})
    if not options or present.empty:
        return raw
    if raw["logicalType"] in ("integer", "number"):
        _widen_limits(options, present, whole=raw["logicalType"] == "integer")
    if raw["logicalType"] == "string":
        _widen_lengths(options, present)
    without_options = {key: value for key, value in raw.items() if key != "logicalTypeOptions"}
    if options == raw.get("logicalTypeOptions"):
        return raw
    return {**without_options, "logicalTypeOptions": options} if options else without_options


def _widen_limits(options: dict[str, Any], present: "pd.Series[Any]", *, whole: bool) -> None:
    """Move a limit that a value breaks, with the room that a new limit has."""
    finite = present[np.isfinite(present.astype(float))]
    if finite.empty:
        return
    bottom, top = widen(float(finite.min()), float(finite.max()))
    if options.get("minimum", finite.min()) > finite.min():
        options["minimum"] = math.floor(bottom) if whole else bottom
    if options.get("maximum", finite.max()) < finite.max():
        options["maximum"] = math.ceil(top) if whole else top


def _widen_lengths(options: dict[str, Any], present: "pd.Series[Any]") -> None:
    lengths = present.str.len()
    if options.get("maxLength", lengths.max()) < lengths.max():
        options["maxLength"] = 2 * int(lengths.max())
    if options.get("minLength", 0) > lengths.min():
        options["minLength"] = int(lengths.min())
    if "pattern" in options and not present.map(match_pattern(options["pattern"])).all():
        del options["pattern"]
