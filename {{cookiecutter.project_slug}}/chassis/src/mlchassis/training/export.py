"""Stage `export`: the candidate as one ONNX graph, proven equal, in a bundle."""

import hashlib
import shutil
from typing import Any

import numpy as np
import pandas as pd

from mlchassis.bundle.bundle import Golden, Metadata, load_bundle, write_bundle
from mlchassis.bundle.scorer import OnnxModel, Scorer
from mlchassis.config.params import Params, SplitParams
from mlchassis.config.source_params import TableFormat
from mlchassis.contract.model import Column, Contract, load_contract
from mlchassis.data.datasets import window_examples
from mlchassis.data.persons import check_categories, replace_personal_values
from mlchassis.data.splitting import describe_split
from mlchassis.data.tables import read_table
from mlchassis.errors import ProjectError
from mlchassis.evaluation.metrics import Floats
from mlchassis.features.code import FeatureCode
from mlchassis.features.encoding import Columns, columns_from_frame
from mlchassis.project import Workspace
from mlchassis.reports import read_report, write_report
from mlchassis.training.conversion import convert_model
from mlchassis.training.estimator_files import load_estimator
from mlchassis.training.estimators import feature_frame, predict_scores
from mlchassis.training.parity import check_parity, compare_scores, hard_columns, measure_unit
from mlchassis.training.reference import describe_columns
from mlchassis.training.threshold import choose_threshold

HARD_ROWS = 200
"""Ordinary rows from which each kind of hard row is made."""


def run(paths: Workspace, params: Params) -> str:
    """Converts, compares, and writes the bundle; nothing is left behind when a check fails."""
    contract = load_contract(paths.contract)
    rows = {w: read_table(paths.splits / f"{w}.parquet") for w in ("train", "valid", "test")}
    training = read_report(paths.reports / "training.json")
    model = load_estimator(paths.models, "candidate", training)
    seen = columns_from_frame(contract, rows["train"])
    features = paths.features
    check_categories(contract, seen, features.compute(seen), params.export.pii_categories)
    columns = columns_from_frame(contract, rows["test"])
    matrix = features.arrange(columns)
    graph = convert_model(
        model, len(matrix.numeric_names), len(matrix.categorical_names), params.export.opset
    )
    size = len(graph) / 1e6
    if size > params.export.max_megabytes:
        raise ProjectError(
            f"The graph has {size:.1f} MB, above export.max_megabytes "
            f"({params.export.max_megabytes:g}); use fewer or smaller trees, or raise the limit."
        )
    # Each column makes copies of them: of a wide table a few do, or they would fill the memory.
    few = min(HARD_ROWS, max(1, 10_000 // len(contract.features)))
    hard = hard_columns({n: v[:few] for n, v in columns.items()}, contract)
    unit = measure_unit(window_examples(rows["train"], contract, features).target, contract.task)
    parities = {
        name: compare_scores(
            trained_scores(model, part, features), graph_scores(graph, part, features), unit
        )
        for name, part in (("test_rows", columns), ("hard_rows", hard))
    }
    for parity in parities.values():
        check_parity(parity, params.export.tolerance)
    metadata = describe_model(model, contract, rows, params, training, features).model_copy(
        update={"unit": unit}
    )
    digest = write_bundle(paths.bundle, graph, paths.contract.read_text(encoding="utf-8"), metadata)
    check_bundle(paths)
    report = {
        "digest": digest,
        "bytes": len(graph),
        "tolerance": params.export.tolerance,
        "parity": {n: {"max_error": p.max_error, "rows": p.rows} for n, p in parities.items()},
    }
    write_report(paths.reports / "export.json", report)
    worst = max(parity.max_error for parity in parities.values())
    return (
        f"bundle {digest[:12]}, {size:.1f} MB, differs from the trained model by {worst:.1g} at "
        "most"
    )


def trained_scores(model: Any, columns: Columns, features: FeatureCode) -> Floats:
    """The trained model's own answers."""
    return predict_scores(model, feature_frame(features.arrange(columns)))


def graph_scores(graph: bytes, columns: Columns, features: FeatureCode) -> Floats:
    """The exported graph's answers."""
    return OnnxModel(graph, threads=0).score(features.arrange(columns))


def check_bundle(paths: Workspace) -> None:
    """Asks the finished bundle its golden requests, as a server will; removes it if it errs."""
    try:
        Scorer(load_bundle(paths.bundle, paths.features), paths.features).check_golden()
    except ProjectError:
        shutil.rmtree(paths.bundle)
        raise


def describe_model(
    model: Any,
    contract: Contract,
    rows: dict[str, pd.DataFrame],
    params: Params,
    training: Any,
    features: FeatureCode,
) -> Metadata:
    """Assemble the bundle's metadata."""
    valid = window_examples(rows["valid"], contract, features)
    matrix = features.arrange(columns_from_frame(contract, rows["valid"][:1]))
    threshold = None
    if contract.task == "binary":
        costs = (params.train.cost_false_positive, params.train.cost_false_negative)
        threshold = choose_threshold(
            valid.target, predict_scores(model, valid.features)[:, 1], *costs
        )
    return Metadata(
        name=contract.name,
        task=contract.task,
        contract_version=contract.version,
        classes=list(contract.classes),
        threshold=threshold,
        numeric_features=list(matrix.numeric_names),
        categorical_features=list(matrix.categorical_names),
        features_digest=features.digest,
        data_hash=hash_rows(rows["train"], rows["valid"]),
        params_hash=params.digest(),
        seen_until=_latest(rows["valid"], contract, params.split),
        split=describe_split(contract, params.split, params.seed),
        validation_metrics=training["valid"]["candidate"],
        reference=describe_columns(columns_from_frame(contract, rows["train"]), contract),
        formats=_formats(params),
        tolerance=params.export.tolerance,
        golden=golden_requests(
            model,
            contract,
            replace_personal_values(rows["valid"], contract, params.seed),
            params.export.golden,
            features,
        ),
    )


def _formats(params: Params) -> TableFormat:
    """Table format of the source; a project's own source is plain."""
    return TableFormat() if params.source.kind == "custom" else params.source.table_format()


def golden_requests(
    model: Any, contract: Contract, rows: pd.DataFrame, count: int, features: FeatureCode
) -> list[Golden]:
    """Evenly spaced rows as a client would send them, with the trained model's answers.

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


def hash_rows(*windows: pd.DataFrame) -> str:
    """SHA-256 over the content of rows, whatever file they lie in."""
    digest = hashlib.sha256()
    for window in windows:
        hashes = pd.util.hash_pandas_object(window, index=False).to_numpy()
        digest.update(hashes.tobytes())
    return digest.hexdigest()


def _latest(rows: pd.DataFrame, contract: Contract, split: SplitParams) -> str | None:
    if contract.event_time is None or split.strategy != "time":
        return None
    latest: str = rows[contract.event_time.name].max().isoformat()
    return latest
