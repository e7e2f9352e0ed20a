"""Estimators come back exactly, and nothing that training did not write is interpreted."""

import hashlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from mlchassis.config.estimator_params import LinearParams, PriorParams, TreesParams
from mlchassis.config.params import CandidateParams, Params
from mlchassis.extensions.estimators import Dataset
from mlchassis.features.encoding import FeatureMatrix
from mlchassis.training.estimator_files import StorageError, load_estimator, save_estimator
from mlchassis.training.estimators import lightgbm
from mlchassis.training.estimators.candidate import fit_candidate
from mlchassis.training.estimators.linear import LinearEstimator
from mlchassis.training.estimators.prior import PriorEstimator
from mlchassis.training.results import EstimatorFile, TrainingReport, ValidationMetrics
from mlchassis.training.trained_model import TrainedModel, fit_model

LINEAR = LinearParams(inverse_regularization=1.0, max_iterations=500)


CLASSES = {"binary": 2, "multiclass": 3, "regression": 0}


def draw(task: Any, categories: int = 4) -> Dataset:
    """Numbers and words, each sometimes missing, and what follows from them."""
    generator = np.random.default_rng(3)
    rows = 1500
    numeric = generator.normal(size=(rows, 2)).astype(np.float32)
    numeric[::7, 1] = np.nan
    names = np.array([f"wörd {number}\n" for number in range(categories)], dtype=object)
    categorical = generator.choice(names, rows).reshape(-1, 1)
    signal = numeric[:, 0].astype(np.float64) + generator.normal(size=rows)
    target = {
        "binary": (signal > 0).astype(float),
        "multiclass": np.digitize(signal, [-0.5, 0.5]).astype(float),
        "regression": np.exp(signal),
    }[task]
    matrix = FeatureMatrix(("a", "b"), numeric, ("word",), categorical)
    return Dataset(matrix, target, task, CLASSES[task])


@pytest.fixture(autouse=True)
def _any_fit_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lightgbm, "_check_stopping", lambda *_: None)


def fit_prior(dataset: Dataset) -> TrainedModel:
    return fit_model(PriorEstimator(), dataset, dataset, PriorParams(), 1)


def fit(model: str, fixed_params: Params, dataset: Dataset, **changes: Any) -> TrainedModel:
    if model == "prior":
        return fit_prior(dataset)
    if model == "linear":
        return fit_model(LinearEstimator(min_category_count=5), dataset, dataset, LINEAR, 1)
    fast = {
        "learning_rate": 0.1,
        "max_trees": 12,
        "patience": 5,
        "leaves": 7,
        "min_rows_per_leaf": 20,
        "feature_proportion": 1.0,
        "threads": 1,
        "categories": changes.pop("categories", "native"),
    }
    sections = {
        "candidate": CandidateParams.model_validate(changes),
        "trees": TreesParams.model_validate(fast),
        "min_category_count": 5,
    }
    return fit_candidate(dataset, dataset, fixed_params.train.model_copy(update=sections), 1)


MODELS: dict[str, tuple[str, str, dict[str, Any]]] = {
    **{
        f"{kind} {task}": (kind, task, {})
        for kind in ("prior", "linear", "trees")
        for task in ("binary", "multiclass", "regression")
    },
    "means binary": ("trees", "binary", {"categories": "means"}),
    "means multiclass": ("trees", "multiclass", {"categories": "means"}),
    "logarithm": ("trees", "regression", {"target_scale": "log"}),
    "logarithm of a linear model": (
        "trees",
        "regression",
        {"target_scale": "log", "kind": "linear"},
    ),
}


def report(**estimators: EstimatorFile) -> TrainingReport:
    """A report of training that names these files."""
    metrics = ValidationMetrics(prior={}, linear={}, candidate={})
    return TrainingReport(single_feature_auc={}, validation=metrics, estimators=estimators)


