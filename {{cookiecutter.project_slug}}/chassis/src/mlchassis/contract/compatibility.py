"""Differences between two contracts, and which of them break a client of the older one.

Adoption (the next version), the gate `contract` and hot reload all ask `find_breaking_changes`, so
that a contract which passes one of them passes the others.

A limit (`minimum`, `maximum`, lengths, `pattern`, `enum`) may change without breaking clients: the
service may reject a value that it accepted before, or the reverse, but no value changes its
meaning.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from mlchassis.contract.model import Column, Contract

_SHOWN = 5
"""Changes that one sentence names."""

ChangeKind = Literal["breaking", "compatible", "documentation"]


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between two contracts.

    Attributes:
        kind: "breaking" where a request that was valid before is rejected, or where the answer
            means something else.
        text: A clause for the middle of a sentence: "column 'x' is now required".
    """

    kind: ChangeKind
    text: str


def compare_contracts(old: Contract, new: Contract) -> tuple[Change, ...]:
    """Return the differences between two contracts, those that break clients first."""
    changes = [
        *_compare_targets(old, new),
        *_compare_requests(old, new),
        *_compare_columns(old, new),
    ]
    if (old.name, old.description) != (new.name, new.description):
        changes.append(Change("documentation", "the name or the description of the table differs"))
    order = ("breaking", "compatible", "documentation")
    return tuple(sorted(changes, key=lambda change: order.index(change.kind)))


def find_breaking_changes(old: Contract, new: Contract) -> tuple[Change, ...]:
    """Return the differences that a client of the old contract does not survive."""
    return tuple(change for change in compare_contracts(old, new) if change.kind == "breaking")


def join_changes(changes: Sequence[Change]) -> str:
    """Join changes to one clause, of which a long list is cut."""
    texts = [change.text for change in changes[:_SHOWN]]
    if len(changes) > _SHOWN:
        texts.append(f"and {len(changes) - _SHOWN} more")
    return ", ".join(texts)


def next_version(old: Contract, new: Contract) -> str:
    """Return a new major version if clients of the old contract break, else a new minor one."""
    numbers = [int(part) for part in re.findall(r"\d+", old.version)[:3]] or [1, 0, 0]
    major = numbers[0]
    minor = numbers[1] if len(numbers) > 1 else 0
    return f"{major + 1}.0.0" if find_breaking_changes(old, new) else f"{major}.{minor + 1}.0"


def _compare_targets(old: Contract, new: Contract) -> Iterator[Change]:
    before = old.target
    after = new.target
    if before.name != after.name:
        yield Change("breaking", f"the target is '{after.name}' instead of '{before.name}'")
    elif before.kind != after.kind:
        yield Change("breaking", f"the target '{after.name}' is now of type {after.kind}")
    elif old.classes != new.classes:
        yield Change("breaking", f"the classes of '{after.name}', or their order, differ")


def _compare_requests(old: Contract, new: Contract) -> Iterator[Change]:
    before = {column.name: column for column in old.request_columns}
    after = {column.name: column for column in new.request_columns}
    for name in before:
        if name not in after:
            yield Change("breaking", f"column '{name}' is no longer accepted in requests")
    for name, column in after.items():
        if name in before and before[name].kind != column.kind:
            yield Change("breaking", f"column '{name}' is now of type {column.kind}")
        required_before = name in before and old.requires(before[name])
        if new.requires(column) and not required_before:
            yield Change("breaking", f"column '{name}' is now required")
        elif name not in before:
            yield Change("compatible", f"requests may also hold the column '{name}'")
        elif required_before and not new.requires(column):
            yield Change("compatible", f"column '{name}' is now optional")


def _compare_columns(old: Contract, new: Contract) -> Iterator[Change]:
    """Compare columns apart from what requests and answers need them for."""
    before = {column.name: column for column in old.columns}
    after = {column.name: column for column in new.columns}
    for name in sorted(before.keys() ^ after.keys()):
        state = "new" if name in after else "gone"
        yield Change("compatible", f"column '{name}' of the table is {state}")
    for name in before:
        if name in after:
            yield from _compare_column(before[name], after[name])


def _compare_column(old: Column, new: Column) -> Iterator[Change]:
    if old.roles != new.roles:
        yield Change("compatible", f"column '{new.name}' has other tags")
    if old.required != new.required:
        state = "required" if new.required else "optional"
        yield Change("compatible", f"column '{new.name}' is {state} in the table")
    if "target" not in new.roles and _limits(old) != _limits(new):
        yield Change("compatible", f"column '{new.name}' has other limits")
    if _documentation(old) != _documentation(new):
        yield Change("documentation", f"column '{new.name}' is described in other words")


def _limits(column: Column) -> tuple[object, ...]:
    lengths = (column.min_length, column.max_length)
    return (column.minimum, column.maximum, *lengths, column.pattern, column.values)


def _documentation(column: Column) -> tuple[object, ...]:
    return (column.description, column.examples, column.reason)
