"""Checks of `features.py`: a pure function that treats every row alone."""

import ast
import inspect
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mlchassis.contract.model import Contract
from mlchassis.contract.schemas import generate_rows
from mlchassis.features.code import FeatureFunction
from mlchassis.features.encoding import Columns, columns_from_rows
from mlchassis.testing.checks import ProjectSuite, require
from mlchassis.testing.rows import complete_rows

ROWS = 300
SINGLE_ROWS = 50
"""Rows that are also computed alone."""
MOST_CELLS = 5_000_000
"""Cells of the large table in which the rows must stay as they are alone."""
MISSING_ROWS = 20
"""Rows from which each optional column is removed."""

Features = Mapping[str, NDArray[Any]]


class FeatureSuite(ProjectSuite):
    """Tests of a project's feature function."""

    @pytest.fixture(scope="class")
    @classmethod
    def columns(cls, contract: Contract) -> Columns:
        """Generated rows, some with missing values, as the function gets them."""
        return columns_from_rows(contract, generate_rows(contract, ROWS, seed=4))

    @pytest.fixture(scope="class")
    @classmethod
    def complete_columns(cls, contract: Contract) -> Columns:
        """Generated rows without missing values."""
        return columns_from_rows(contract, complete_rows(contract, ROWS, seed=8))

    def test_imports_numpy_and_the_standard_library_alone(self) -> None:
        """A service has nothing else, and a bundle's digest covers this module alone."""
        require(find_imports(Path(str(inspect.getsourcefile(self.project.features)))))

    def test_features_are_columns_of_numbers_or_of_strings(self, columns: Columns) -> None:
        """A model takes one value per row and feature."""
        require(find_shapeless(self.project.features(columns), count_rows(columns)))

    def test_inputs_stay_unchanged(self, columns: Columns) -> None:
        """A function that writes into its arguments changes what others still need."""
        require(find_changed_inputs(self.project.features, columns))

    def test_equal_inputs_give_equal_features(self, columns: Columns) -> None:
        """Time, chance and state would make training and serving differ."""
        first = self.project.features(columns)
        require(
            f"features.py: '{name}' differs between two calls with the same columns; compute it "
            "from the columns alone."
            for name in find_different(first, self.project.features(columns))
        )

    def test_a_row_is_computed_alone_as_among_many(self, columns: Columns) -> None:
        """The service computes one row at a time, training all of them."""
        require(
            f"features.py: '{name}' of a row depends on the other rows; the service sees one row "
            "at a time, so compute it from that row alone."
            for name in find_dependent(self.project.features, columns)
        )

    def test_the_order_of_rows_does_not_matter(self, columns: Columns) -> None:
        """Rows of a table have no order that a request has."""
        backwards = self.project.features({n: v[::-1] for n, v in columns.items()})
        forwards = {n: v[::-1] for n, v in self.project.features(columns).items()}
        require(
            f"features.py: '{name}' depends on the order of the rows; compute it from each row "
            "alone."
            for name in find_different(forwards, backwards)
        )

    def test_no_number_is_lost_where_nothing_is_missing(self, complete_columns: Columns) -> None:
        """A complete row gives finite numbers, whatever the contract allows."""
        require(find_lost(self.project.features(complete_columns)))

    def test_missing_values_stay_missing(self, contract: Contract) -> None:
        """A missing number is NaN in the features, which a model can tell from any number."""
        require(find_invented(self.project.features, contract))


def find_imports(module: Path) -> Iterator[str]:
    """Yield a sentence for each import that a service or the digest does not cover."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names.append("." * node.level + (node.module or ""))
    for name in names:
        if name.partition(".")[0] not in {"numpy", *sys.stdlib_module_names}:
            yield (
                f"{module.name} imports '{name}'; import NumPy and the standard library alone: a "
                "service has no other package, and a bundle's digest covers this module alone."
            )


def find_shapeless(features: Features, rows: int) -> Iterator[str]:
    """Yield a sentence for each feature that is not a column of numbers or strings."""
    if not features:
        yield "features.py returns no feature; return at least one."
    for name, values in features.items():
        shape = np.shape(values)
        if shape != (rows,):
            yield f"features.py: '{name}' has the shape {shape}; return the shape ({rows},)."
        elif values.dtype.kind not in "fiub" and not all(isinstance(v, str) for v in values):
            yield (
                f"features.py: '{name}' holds {values.dtype}; return floats, or an array of "
                "objects that are all strings."
            )


def find_changed_inputs(compute: FeatureFunction, columns: Columns) -> Iterator[str]:
    """Yield a sentence for each column that the function changes."""
    passed = {name: values.copy() for name, values in columns.items()}
    compute(passed)
    if list(passed) != list(columns):
        yield "features.py changes the mapping of columns; work on a copy: `dict(columns)`."
    for name in columns.keys() & passed.keys():
        if not same_values(columns[name], passed[name]):
            yield f"features.py writes into the column '{name}'; work on a copy of it."


def find_dependent(compute: FeatureFunction, columns: Columns) -> list[str]:
    """Return the features whose values for a row depend on the rows beside it."""
    rows = count_rows(columns)
    times = max(1, MOST_CELLS // (rows * len(columns)))
    many = compute({name: np.tile(v, min(times, 1000)) for name, v in columns.items()})
    single = [
        compute({name: values[row : row + 1] for name, values in columns.items()})
        for row in range(min(SINGLE_ROWS, rows))
    ]
    alone = {name: np.concatenate([one[name] for one in single]) for name in single[0]}
    return find_different(alone, {name: values[: len(single)] for name, values in many.items()})


def find_lost(features: Features) -> Iterator[str]:
    """Yield a sentence for each numeric feature that is not finite."""
    for name, values in features.items():
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            lost = int((~np.isfinite(values)).sum())
            yield (
                f"features.py: '{name}' is missing or infinite in {lost} of {len(values)} complete "
                "rows; guard the computation (division by zero, logarithm), or narrow the limits "
                "of its columns in contract.yaml."
            )


def find_invented(compute: FeatureFunction, contract: Contract) -> Iterator[str]:
    """Yield a sentence for each missing number of which no feature that changes stays missing."""
    rows = complete_rows(contract, MISSING_ROWS, seed=12)
    before = compute(columns_from_rows(contract, rows))
    for column in contract.features:
        if column.required or not column.is_numeric:
            continue
        fewer = [{n: v for n, v in row.items() if n != column.name} for row in rows]
        after = compute(columns_from_rows(contract, fewer))
        changed = find_different(before, after)
        if changed and not any(_is_missing(after[name]) for name in changed):
            yield (
                f"features.py turns a missing '{column.name}' into a number in "
                f"'{changed[0]}'; leave NaN there, which a model can tell from any number."
            )


def _is_missing(values: NDArray[Any]) -> bool:
    return values.dtype.kind == "f" and bool(np.isnan(values).any())


def find_different(one: Features, other: Features) -> list[str]:
    """Return the names of the features that differ; those of one mapping alone included."""
    names = [*one, *(name for name in other if name not in one)]
    return [n for n in names if n not in one or n not in other or not same_values(one[n], other[n])]


def same_values(one: NDArray[Any], other: NDArray[Any]) -> bool:
    """Return whether two columns are equal to the bit; NaN equals NaN."""
    return np.array_equal(one, other, equal_nan=one.dtype.kind == "f" == other.dtype.kind)


def count_rows(columns: Columns) -> int:
    """Return the number of rows of some columns."""
    return len(next(iter(columns.values())))
