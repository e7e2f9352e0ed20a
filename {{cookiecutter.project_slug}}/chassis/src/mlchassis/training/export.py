"""Stage `export`: the candidate as one ONNX graph, proven equal, in a bundle."""

import shutil
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from mlchassis.bundle.bundle import Golden, Metadata, load_bundle, write_bundle
from mlchassis.bundle.daily_counts import DailyReference
from mlchassis.bundle.scorer import OnnxModel, Scorer
from mlchassis.config.params import Params, SplitParams, TrainParams
from mlchassis.config.source_params import TableFormat
from mlchassis.contract.model import Column, Contract, load_contract
from mlchassis.data.datasets import make_dataset
from mlchassis.data.persons import check_categories, replace_personal_values
from mlchassis.data.splitting import SPLITS, describe_split
from mlchassis.data.tables import hash_rows, read_table
from mlchassis.errors import ProjectError
from mlchassis.evaluation.metrics import Floats
from mlchassis.extensions.estimators import Dataset, FittedEstimator
from mlchassis.features.code import FeatureCode
from mlchassis.features.encoding import Columns, columns_from_frame
from mlchassis.formatting import refine, spell_number
from mlchassis.project import Workspace
from mlchassis.training.daily_reference.counts import describe_days
from mlchassis.training.estimator_files import load_estimator
from mlchassis.training.parity import (
    Parity,
    check_parity,
    compare_scores,
    make_edge_cases,
    measure_unit,
)
from mlchassis.training.reference import describe_columns
from mlchassis.training.results import (
    ExportReport,
    GraphParity,
    ParityFacts,
    TrainingReport,
)
from mlchassis.training.threshold import choose_threshold

EDGE_ROWS = 200
"""Ordinary rows from which each kind of edge case is made."""

Splits = Mapping[str, pd.DataFrame]
"""Rows of the training, validation and test data, by name."""


def run(paths: Workspace, params: Params) -> str:
    """Convert, compare, and write the bundle; leave nothing behind when a check fails."""
    contract = load_contract(paths.contract)
    splits = {name: read_table(paths.splits / f"{name}.parquet") for name in SPLITS}
    training = TrainingReport.load(paths.reports)
    model = load_estimator(paths.models, "candidate", training)
    _check_persons(splits["train"], contract, params, paths.features)
    graph = model.to_onnx(params.export.opset)
    _check_size(graph, params.export.max_megabytes)
    train = make_dataset(splits["train"], contract, paths.features)
    unit = measure_unit(train.target, contract.task)
    parities = _compare(model, graph, splits["test"], contract, paths.features, unit)
    for parity in parities.values():
        check_parity(parity, params.export.tolerance)
    metadata = describe_model(model, contract, splits, params, training, paths.features)
    monitoring = describe_reference(model, contract, splits, paths.features)
    metadata = metadata.model_copy(update={"unit": unit, "monitoring": monitoring})
    digest = write_bundle(paths.bundle, graph, paths.contract.read_text(encoding="utf-8"), metadata)
    check_bundle(paths)
    facts = {n: ParityFacts(max_error=p.max_error, rows=p.rows) for n, p in parities.items()}
    report = ExportReport(
        digest=digest,
        bytes=len(graph),
        tolerance=params.export.tolerance,
        parity=GraphParity(**facts),
    )
    report.write(paths.reports)
    return (
        f"bundle {digest[:12]}, {spell_number(len(graph) / 1e6)} MB, differs from the trained "
        f"model by {report.parity.max_error:.1g} at most"
    )


def _check_persons(
    train: pd.DataFrame, contract: Contract, params: Params, features: FeatureCode
) -> None:
    """Reject a model that would keep personal data as categories."""
    columns = columns_from_frame(contract, train)
    check_categories(contract, columns, features.compute(columns), params.export.pii_categories)


def _check_size(graph: bytes, limit: float) -> None:
    megabytes = len(graph) / 1e6
    if megabytes > limit:
        digits = refine(".1f", megabytes, limit)
        raise ProjectError(
            f"The graph has {megabytes:{digits}} MB, above export.max_megabytes ({limit:g}); use "
            "fewer or smaller trees, or raise the limit."
        )


