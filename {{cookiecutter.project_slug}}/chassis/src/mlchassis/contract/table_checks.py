"""Checks of a table's rows against the contract, for the pipeline and for batch scoring."""

import math
from functools import lru_cache
from typing import TYPE_CHECKING

from mlchassis.contract.checks import match_pattern
from mlchassis.contract.model import Column, Contract
from mlchassis.contract.schemas import MAX_STRING, PANDAS_TYPES
from mlchassis.errors import ProjectError
from mlchassis.printable import show_cell

if TYPE_CHECKING:
    import pandas as pd
    from pandera.errors import SchemaErrors
    from pandera.pandas import Check, DataFrameSchema


def find_reasons(rows: "pd.DataFrame", contract: Contract) -> "pd.Series[str]":
    """Return the first broken rule of each invalid row, indexed like those rows.

    Raises:
        ProjectError: The table as a whole is not what the contract describes.
    """
    import pandas as pd
    import pandera.errors

    try:
        frame_schema(contract).validate(rows, lazy=True)
    except pandera.errors.SchemaErrors as error:
        return _read_reasons(error, contract)
    return pd.Series([], dtype=str)


def _read_reasons(error: "SchemaErrors", contract: Contract) -> "pd.Series[str]":
    """Read the broken rules from Pandera's report."""
    cases = error.failure_cases
    whole = cases[cases["index"].isna()]
    if len(whole):
        first = whole.iloc[0]
        personal = first["column"] in {column.name for column in contract.pii}
        shown = show_cell(first["failure_case"], personal=personal)
        raise ProjectError(
            f"The table breaks the contract as a whole: {first['column']}: {first['check']} "
            f"(found {shown}); fix the source or contract.yaml."
        ) from None
    cases = cases.drop_duplicates("index").set_index("index").sort_index()
    reasons: pd.Series[str] = cases["column"].astype(str) + ": " + cases["check"].map(_name_check)
    return reasons


def _name_check(check: str) -> str:
    return {"not_nullable": "is required", "field_uniqueness": "is there twice"}.get(check, check)


@lru_cache(8)
def frame_schema(contract: Contract) -> "DataFrameSchema":
    """Return the Pandera schema of a table: one row per event, every column of the contract."""
    import pandera.pandas

    columns = {
        column.name: pandera.pandas.Column(
            PANDAS_TYPES[column.kind],
            _frame_checks(column),
            nullable=not column.required,
            unique="key" in column.roles,
        )
        for column in contract.columns
    }
    return pandera.pandas.DataFrameSchema(columns, strict=True)


def _frame_checks(column: Column) -> "list[Check]":
    from pandera.pandas import Check

    # `error` is what a report then calls the broken rule.
    if column.values is not None:
        return [Check.isin(list(column.values), error="enumeration")]
    checks = []
    if column.kind == "number":
        checks.append(Check(_is_finite, error="is finite"))
    if column.minimum is not None:
        checks.append(Check.ge(column.minimum, error=f"minimum {column.minimum:g}"))
    if column.maximum is not None:
        checks.append(Check.le(column.maximum, error=f"maximum {column.maximum:g}"))
    if column.pattern is not None:
        matches = match_pattern(column.pattern)
        checks.append(Check(matches, element_wise=True, error=f"pattern {column.pattern}"))
    if column.kind == "string":
        shortest = column.min_length or 0
        longest = column.max_length or MAX_STRING
        error = f"length {shortest} to {longest}"
        checks.append(Check.str_length(shortest, longest, error=error))
    return checks


def _is_finite(values: "pd.Series[float]") -> "pd.Series[bool]":
    return values.abs() < math.inf
