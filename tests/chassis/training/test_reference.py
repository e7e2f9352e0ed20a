"""Reference distributions of the training rows."""

import numpy as np
import pytest

from mlchassis.bundle.column_reference import CategoricalReference, NumericReference
from mlchassis.contract.model import Column, Contract, Role
from mlchassis.contract.schemas import generate_rows
from mlchassis.features.encoding import MISSING, columns_from_rows
from mlchassis.training.reference import BINS, MOST_CATEGORIES, describe_columns

ROLE: frozenset[Role] = frozenset({"feature"})
SIZES = Contract("sizes", "1.0.0", "", (Column("size", "number", False, "", (), ROLE),))
WORDS = Contract("words", "1.0.0", "", (Column("word", "string", False, "", (), ROLE),))


def test_every_feature_is_described_by_the_share_that_is_missing(contract: Contract) -> None:
    columns = columns_from_rows(contract, generate_rows(contract, 500, seed=1))
    described = describe_columns(columns, contract)

    assert list(described) == [column.name for column in contract.features]
    for column in contract.features:
        values = columns[column.name]
        missing = values == MISSING if column.kind == "string" else np.isnan(values)
        assert described[column.name].missing == pytest.approx(missing.mean())


def test_numbers_are_described_by_quantiles_of_what_is_there() -> None:
    columns = {"size": np.array([*range(20), np.nan], dtype=float)}
    found = describe_columns(columns, SIZES)["size"]
    assert isinstance(found, NumericReference)
    assert found.quantiles == pytest.approx(np.linspace(0, 19, BINS + 1).tolist())


def test_words_are_described_by_the_shares_of_the_commonest() -> None:
    words = [f"w{k}" for k in range(70)] + ["common"] * 100 + [MISSING] * 30
    found = describe_columns({"word": np.array(words, dtype=object)}, WORDS)["word"]

    assert isinstance(found, CategoricalReference)
    assert next(iter(found.shares.items())) == ("common", 0.5)
    assert len(found.shares) == MOST_CATEGORIES
    assert found.missing == pytest.approx(0.15)
    assert MISSING not in found.shares


def test_a_column_without_any_value_is_described_too() -> None:
    assert describe_columns({"size": np.full(5, np.nan)}, SIZES)["size"] == (
        NumericReference(missing=1)
    )


def test_of_a_persons_column_the_missing_values_alone_are_described() -> None:
    roles: frozenset[Role] = ROLE | {"pii"}
    names = Column("name", "string", False, "", (), roles)
    salary = Column("salary", "number", False, "", (), roles)
    columns = {
        "name": np.array(["Ann", MISSING], dtype=object),
        "salary": np.array([np.nan, 70_000.0]),
    }
    assert describe_columns(columns, Contract("staff", "1.0.0", "", (names, salary))) == {
        "name": CategoricalReference(missing=0.5),
        "salary": NumericReference(missing=0.5),
    }
