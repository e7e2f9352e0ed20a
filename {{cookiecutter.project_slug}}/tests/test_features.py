"""The features: a pure function that gives one row what it gives a million."""

import ast
from pathlib import Path

import numpy as np
import pytest
from mlchassis.contract.model import Contract
from mlchassis.contract.schemas import example_record, generate_rows
from mlchassis.features.encoding import Columns, columns_from_rows

from {{ cookiecutter.package_name }} import features
from {{ cookiecutter.package_name }}.features import compute_features


@pytest.fixture(scope="module")
def columns(contract: Contract) -> Columns:
    return columns_from_rows(contract, generate_rows(contract, 500, seed=4))


def test_it_imports_numpy_and_the_standard_library_alone() -> None:
    assert features.__file__ is not None
    tree = ast.parse(Path(features.__file__).read_text(encoding="utf-8"))
    plain = [a.name for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names]
    named = [node.module or "." for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]

    roots = {name.partition(".")[0] for name in plain + named}
    assert roots <= {"numpy", "collections", "typing", "math"}


def test_one_row_equals_a_million(columns: Columns) -> None:
    together = compute_features({name: np.tile(v, 2000) for name, v in columns.items()})

    for row in range(500):
        alone = compute_features({name: v[row : row + 1] for name, v in columns.items()})
        for name, values in alone.items():
            np.testing.assert_array_equal(values, together[name][row : row + 1], err_msg=name)


def test_the_order_of_rows_does_not_matter(columns: Columns) -> None:
    backwards = compute_features({name: values[::-1] for name, values in columns.items()})

    for name, values in compute_features(columns).items():
        np.testing.assert_array_equal(backwards[name][::-1], values, err_msg=name)


def test_its_inputs_stay_as_they_were(columns: Columns) -> None:
    before = {name: values.copy() for name, values in columns.items()}
    for values in columns.values():
        values.flags.writeable = False
    compute_features(columns)

    assert list(columns) == list(before)
    for name, values in before.items():
        np.testing.assert_array_equal(columns[name], values)


def test_no_number_is_lost_where_nothing_is_missing(contract: Contract) -> None:
    rows = [example_record(contract), *generate_rows(contract, 2000, seed=8)]
    whole = [row for row in rows if all(column.name in row for column in contract.features)]
    found = compute_features(columns_from_rows(contract, whole))

    assert len(whole) > 100
    for name, values in found.items():
        if values.dtype != object:
            assert np.isfinite(values).all(), name


def test_every_feature_is_a_column_of_floats_or_of_strings(columns: Columns) -> None:
    for values in compute_features(columns).values():
        assert values.shape == (500,)
        assert values.dtype == np.float64 or all(isinstance(v, str) for v in values)


def test_what_is_missing_stays_missing(contract: Contract) -> None:
    optional = [c for c in contract.features if not c.required and c.is_numeric]
    full = example_record(contract)
    rows = [{n: v for n, v in full.items() if n != column.name} for column in optional]
    found = compute_features(columns_from_rows(contract, [full, *rows]))
    numeric = np.column_stack([v for v in found.values() if v.dtype != object])

    assert np.isnan(numeric[0]).sum() == 0
    assert (np.isnan(numeric[1:]).sum(axis=1) >= 1).all()
