"""A small bundle that is made in seconds: a linear model of chance, for any contract."""

from pathlib import Path

import numpy as np
import pandas as pd

from mlchassis.bundle.bundle import Golden, Metadata, write_bundle
from mlchassis.config.estimator_params import LinearParams
from mlchassis.config.source_params import TableFormat
from mlchassis.contract.model import Contract, parse_contract
from mlchassis.contract.schemas import generate_rows
from mlchassis.extensions.estimators import Dataset
from mlchassis.features.code import FeatureCode
from mlchassis.features.encoding import (
    Columns,
    FeatureMatrix,
    columns_from_frame,
    columns_from_rows,
)
from mlchassis.training.estimators.linear import LinearEstimator
from mlchassis.training.reference import describe_columns
from mlchassis.training.trained_model import TrainedModel, fit_model

OPSET = 20
ROWS = 400
GOLDEN = 8


def make_bundle(
    path: Path,
    contract_text: str,
    features: FeatureCode,
    formats: TableFormat | None = None,
    table: pd.DataFrame | None = None,
) -> Path:
    """Write a bundle with a linear model of chance, on rows that keep a contract.

    Args:
        path: Output folder.
        contract_text: The contract.
        features: Function that computes the features.
        formats: Table format of the training data.
        table: Rows to fit on, typed; by default, generated ones.
    """
    contract = parse_contract(contract_text)
    rows = generate_rows(contract, count=ROWS, seed=7)
    generated = columns_from_rows(contract, rows)
    columns = generated if table is None else columns_from_frame(contract, table)
    matrix = features.arrange(columns)
    model = _fit(contract, matrix)
    scored = model.predict(features.arrange(generated))[:GOLDEN]
    golden = [
        Golden(request=row, scores=scores)
        for row, scores in zip(rows, scored.tolist(), strict=False)
    ]
    metadata = _describe(contract, matrix, features.digest, columns, golden).model_copy(
        update={"formats": formats or TableFormat()}
    )
    write_bundle(path, model.to_onnx(OPSET), contract_text, metadata)
    return path


def _fit(contract: Contract, matrix: FeatureMatrix) -> TrainedModel:
    classes = len(contract.classes)
    generator = np.random.default_rng(7)
    target = generator.integers(max(2, classes), size=len(matrix.numeric)).astype(np.float64)
    dataset = Dataset(matrix, target, contract.task, classes)
    settings = LinearParams(inverse_regularization=0.1, max_iterations=500)
    return fit_model(LinearEstimator(min_category_count=5), dataset, dataset, settings, seed=7)


def _describe(
    contract: Contract,
    matrix: FeatureMatrix,
    features_digest: str,
    columns: Columns,
    golden: list[Golden],
) -> Metadata:
    return Metadata(
        name=contract.name,
        task=contract.task,
        contract_version=contract.version,
        classes=list(contract.classes),
        threshold=0.5 if contract.task == "binary" else None,
        numeric_features=list(matrix.numeric_names),
        categorical_features=list(matrix.categorical_names),
        features_digest=features_digest,
        data_hash="0" * 64,
        params_hash="0" * 64,
        seen_until=None,
        validation_metrics={},
        reference=describe_columns(columns, contract),
        tolerance=1e-4,
        golden=golden,
    )
