"""Checks of `contract.yaml`: requests and tables take the same rows, and its examples are such."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd
import pandera.errors
from pydantic import ValidationError

from mlchassis.contract.model import Column, Contract
from mlchassis.contract.schemas import MAX_STRING, PANDAS_TYPES, request_model
from mlchassis.contract.table_checks import frame_schema
from mlchassis.data.tables import coerce
from mlchassis.errors import ProjectError
from mlchassis.testing.checks import ProjectSuite, require
from mlchassis.testing.rows import Row, complete_rows, make_table

ROWS = 50


class ContractSuite(ProjectSuite):
    """Tests of a project's data contract."""

    def test_examples_keep_the_contract(self, contract: Contract) -> None:
        """Clients copy the examples from the API's documentation."""
        require(find_wrong_examples(contract))

    def test_generated_rows_keep_the_contract(self, contract: Contract) -> None:
        """Tests and warm-ups draw rows from the contract."""
        require(find_wrong_rows(contract, complete_rows(contract, ROWS, seed=3)))

    def test_requests_and_tables_take_the_same_values(self, contract: Contract) -> None:
        """A model must not be asked about rows that training would refuse, or the reverse."""
        require(find_disagreements(contract))


def find_wrong_examples(contract: Contract) -> Iterator[str]:
    """Yield a sentence for each example that a request or a table refuses."""
    values = {column.name: list(column.examples) for column in contract.columns}
    in_table = judge_table(contract, values)
    for column in contract.columns:
        in_request = judge_requests(column, column.examples)
        if column not in contract.request_columns:
            in_request = [True] * len(column.examples)
        for position, example in enumerate(column.examples):
            if not (in_request[position] and in_table[column.name][position]):
                yield (
                    f"contract.yaml: column '{column.name}' has the example {example!r}, which "
                    "breaks its own rules; correct the example or the rule."
                )


def find_wrong_rows(contract: Contract, rows: Sequence[Row]) -> Iterator[str]:
    """Yield a sentence for each column whose generated values a request or a table refuses."""
    values = {c.name: [row[c.name] for row in rows] for c in contract.request_columns}
    in_table = judge_table(contract, values)
    for column in contract.request_columns:
        drawn = values[column.name]
        if not all(judge_requests(column, drawn)) or not all(in_table[column.name]):
            yield (
                f"contract.yaml: a value drawn for the column '{column.name}' breaks its own "
                "rules; list `examples` that keep its pattern and length."
            )


def find_disagreements(contract: Contract) -> Iterator[str]:
    """Yield a sentence for each value at a feature's limits that is judged differently."""
    values = {column.name: list_edges(column) for column in contract.features}
    in_table = judge_table(contract, values)
    for column in contract.features:
        edges = values[column.name]
        verdicts = zip(edges, judge_requests(column, edges), in_table[column.name], strict=True)
        for value, request, table in verdicts:
            if request != table:
                taker, refuser = ("request", "table") if request else ("table", "request")
                yield (
                    f"contract.yaml: column '{column.name}': a {taker} takes {value!r} and a "
                    f"{refuser} rejects it; write the rule so that it means one thing."
                )


def list_edges(column: Column) -> list[Any]:
    """Return values at the limits of a column and just beyond, and a missing one."""
    edges: list[Any] = [None, *(column.values or ()), *column.examples]
    for limit in (column.minimum, column.maximum):
        if limit is not None and column.kind == "integer":
            edges += [math.floor(limit) - 1, math.floor(limit), math.ceil(limit) + 1]
        elif limit is not None:
            edges += [limit, math.nextafter(limit, -math.inf), math.nextafter(limit, math.inf)]
    if column.kind == "string":
        shortest, longest = column.min_length or 0, column.max_length or MAX_STRING
        lengths = {max(1, shortest - 1), max(1, shortest), longest, longest + 1}
        edges += ["x" * length for length in sorted(lengths)]
    return edges


def judge_requests(column: Column, values: Sequence[Any]) -> list[bool]:
    """Return for each value of a column whether a request takes it."""
    alone = Contract("column", "1.0.0", "", (replace(column, roles=frozenset({"feature"})),))
    model = request_model(alone)
    return [_is_valid(lambda v=value: model.model_validate({column.name: v})) for value in values]


def _is_valid(validate: Any) -> bool:
    try:
        validate()
    except ValidationError:
        return False
    return True


def judge_table(contract: Contract, values: dict[str, list[Any]]) -> dict[str, list[bool]]:
    """Return for each value of each column whether a table takes it, all in one validation."""
    longest = max(map(len, values.values()), default=0)
    rows = complete_rows(contract, max(1, longest), seed=5)
    table = make_table(contract, rows)
    # Keys are judged apart from each other, and what no value is given for does not count.
    columns = [replace(c, roles=c.roles - {"key"}) for c in contract.columns]
    lenient = replace(contract, columns=tuple(columns))
    typed = {}
    for column in lenient.columns:
        given = values.get(column.name, [])
        typed[column.name] = _fill(column, given, table[column.name])
    refused = _find_refused(pd.DataFrame(typed), lenient)
    return {
        name: [(name, position) not in refused for position in range(len(given))]
        for name, given in values.items()
    }


def _fill(column: Column, given: Sequence[Any], good: "pd.Series[Any]") -> "pd.Series[Any]":
    """Return a typed column that begins with the given values and goes on with good ones."""
    only = Contract("column", "1.0.0", "", (column,))
    frame = pd.DataFrame({column.name: pd.Series(list(given), dtype=object)})
    try:
        typed = coerce(frame, only)[column.name]
    except ProjectError as error:
        raise ProjectError(f"contract.yaml: column '{column.name}': {error}") from None
    whole = pd.concat([typed, good.iloc[len(given) :]], ignore_index=True)
    return whole.astype(PANDAS_TYPES[column.kind])  # type: ignore[call-overload, no-any-return]


def _find_refused(table: pd.DataFrame, contract: Contract) -> set[tuple[str, int]]:
    try:
        frame_schema(contract).validate(table, lazy=True)
    except pandera.errors.SchemaErrors as error:
        cases = error.failure_cases
        return set(zip(cases["column"], cases["index"], strict=True))
    return set()
