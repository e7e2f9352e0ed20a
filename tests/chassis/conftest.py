"""Shared fixtures: the contract, and a small bundle that is made in seconds."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import ml_service
from ml_service.features import compute_features
from mlchassis.bundle.bundle import Golden, Metadata, write_bundle
from mlchassis.config.params import JudgeParams, LinearParams, Params, load_params
from mlchassis.config.source_params import TableFormat
from mlchassis.contract.model import Contract, parse_contract
from mlchassis.contract.schemas import generate_rows
from mlchassis.features.code import FeatureCode, load_feature_code
from mlchassis.features.encoding import columns_from_frame, columns_from_rows
from mlchassis.training.conversion import convert_model
from mlchassis.training.estimators import Examples, feature_frame, fit_linear, predict_scores
from mlchassis.training.reference import describe_columns

ROOT = Path(ml_service.__file__).parents[2]


@pytest.fixture(scope="session")
def contract_text() -> str:
    return (ROOT / "contract.yaml").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def contract(contract_text: str) -> Contract:
    return parse_contract(contract_text)


@pytest.fixture
def fixed_params() -> Params:
    """This project's parameters, with the costs and limits for which the tests' facts are made."""
    own = load_params(ROOT / "params.yaml")
    limits = JudgeParams(
        metric="roc_auc",
        min_gain=0.0,
        max_regression=0.005,
        max_calibration_error=0.08,
        max_slice_gap=0.5,
        max_surprise=0.1,
        max_excess_cost=0.001,
        max_age_days=14,
        max_microseconds=5000.0,
    )
    costs = {"cost_false_positive": 1.0, "cost_false_negative": 3.0}
    return own.model_copy(update={"judge": limits, "train": own.train.model_copy(update=costs)})


def make_bundle(
    path: Path,
    contract_text: str,
    features: FeatureCode,
    formats: TableFormat | None = None,
    table: pd.DataFrame | None = None,
) -> Path:
    """Writes a bundle with a linear model of chance, on rows that keep a contract.

    Args:
        path: Output folder.
        contract_text: The contract.
        features: Makes the features.
        formats: Table format of the training data.
        table: Rows to fit on, typed; by default, generated ones.
    """
    contract = parse_contract(contract_text)
    rows = generate_rows(contract, count=400, seed=7)
    columns = columns_from_rows(contract, rows)
    golden = feature_frame(features.arrange(columns))[:8]
    if table is not None:
        columns = columns_from_frame(contract, table)
    matrix = features.arrange(columns)
    frame = feature_frame(matrix)
    kinds = max(2, len(contract.classes))
    target = np.random.default_rng(7).integers(kinds, size=len(frame)).astype(np.float64)
    examples = Examples(frame, target, categorical=len(matrix.categorical_names))
    settings = LinearParams(inverse_regularisation=0.1, max_iterations=500)
    model = fit_linear(examples, contract.task, settings, min_category_count=5, seed=7)
    graph = convert_model(model, len(matrix.numeric_names), len(matrix.categorical_names), opset=20)
    metadata = Metadata(
        name=contract.name,
        task=contract.task,
        contract_version=contract.version,
        classes=list(contract.classes),
        threshold=0.5 if contract.task == "binary" else None,
        numeric_features=list(matrix.numeric_names),
        categorical_features=list(matrix.categorical_names),
        features_digest=features.digest,
        data_hash="0" * 64,
        params_hash="0" * 64,
        seen_until=None,
        validation_metrics={},
        reference=describe_columns(columns, contract),
        formats=formats or TableFormat(),
        tolerance=1e-4,
        golden=[
            Golden(request=row, scores=scores)
            for row, scores in zip(rows, predict_scores(model, golden).tolist(), strict=False)
        ],
    )
    write_bundle(path, graph, contract_text, metadata)
    return path


@pytest.fixture(scope="session")
def bundle_path(contract_text: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small bundle for this project's contract; leave it as it is."""
    path = tmp_path_factory.mktemp("bundles") / "bundle"
    return make_bundle(path, contract_text, load_feature_code(compute_features))


@pytest.fixture(scope="session")
def bundle_maker() -> Callable[..., Path]:
    """The function, since a test cannot import what is here."""
    return make_bundle
