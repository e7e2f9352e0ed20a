"""Rows as a model sees them."""

import numpy as np
import pandas as pd

from ml_service.features import compute_features
from mlchassis.contract.model import Contract
from mlchassis.contract.schemas import generate_rows
from mlchassis.data.datasets import compute_matrix, make_dataset
from mlchassis.data.tables import coerce
from mlchassis.features.code import load_feature_code
from mlchassis.features.encoding import arrange_features, columns_from_rows

FEATURES = load_feature_code(compute_features)


def make_labels(contract: Contract) -> list[object]:
    """Each class in turn, or whole numbers."""
    known = contract.classes or tuple(range(7))
    return [known[i % len(known)] for i in range(30)]


def make_window(contract: Contract) -> tuple[list[dict[str, object]], pd.DataFrame]:
    rows = generate_rows(contract, 30, seed=6)
    frame = pd.DataFrame(rows).reindex(columns=[column.name for column in contract.columns])
    frame[contract.target.name] = pd.Series(make_labels(contract), dtype=object)
    return rows, coerce(frame, contract)


def test_a_window_has_the_features_that_the_api_computes(contract: Contract) -> None:
    rows, frame = make_window(contract)
    expected = arrange_features(compute_features(columns_from_rows(contract, rows)))
    found = compute_matrix(frame, contract, FEATURES)

    assert found.numeric_names == expected.numeric_names
    np.testing.assert_array_equal(found.numeric, expected.numeric)
    np.testing.assert_array_equal(found.categorical, expected.categorical)


def test_examples_hold_the_position_of_each_label(contract: Contract) -> None:
    _, frame = make_window(contract)
    dataset = make_dataset(frame, contract, FEATURES)

    assert dataset.target.tolist() == [i % len(contract.classes or range(7)) for i in range(30)]
    assert dataset.features.numeric.shape == (30, len(dataset.features.numeric_names))
    assert (dataset.task, dataset.classes) == (contract.task, len(contract.classes))