def _compare(
    model: FittedEstimator,
    graph: bytes,
    test: pd.DataFrame,
    contract: Contract,
    features: FeatureCode,
    unit: float,
) -> dict[str, Parity]:
    """Compare graph and model on the test rows and on edge cases that are made from them."""
    columns = columns_from_frame(contract, test)
    # Each column makes copies of them: of a wide table a few do, or they would fill the memory.
    few = min(EDGE_ROWS, max(1, 10_000 // len(contract.features)))
    edges = make_edge_cases({name: values[:few] for name, values in columns.items()}, contract)
    return {
        name: compare_scores(
            trained_scores(model, part, features), graph_scores(graph, part, features), unit
        )
        for name, part in (("test_rows", columns), ("edge_cases", edges))
    }


def trained_scores(model: FittedEstimator, columns: Columns, features: FeatureCode) -> Floats:
    """Return the trained model's own scores."""
    return model.predict(features.arrange(columns))


def graph_scores(graph: bytes, columns: Columns, features: FeatureCode) -> Floats:
    """Return the exported graph's scores."""
    return OnnxModel(graph, threads=0).score(features.arrange(columns))


def check_bundle(paths: Workspace) -> None:
    """Check the golden requests of the finished bundle, as a server does; remove a wrong bundle."""
    try:
        Scorer(load_bundle(paths.bundle, paths.features), paths.features).check_golden()
    except ProjectError:
        shutil.rmtree(paths.bundle)
        raise


def describe_reference(
    model: FittedEstimator, contract: Contract, splits: Splits, features: FeatureCode
) -> DailyReference:
    """Describe rows and answers by day, for monitoring."""
    held_out = pd.concat([splits["validation"], splits["test"]], ignore_index=True)
    scores = trained_scores(model, columns_from_frame(contract, held_out), features)
    everything = pd.concat([splits["train"], held_out], ignore_index=True)
    return describe_days(contract, everything, held_out, scores)


def describe_model(
    model: FittedEstimator,
    contract: Contract,
    splits: Splits,
    params: Params,
    training: TrainingReport,
    features: FeatureCode,
) -> Metadata:
    """Assemble the bundle's metadata."""
    validation = make_dataset(splits["validation"], contract, features)
    personless = replace_personal_values(splits["validation"], contract, params.seed)
    return Metadata(
        name=contract.name,
        task=contract.task,
        contract_version=contract.version,
        classes=list(contract.classes),
        threshold=_choose_threshold(model, validation, params.train),
        numeric_features=list(validation.features.numeric_names),
        categorical_features=list(validation.features.categorical_names),
        features_digest=features.digest,
        data_hash=hash_rows(splits["train"], splits["validation"]),
        params_hash=params.digest(),
        seen_until=_latest(splits["validation"], contract, params.split),
        split=describe_split(contract, params.split, params.seed),
        validation_metrics=training.validation.candidate,
        reference=describe_columns(columns_from_frame(contract, splits["train"]), contract),
        formats=_formats(params),
        tolerance=params.export.tolerance,
        golden=golden_requests(model, contract, personless, params.export.golden, features),
    )


def _choose_threshold(
    model: FittedEstimator, validation: Dataset, params: TrainParams
) -> float | None:
    """Choose the threshold of a binary model by the costs of its errors."""
    if validation.task != "binary":
        return None
    probabilities = model.predict(validation.features)[:, 1]
    return choose_threshold(
        validation.target, probabilities, params.cost_false_positive, params.cost_false_negative
    )


def _formats(params: Params) -> TableFormat:
    """Table format of the source; a project's own source is plain."""
    return TableFormat() if params.source.kind == "custom" else params.source.table_format()


def golden_requests(
    model: FittedEstimator,
    contract: Contract,
    rows: pd.DataFrame,
    count: int,
    features: FeatureCode,
) -> list[Golden]:
    """Return evenly spaced rows as a client would send them, with the trained model's scores.

    The last one leaves out everything that may be left out.
    """
    chosen = rows.iloc[np.linspace(0, len(rows) - 1, count).astype(int)].reset_index(drop=True)
    optional = [column.name for column in contract.features if not column.required]
    chosen.loc[len(chosen) - 1, optional] = pd.NA
    scores = trained_scores(model, columns_from_frame(contract, chosen), features)
    return [
        Golden(request=_as_record(row, contract), scores=answer.tolist())
        for (_, row), answer in zip(chosen.iterrows(), scores, strict=True)
    ]


def _as_record(row: "pd.Series[Any]", contract: Contract) -> dict[str, Any]:
    return {
        column.name: _as_json(row[column.name], column)
        for column in contract.features
        if not pd.isna(row[column.name])
    }


def _as_json(value: Any, column: Column) -> Any:
    types = {"integer": int, "number": float, "boolean": bool, "string": str}
    return value.isoformat() if column.kind == "timestamp" else types[column.kind](value)


def _latest(rows: pd.DataFrame, contract: Contract, split: SplitParams) -> str | None:
    if contract.event_time is None or split.strategy != "time":
        return None
    latest: str = rows[contract.event_time.name].max().isoformat()
    return latest
