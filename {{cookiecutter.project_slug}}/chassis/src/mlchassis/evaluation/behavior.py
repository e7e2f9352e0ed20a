"""Behavioral tests: what a person knows about the answers, declared in `behavior.yaml`.

Minimum functionality, invariance and direction are the three kinds of Ribeiro et al. 2020
("Beyond Accuracy: Behavioral Testing of NLP Models with CheckList"). Each asks the bundle about
rows of the test split that were changed, and counts the rows whose answer is as expected.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
import pandera.errors
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mlchassis.contract.model import ClassLabel, Column, Contract
from mlchassis.contract.table_checks import frame_schema
from mlchassis.errors import ProjectError, describe_yaml_error
from mlchassis.evaluation.metrics import Floats
from mlchassis.evaluation.results import BehaviorResult

ROWS = 2000
"""Rows of the test split that each test asks about."""

Score = Callable[[pd.DataFrame], Floats]
"""A frame to probabilities or numbers, shape (rows, classes or 1)."""
Proportion = Annotated[float, Field(gt=0, le=1)]


class BehaviorError(ProjectError):
    """`behavior.yaml` cannot be read, or asks for what the contract does not allow."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Shift(_Record):
    """Number input plus a shift, clipped to the contract's bounds."""

    add: float


Change = Mapping[str, Shift | bool | int | float | str | None]
"""New value or shift, keyed by column."""


class _Test(_Record):
    """Common fields of all behavioral tests.

    Attributes:
        given: Values set in every row first.
        proportion: Least proportion of rows that must behave.
        of: The class whose probability counts; the last one if left out.
    """

    name: str
    given: Change = {}
    proportion: Proportion
    of: ClassLabel | None = None


class MinimumFunctionality(_Test):
    """Cases that any model must get right: the score lies between two bounds."""

    kind: Literal["minimum_functionality"]
    above: float = float("-inf")
    below: float = float("inf")

    def behaves(self, _before: Floats, after: Floats) -> Any:
        """True for each row whose answer is as expected."""
        return (after >= self.above) & (after <= self.below)


class Invariance(_Test):
    """A change that must not matter: the score moves by `within` at most."""

    kind: Literal["invariance"]
    change: Change
    within: Annotated[float, Field(ge=0)]

    def behaves(self, before: Floats, after: Floats) -> Any:
        """True for each row whose answer is as expected."""
        return np.abs(after - before) <= self.within


class Direction(_Test):
    """A change that must move the score up, or down."""

    kind: Literal["direction"]
    change: Change
    score: Literal["up", "down"]

    def behaves(self, before: Floats, after: Floats) -> Any:
        """True for each row whose answer is as expected."""
        return after > before if self.score == "up" else after < before


Test = Annotated[MinimumFunctionality | Invariance | Direction, Field(discriminator="kind")]


class _File(_Record):
    tests: tuple[Test, ...] | None


def load_tests(path: Path) -> tuple[Test, ...]:
    """Read the tests; none are declared where the list is empty.

    Raises:
        BehaviorError: The file is missing, or a test is not one; the sentence names the place.
    """
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    # A date or number that is none, or nesting without end, is not a YAMLError.
    except (FileNotFoundError, yaml.YAMLError, ValueError, RecursionError) as error:
        raise BehaviorError(
            f"{path.name} cannot be read: {describe_yaml_error(error)}; correct it, or restore it "
            "from git."
        ) from None
    try:
        return _File.model_validate(raw).tests or ()
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise BehaviorError(f"{path.name}: {place}: {first['msg'].lower()}.") from None


def run_tests(
    tests: tuple[Test, ...], rows: pd.DataFrame, contract: Contract, score: Score
) -> list[BehaviorResult]:
    """Run each test on evenly spaced rows of a split.

    Raises:
        BehaviorError: A test makes rows that break the contract.
    """
    chosen = rows.iloc[np.linspace(0, len(rows) - 1, min(ROWS, len(rows))).astype(int)]
    chosen = chosen.reset_index(drop=True)
    return [_run_test(test, chosen, contract, score) for test in tests]


def _run_test(test: Test, chosen: pd.DataFrame, contract: Contract, score: Score) -> BehaviorResult:
    """Return the proportion of the chosen rows that pass a test, for a report."""
    rows = _changed(chosen, test.given, contract, test.name)
    before = _pick(score(rows), test, contract)
    after = before
    change = getattr(test, "change", {})
    if change:
        after = _pick(score(_changed(rows, change, contract, test.name)), test, contract)
    return BehaviorResult(
        name=test.name,
        kind=test.kind,
        rows=len(chosen),
        proportion=float(np.mean(test.behaves(before, after))),
        limit=test.proportion,
    )


def _pick(scores: Floats, test: Test, contract: Contract) -> Floats:
    if test.of is None:
        return scores[:, -1]
    if test.of not in contract.classes:
        raise BehaviorError(
            f"behavior.yaml: '{test.name}' is about class {test.of!r}, which the contract does "
            f"not have; it has {', '.join(map(repr, contract.classes))}."
        )
    return scores[:, contract.classes.index(test.of)]


def _changed(rows: pd.DataFrame, change: Change, contract: Contract, name: str) -> pd.DataFrame:
    if not change:
        return rows
    rows = rows.copy()
    features = {column.name: column for column in contract.features}
    for column in change.keys() - features:
        raise BehaviorError(f"behavior.yaml: '{name}' sets '{column}', which is not a feature.")
    try:
        for column, value in change.items():
            rows[column] = _new_values(rows[column], value, features[column])
        frame_schema(contract).validate(rows, lazy=True)
    except pandera.errors.SchemaErrors as error:
        case = error.failure_cases.iloc[0]
        reason = f"{case['column']}: {case['check']} (found {case['failure_case']})"
    except (TypeError, ValueError) as error:
        reason = f"{column}: {error}"
    else:
        return rows
    raise BehaviorError(
        f"behavior.yaml: '{name}' makes rows that break the contract: {reason}; fix the test."
    )


def _new_values(values: "pd.Series[Any]", value: Any, column: Column) -> "pd.Series[Any]":
    if not isinstance(value, Shift):
        return pd.Series([value] * len(values), index=values.index, dtype=values.dtype)
    shifted: pd.Series[Any] = (values + value.add).clip(column.minimum, column.maximum)
    return shifted.astype(values.dtype)
