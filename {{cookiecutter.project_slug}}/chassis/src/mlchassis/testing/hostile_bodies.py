"""Bodies that no client should send: JSON that is none, and records that break a contract."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mlchassis.contract.model import Column, Contract
from mlchassis.contract.schemas import MAX_STRING
from mlchassis.testing.rows import complete_rows

MARK = "do-not-repeat-me"
"""Text that stands for a person's data in hostile bodies."""
UNKNOWN = "unknown to every contract"
SHOWN_COLUMNS = 40
"""Columns of a wide contract whose values are made hostile."""

_BODIES = {
    "no body": b"",
    "text": MARK.encode(),
    "an unfinished string": b'{"records": [{"' + MARK.encode(),
    "a list": json.dumps([MARK]).encode(),
    "null": b"null",
    "an unknown member": json.dumps({UNKNOWN: MARK}).encode(),
    "no records": b'{"records": []}',
    "records of text": json.dumps({"records": [MARK]}).encode(),
    "bytes that are no UTF-8": b'{"records": [{"\xff": 1}]}',
    "deep nesting": b"[" * 10_000 + b"]" * 10_000,
}


@dataclass(frozen=True, slots=True)
class HostileBody:
    """A request that must be refused.

    Attributes:
        name: Defect of the body.
    """

    name: str
    path: str
    content: bytes


def list_hostile_bodies(contract: Contract, model: str) -> Iterator[HostileBody]:
    """Yield bodies that break JSON, the protocols or a contract, for each path that predicts."""
    infer = f"/v2/models/{model}/infer"
    for path in ("/predict", "/invocations", infer):
        for name, content in _BODIES.items():
            yield HostileBody(name, path, content)
    (good,) = complete_rows(contract, 1, seed=9)
    record = {column.name: good[column.name] for column in contract.request_columns}
    for column in contract.features[:SHOWN_COLUMNS]:
        for name, value in _list_wrong_values(column):
            yield from _write(f"{name} in '{column.name}'", {**record, column.name: value})
    yield from _write("an unknown column", {**record, UNKNOWN: MARK}, "/predict")


def _list_wrong_values(column: Column) -> Iterator[tuple[str, Any]]:
    longest = column.max_length or MAX_STRING
    yield "a text that is too long", MARK * (longest // len(MARK) + 1)
    yield "a list", [MARK]
    yield "an object", {MARK: MARK}
    if column.maximum is not None:
        yield "a number above the maximum", column.maximum + 1
    if column.required:
        yield "a missing value", None


def _write(name: str, record: dict[str, Any], *paths: str) -> Iterator[HostileBody]:
    members = {"/predict": "records", "/invocations": "dataframe_records"}
    for path in paths or members:
        yield HostileBody(name, path, json.dumps({members[path]: [record]}).encode())