@pytest.mark.parametrize("name", MODELS)
def test_a_model_comes_back_exactly_from_json(
    name: str, tmp_path: Path, fixed_params: Params
) -> None:
    kind, task, changes = MODELS[name]
    dataset = draw(task, categories=30 if changes.get("categories") else 4)
    model = fit(kind, fixed_params, dataset, **changes)
    record = save_estimator(model, tmp_path, "candidate")
    again = load_estimator(tmp_path, "candidate", report(candidate=record))

    assert [path.name for path in tmp_path.iterdir()] == ["candidate.json"]
    np.testing.assert_array_equal(again.predict(dataset.features), model.predict(dataset.features))
    if kind != "prior":
        assert again.to_onnx(20) == model.to_onnx(20)


def test_the_same_fit_gives_the_same_file(tmp_path: Path, fixed_params: Params) -> None:
    dataset = draw("binary")
    records = [
        save_estimator(fit("trees", fixed_params, dataset), tmp_path, name)
        for name in ("first", "second")
    ]
    assert records[0].sha256 == records[1].sha256


@dataclass
class OwnModel:
    """A fitted estimator of a project, around a forest."""

    forest: RandomForestClassifier

    def predict(self, features: FeatureMatrix) -> Any:
        return self.forest.predict_proba(features.numeric[:, :1])

    def to_onnx(self, opset: int) -> bytes:
        return b""


def test_an_estimator_of_another_kind_is_pickled_and_compared(tmp_path: Path) -> None:
    dataset = draw("binary")
    forest = RandomForestClassifier(n_estimators=2, random_state=1)
    model = OwnModel(forest.fit(dataset.features.numeric[:, :1], dataset.target))
    record = save_estimator(model, tmp_path, "candidate")
    training = report(candidate=record)

    assert record.file == "candidate.joblib"
    again = load_estimator(tmp_path, "candidate", training)
    np.testing.assert_array_equal(again.predict(dataset.features), model.predict(dataset.features))
    # A file of an earlier training does not stay beside the new one.
    save_estimator(fit_prior(dataset), tmp_path, "candidate")
    assert [path.name for path in tmp_path.iterdir()] == ["candidate.json"]


class Hostile:
    """A pickle that leaves a file where it is loaded."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("kept", ["prior.json", "prior.joblib"])
def test_a_replaced_estimator_is_refused_before_it_runs(kept: str, tmp_path: Path) -> None:
    mark = tmp_path / "was here"
    dataset = draw("binary")
    folder = tmp_path / "trained"
    folder.mkdir()
    record = save_estimator(fit_prior(dataset), folder, "prior")
    buffer = io.BytesIO()
    joblib.dump(Hostile(mark), buffer)
    hostile = buffer.getvalue()
    (folder / kept).write_bytes(hostile)
    training = report(prior=record.model_copy(update={"file": kept}))

    with pytest.raises(StorageError, match=f"{kept} does not match its SHA-256"):
        load_estimator(folder, "prior", training)
    assert not mark.exists()
    # The attack is one: without the comparison it runs.
    joblib.load(io.BytesIO(hostile))
    assert mark.exists()


@pytest.mark.parametrize(
    "file",
    ["", "other.json", "../prior.joblib", "/tmp/prior.json", "prior.pkl"],  # noqa: S108
)
def test_a_report_that_names_another_file_is_refused(file: str, tmp_path: Path) -> None:
    training = report(prior=EstimatorFile(file=file, sha256="0" * 64))
    with pytest.raises(StorageError, match="names no file of the estimator 'prior'"):
        load_estimator(tmp_path, "prior", training)
    with pytest.raises(StorageError, match="names no file of the estimator 'prior'"):
        load_estimator(tmp_path, "prior", report())


def test_a_missing_estimator_is_named(tmp_path: Path) -> None:
    training = report(prior=EstimatorFile(file="prior.json", sha256="0" * 64))
    with pytest.raises(StorageError, match=r"prior\.json is missing; run `make pull`"):
        load_estimator(tmp_path, "prior", training)


def test_json_names_no_class_outside_the_closed_list(tmp_path: Path) -> None:
    for name in ("Hostile", "os.system", "builtins.eval", "RandomForestClassifier"):
        content = json.dumps({"estimator": {"class": name, "state": {}}}).encode()
        (tmp_path / "prior.json").write_bytes(content)
        record = EstimatorFile(file="prior.json", sha256=hashlib.sha256(content).hexdigest())
        with pytest.raises(StorageError, match="holds a class that this project does not write"):
            load_estimator(tmp_path, "prior", report(prior=record))
