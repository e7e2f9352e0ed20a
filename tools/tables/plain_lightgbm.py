"""Compare a project's bundle with LightGBM as anybody would fit it, on the project's own split.

Runs with an adopted project's interpreter, in its folder. Plain LightGBM takes every feature column
of the contract as it is: numbers, times as seconds, strings as pandas' categoricals; its defaults,
early stopping on the validation split. Prints one JSON object.
"""

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
from mlchassis.bundle.bundle import load_bundle
from mlchassis.bundle.scorer import Scorer
from mlchassis.contract.model import load_contract
from mlchassis.evaluation.metrics import encode_target
from mlchassis.features.code import load_feature_code
from sklearn.metrics import log_loss, roc_auc_score

RESAMPLES = 2000
PATIENCE = 50
MAX_TREES = 2000


def main(package: str) -> None:
    """Print the metric of both, and the gain of the bundle with its interval."""
    contract = load_contract(Path("contract.yaml"))
    parts = {
        name: pd.read_parquet(f"data/splits/{name}.parquet", dtype_backend="numpy_nullable")
        for name in ("train", "validation", "test")
    }
    target = contract.target.name
    answers = {
        name: encode_target(rows[target].to_numpy(), contract.classes)
        for name, rows in parts.items()
    }
    served = score_bundle(package, parts["test"])
    plain = fit_plain(contract, parts, answers)
    units = find_units(parts["test"])
    print(json.dumps(compare(contract.task, answers["test"], served, plain, units)))


def score_bundle(package: str, rows: pd.DataFrame) -> Any:
    """Return the scores of the bundle that the pipeline made, shape (rows, classes or 1)."""
    service = importlib.import_module(f"{package}.service").service
    features = load_feature_code(service.features)
    bundle = load_bundle(Path("models/bundle"), features)
    return Scorer(bundle, features).score_frame(rows).scores


def fit_plain(contract: Any, parts: dict[str, pd.DataFrame], answers: dict[str, Any]) -> Any:
    """Fit LightGBM with its defaults; return its scores of the test rows."""
    categories = {
        column.name: pd.Index(parts["train"][column.name].dropna().unique())
        for column in contract.features
        if column.kind == "string"
    }
    inputs = {name: arrange(contract, rows, categories) for name, rows in parts.items()}
    kind = lightgbm.LGBMRegressor if contract.task == "regression" else lightgbm.LGBMClassifier
    model = kind(n_estimators=MAX_TREES, n_jobs=1, random_state=1, verbose=-1)
    model.fit(
        inputs["train"],
        answers["train"],
        eval_X=inputs["validation"],
        eval_y=answers["validation"],
        callbacks=[lightgbm.early_stopping(PATIENCE, verbose=False)],
    )
    if contract.task == "regression":
        return model.predict(inputs["test"]).reshape(-1, 1)
    return model.predict_proba(inputs["test"])


def arrange(contract: Any, rows: pd.DataFrame, categories: dict[str, Any]) -> pd.DataFrame:
    """Return the features as LightGBM takes them."""
    columns = {}
    for position, column in enumerate(contract.features):
        values = rows[column.name]
        if column.kind == "string":
            encoded = pd.Categorical(values.astype(object), categories=categories[column.name])
        elif column.kind == "timestamp":
            encoded = values.astype("int64").where(values.notna()).astype("float64")
        else:
            encoded = values.to_numpy(dtype=np.float64, na_value=np.nan)
        columns[f"f{position}"] = encoded
    return pd.DataFrame(columns)


def find_units(rows: pd.DataFrame) -> Any:
    """Number the units that are resampled: the groups of the split, else the rows."""
    params = importlib.import_module("yaml").safe_load(Path("params.yaml").read_text())
    group = params["split"]["group"]
    if group is None or group not in rows:
        return np.arange(len(rows))
    return pd.factorize(rows[group])[0]


def compare(task: str, target: Any, served: Any, plain: Any, units: Any) -> dict[str, Any]:
    """Return both losses per row, and the interval of their paired difference."""
    losses = [row_losses(task, target, scores) for scores in (served, plain)]
    gain = losses[1] - losses[0]
    draw = np.random.default_rng(1)
    count = units.max() + 1
    sums, sizes = np.bincount(units, gain), np.bincount(units)
    means = []
    for _ in range(RESAMPLES):
        weights = np.bincount(draw.integers(0, count, count), minlength=count)
        means.append(float(weights @ sums) / float(weights @ sizes))
    low, high = np.quantile(means, [0.025, 0.975])
    comparison = {
        "rows": len(target),
        "units": int(count),
        "loss": "squared error" if task == "regression" else "log loss",
        "served": float(losses[0].mean()),
        "plain": float(losses[1].mean()),
        "gain": float(gain.mean()),
        "low": float(low),
        "high": float(high),
    }
    if task == "binary":
        areas = [float(roc_auc_score(target, scores[:, 1])) for scores in (served, plain)]
        comparison["roc_auc"] = areas
    return comparison


def row_losses(task: str, target: Any, scores: Any) -> Any:
    """Return the loss of each row: log loss of classes, squared error of numbers."""
    if task == "regression":
        return (scores[:, 0] - target) ** 2
    clipped = np.clip(scores, 1e-15, 1)
    losses = -np.log(clipped[np.arange(len(target)), target.astype(int)])
    expected = log_loss(target, scores, labels=np.arange(scores.shape[1]))
    if not np.isclose(losses.mean(), expected, rtol=1e-3):
        raise SystemExit(f"log loss is {expected}, but its rows have {losses.mean()}")
    return losses


if __name__ == "__main__":
    main(sys.argv[1])
