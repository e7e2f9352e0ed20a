"""Build the one model that every server serves, and its rows: run by a project's interpreter.

    python freeze.py OUTPUT

The project's features are sixteen numbers as they come. OUTPUT gets
the model as a bundle, as LightGBM's text and as a scikit-learn pipeline, and rows with answers.
"""

import json
import sys
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import yaml
from lightgbm import LGBMClassifier
from ml_service.features import compute_features
from mlchassis.bundle.bundle import Golden, Metadata, deploy_bundle, write_bundle
from mlchassis.contract.model import parse_contract
from mlchassis.features.code import load_feature_code
from mlchassis.training.conversion import convert_pipeline
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline

NAMES = [f"x{i:02d}" for i in range(16)]
TREES = 200
ROWS = 2_000
FEATURES = load_feature_code(compute_features)


def write_contract() -> str:
    """A contract of sixteen numbers and a yes or no."""
    number = {"logicalType": "number", "required": True, "tags": ["feature"]}
    limits = {"minimum": -100, "maximum": 100}
    columns: list[dict[str, Any]] = [
        {"name": name, **number, "logicalTypeOptions": limits, "examples": [0.5]} for name in NAMES
    ]
    columns.append({"name": "target", "logicalType": "boolean", "tags": ["target"]})
    schema = {"name": "bench", "physicalType": "table", "properties": columns}
    document = {"apiVersion": "v3.2.0", "kind": "DataContract", "id": "bench", "name": "bench"}
    document |= {"version": "1.0.0", "status": "active"}
    description = {"purpose": "A model to measure servers with."}
    text: str = yaml.safe_dump(
        {**document, "description": description, "schema": [schema]}, sort_keys=False
    )
    return text


def fit() -> tuple[Any, pd.DataFrame]:
    """A pipeline around 200 trees, and rows that it has not seen."""
    random = np.random.default_rng(7)
    table = random.normal(size=(20_000 + ROWS, len(NAMES)))
    signal = table[:, 0] * table[:, 1] + np.sin(3 * table[:, 2]) + table[:, 3:].sum(axis=1) / 4
    target = (signal + random.normal(size=len(table)) > 0).astype(float)
    frame = pd.DataFrame(table.astype(np.float32), columns=NAMES)
    prepare = ColumnTransformer([("numeric", "passthrough", list(range(len(NAMES))))])
    model = LGBMClassifier(n_estimators=TREES, num_leaves=31, random_state=7, n_jobs=1, verbose=-1)
    model.fit(prepare.fit_transform(frame[ROWS:]), target[ROWS:])
    return Pipeline([("prepare", prepare), ("model", model)]), frame[:ROWS]


def describe(contract_text: str, golden: list[Golden]) -> Metadata:
    """Metadata of the frozen bundle."""
    contract = parse_contract(contract_text)
    return Metadata(
        name=contract.name,
        task=contract.task,
        contract_version=contract.version,
        classes=list(contract.classes),
        threshold=0.5,
        numeric_features=NAMES,
        categorical_features=[],
        features_digest=FEATURES.digest,
        data_hash="0" * 64,
        params_hash="0" * 64,
        seen_until=None,
        validation_metrics={},
        reference={},
        tolerance=1e-5,
        golden=golden,
    )


def main(output: Path) -> None:
    """Write the model in every form, and the rows with its answers."""
    output.mkdir(parents=True, exist_ok=True)
    model, rows = fit()
    # Rounded, so that JSON and a float32 say the same.
    rows = rows.astype(np.float64).round(4)
    answers = model.predict_proba(rows)
    records = rows.to_dict(orient="records")
    golden = [Golden(request=r, scores=a) for r, a in zip(records[:8], answers, strict=False)]
    contract_text = write_contract()
    graph = convert_pipeline(model, len(NAMES), 0, opset=20)
    write_bundle(output / "bundle", graph, contract_text, describe(contract_text, golden))
    deploy_bundle(output / "bundle", output / "store", "bench", "1", FEATURES)
    joblib.dump(model, output / "model.joblib")
    model[-1].booster_.save_model(output / "model.txt")
    contents = {"names": NAMES, "rows": rows.to_numpy().tolist(), "answers": answers[:, 1].tolist()}
    (output / "rows.json").write_text(json.dumps(contents), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
