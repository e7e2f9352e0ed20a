"""Parity: the largest error, whatever it is made of, on rows of every kind."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mlchassis.contract.model import Contract
from mlchassis.contract.schemas import generate_rows
from mlchassis.features.encoding import MISSING, Columns, columns_from_rows
from mlchassis.training.parity import (
    UNSEEN,
    ParityError,
    check_parity,
    compare_scores,
    make_edge_cases,
    measure_unit,
)

SCORES = np.array([[0.2, 0.8], [0.5, 0.5], [0.9, 0.1]])


def test_equal_scores_differ_by_nothing() -> None:
    parity = compare_scores(SCORES, SCORES.copy())

    assert (parity.max_error, parity.rows) == (0, 3)
    check_parity(parity, 1e-12)


@pytest.mark.parametrize("row", [0, 1, 2])
@pytest.mark.parametrize("column", [0, 1])
def test_the_largest_error_is_found_with_its_row(row: int, column: int) -> None:
    found = SCORES.copy()
    found[row, column] += 0.01
    found[(row + 1) % 3, column] -= 0.001
    parity = compare_scores(SCORES, found)

    assert parity.max_error == pytest.approx(0.01)
    assert parity.row == row


def test_errors_of_large_numbers_are_relative() -> None:
    parity = compare_scores(np.array([[1e6], [0.1]]), np.array([[1e6 + 1], [0.1]]))

    assert parity.max_error == pytest.approx(1e-6)


def test_errors_of_small_numbers_are_measured_in_the_unit_of_the_target() -> None:
    expected = np.array([[1e-9], [2e-6]])
    found = expected + 1e-9

    assert compare_scores(expected, found, unit=1e-6).max_error == pytest.approx(1e-3)
    assert measure_unit(np.array([1.0, 3.0]), "regression") == 1.0
    assert measure_unit(np.array([0.0, 1.0]), "binary") == 1.0
    assert measure_unit(np.array([7e-6, 7e-6]), "regression") == pytest.approx(7e-6)


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_an_infinite_error(wrong: float) -> None:
    found = SCORES.copy()
    found[1, 0] = wrong
    parity = compare_scores(SCORES, found)

    assert (parity.max_error, parity.row) == (math.inf, 1)
    for error in (parity.max_error, math.nan):
        with pytest.raises(ParityError):
            check_parity(replace(parity, max_error=error), 1e9)


def test_a_graph_beyond_the_tolerance_is_refused_by_what_and_where() -> None:
    parity = compare_scores(SCORES, SCORES + np.array([[0], [0], [0.25]]))

    check_parity(parity, 0.26)
    with pytest.raises(ParityError, match=r"by 0\.25 \(row 2 of 3\), above export\.tolerance"):
        check_parity(parity, 0.24)


@pytest.fixture(scope="module")
def hard(contract: Contract) -> Columns:
    return make_edge_cases(
        columns_from_rows(contract, generate_rows(contract, 7, seed=1)), contract
    )


def test_edge_cases_are_whole_rows(contract: Contract, hard: Columns) -> None:
    assert list(hard) == [column.name for column in contract.features]
    (rows,) = {len(values) for values in hard.values()}
    assert rows % 7 == 0


def test_every_optional_feature_is_missing_somewhere_and_all_at_once(
    contract: Contract, hard: Columns
) -> None:
    missing = {
        column.name: hard[column.name] == MISSING
        if column.kind == "string"
        else np.isnan(hard[column.name])
        for column in contract.features
    }
    optional = {column.name for column in contract.features if not column.required}

    assert {name for name, where in missing.items() if where.any()} == optional
    together = np.logical_and.reduce([missing[name] for name in optional or missing])
    assert together.sum() >= (7 if optional else 0)


def test_every_limit_and_every_unseen_word_is_among_them(contract: Contract, hard: Columns) -> None:
    for column in contract.features:
        present = set(hard[column.name].tolist())
        if column.kind == "string":
            assert column.values or {UNSEEN, ""} <= present, column.name
        for limit in (column.minimum, column.maximum):
            assert limit is None or float(limit) in present, column.name


def test_each_hard_value_comes_in_rows_that_are_ordinary_otherwise(
    contract: Contract, hard: Columns
) -> None:
    ordinary = columns_from_rows(contract, generate_rows(contract, 7, seed=1))
    blocks = len(next(iter(hard.values()))) // 7
    changed = [
        [name for name in hard if not equal(hard[name][7 * k : 7 * k + 7], ordinary[name])]
        for k in range(blocks - 1)
    ]

    assert all(len(names) <= 1 for names in changed)
    assert {name for names in changed for name in names} == {
        column.name for column in contract.features if not (column.required and column.values)
    }


def equal(found: NDArray[Any], expected: NDArray[Any]) -> bool:
    return found.tolist() == expected.tolist() or bool(
        found.dtype != object and np.array_equal(found, expected, equal_nan=True)
    )
