"""A project whose pipeline has run, made of the small bundle; and a second, opposite model."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
import pandas as pd
import pytest
from onnx import helper

import ml_service
from ml_service.project import project as own_project
from mlchassis.adoption.columns.roles import Wishes
from mlchassis.adoption.files.remove_sample import FEATURES as PLAIN_FEATURES
from mlchassis.adoption.formats.detect_source import Place
from mlchassis.adoption.prepare import prepare
from mlchassis.adoption.request import Request
from mlchassis.bundle.bundle import load_bundle, read_bundle, write_bundle
from mlchassis.bundle.scorer import Scorer
from mlchassis.config.params import Params, load_params
from mlchassis.contract.model import Contract
from mlchassis.contract.schemas import PANDAS_TYPES, generate_rows
from mlchassis.data.tables import conform, write_table
from mlchassis.features.code import load_feature_code
from mlchassis.paths import Paths
from mlchassis.project import Workspace
from mlchassis.registry.mlflow_database import create_database
from mlchassis.registry.tracking_uri import sqlite_uri
from mlchassis.telemetry import silence_telemetry

ROOT = Path(ml_service.__file__).parents[2]
FEATURES = load_feature_code(own_project.features)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("MLFLOW_")]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def window(contract: Contract, bundle_path: Path) -> pd.DataFrame:
    """Rows of a test window, in which the small bundle is mostly right."""
    rows = pd.DataFrame(generate_rows(contract, count=1200, seed=11))
    rows[contract.target.name] = None
    rows = conform(rows.reindex(columns=[column.name for column in contract.columns]), contract)
    scores = Scorer(load_bundle(bundle_path, FEATURES), FEATURES).score_frame(rows).scores
    noise = np.random.default_rng(3).normal(scale=scores.std(axis=0), size=scores.shape)
    noisy = scores + noise
    labels: Any = noisy[:, 0]
    if contract.classes:
        likely = (noisy - np.median(scores, axis=0)).argmax(axis=1)
        labels = [contract.classes[k] for k in likely]
    elif contract.target.kind == "integer":
        labels = labels.round()
    kind = PANDAS_TYPES[contract.target.kind]
    rows[contract.target.name] = pd.Series(labels).astype(cast("Any", kind))
    return rows


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry in which nothing is, made once: it takes MLflow a second."""
    silence_telemetry()
    from mlflow.store.db.utils import _initialize_tables

    database = tmp_path_factory.mktemp("registry") / "mlflow.db"
    create_database(database, _initialize_tables)
    return database


@pytest.fixture
def project(
    tmp_path: Path,
    bundle_path: Path,
    window: pd.DataFrame,
    empty_database: Path,
    describe: Callable[[Paths], None],
) -> Workspace:
    """A project after `dvc repro`, in a repository of its own."""
    paths = Workspace(tmp_path / "project", own_project)
    shutil.copytree(bundle_path, paths.bundle)
    for name in ("contract.yaml", "params.yaml"):
        shutil.copy(ROOT / name, paths.root)
    write_table(paths.splits / "test.parquet", window)
    outs = [{"path": "data/raw", "hash": "md5", "md5": "0123.dir"}]
    paths.dvc_lock.write_text(json.dumps({"stages": {"ingest": {"outs": outs}}}))
    paths.plots.mkdir(parents=True)
    (paths.plots / "curve.csv").write_text("x,y\n0,0\n")
    describe(paths)
    paths.var.mkdir()
    shutil.copy(empty_database, paths.var)
    me = ("-c", "user.name=Somebody", "-c", "user.email=somebody@localhost")
    for arguments in (("init", "-q"), ("add", "params.yaml"), (*me, "commit", "-qm", "Start")):
        subprocess.run(["git", *arguments], cwd=paths.root, check=True)
    return paths


@pytest.fixture
def params() -> Params:
    own = load_params(ROOT / "params.yaml")
    # In the measure of the small bundle's answers, which for numbers is not that of the target.
    # No test holds the speed of the machine that it runs on.
    limits = {"max_regression": 0.005, "max_microseconds": 1e9}
    judged = own.judge.model_copy(update=limits)
    return own.model_copy(update={"judge": judged})


@pytest.fixture(scope="session")
def describe() -> Callable[[Paths], None]:
    """Writes the facts of an evaluation that every gate lets pass, for the bundle that is there."""

    def write(paths: Paths) -> None:
        good = {"value": 0.7, "low": 0.6, "high": 0.8}
        measured = dict.fromkeys(("roc_auc", load_params(paths.params).judge.metric), good)
        facts: dict[str, Any] = {
            "digest": read_bundle(paths.bundle).digest,
            "metrics": measured | {"ece": {"value": 0.01, "low": 0.01, "high": 0.02}},
            "baselines": dict.fromkeys(("prior", "linear"), measured),
            "gains": dict.fromkeys(("prior", "linear"), measured),
            "task": read_bundle(paths.bundle).contract.task,
            "fairness": None,
            "rows": 1200,
            "primary_metric": "roc_auc",
            "window": {"rows": 1200},
            "units": {"unit": "row", "count": 1200, "interval": "bootstrap"},
            "slices": [],
            "behaviour": [],
            "decision": None,
            "seen_until": None,
            "surprise": {
                "value": -0.01,
                "low": -0.02,
                "high": 0.01,
                "baseline": "linear",
                "valid_gain_over_prior": 0.2,
            },
            "age_days": 0,
            "parity": {"max_error": 1e-7, "limit": 1e-5},
            "bundle_bytes": 10_000,
        }
        split = {"windows": {"test": {"rows": 1200}}, "account": {"offered": 1200, "used": 1200}}
        reports = {"evaluation": facts, "split": split, "validation": {"months": {}}, "ingest": {}}
        for name, content in reports.items():
            (paths.reports / f"{name}.json").write_text(json.dumps(content))
        (paths.reports / "data.html").write_text("<p>The data.</p>")

    return write


@pytest.fixture
def replace_bundle(describe: Callable[[Paths], None]) -> Callable[..., str]:
    """Puts another bundle in the project's place for one, as another `dvc repro` would."""

    def replace(paths: Paths, *, opposite: bool = False, **metadata: Any) -> str:
        old = read_bundle(paths.bundle)
        model = turn_round(old.model) if opposite else old.model
        text = (paths.bundle / "contract.yaml").read_text(encoding="utf-8")
        changes = {"params_hash": "1" * 64, **metadata}
        digest = write_bundle(paths.bundle, model, text, old.metadata.model_copy(update=changes))
        describe(paths)
        return digest

    return replace


def turn_round(graph: bytes) -> bytes:
    """The same graph with its probabilities in reverse: where it was right, it is wrong."""
    model = onnx.load_from_string(graph)
    output = model.graph.output[-1].name
    for node in model.graph.node:
        node.output[:] = ["straight" if name == output else name for name in node.output]
        node.input[:] = ["straight" if name == output else name for name in node.input]
    width = model.graph.output[-1].type.tensor_type.shape.dim[1].dim_value
    turned = helper.make_node("Neg", ["straight"], [output])
    if len(model.graph.output) > 1:
        backwards = [*reversed(range(width))]
        order = helper.make_tensor("order", onnx.TensorProto.INT64, [width], backwards)
        model.graph.initializer.append(order)
        turned = helper.make_node("Gather", ["straight", "order"], [output], axis=1)
    model.graph.node.append(turned)
    return bytes(model.SerializeToString())


@pytest.fixture
def open_registry() -> Callable[[Paths], Any]:
    """MLflow's own client on the project's registry: what somebody else would see there."""

    def client(paths: Paths) -> Any:
        from mlflow import MlflowClient

        uri = sqlite_uri(paths.var / "mlflow.db")
        return MlflowClient(uri, uri)

    return client


def make_orders(rows: int = 1500) -> pd.DataFrame:
    """Orders of ten months, mostly sent back when they are large and cheap."""
    draw = np.random.default_rng(1)
    size, price = draw.normal(size=rows), draw.normal(size=rows)
    days = pd.Timestamp("2013-01-01") + pd.to_timedelta(np.arange(rows) * 300 // rows, unit="D")
    return pd.DataFrame(
        {
            "order_id": [f"K-{number:05d}" for number in range(rows)],
            "ordered_at": days,
            "size": (size * 10 + 50).round(2),
            "price": (price * 3 + 20).round(2),
            "colour": draw.choice(["red", "green", "blue"], rows),
            "returned": 2 * size - price * (size > 0) + draw.normal(size=rows) > 0.5,
        }
    )


@pytest.fixture(scope="session")
def orders(tmp_path_factory: pytest.TempPathFactory) -> Paths:
    """A project for a small table, as `adopt` drafts it, with the code of this one; copy it.

    Its pipeline takes seconds, and is the same whatever table this project is about. Nothing has
    run in it yet.
    """
    paths = Paths(tmp_path_factory.mktemp("orders") / "project")
    for name in ("dvc.yaml", "params.yaml", ".dvc/config", ".dvcignore", ".gitignore"):
        (paths.root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, paths.root / name)
    paths.behaviour.write_text("tests: []\n")
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in ("src", "chassis"):
        shutil.copytree(ROOT / name, paths.root / name, ignore=ignored)
    (features,) = paths.root.glob("src/*/features.py")
    features.write_text(PLAIN_FEATURES)
    make_orders().to_csv(paths.root / "orders.csv", index=False)
    request = Request(Place("orders.csv"), Wishes(target="returned"))
    adoption = prepare(paths, request, None, lambda _, safe: safe)
    paths.contract.write_text(adoption.contract, encoding="utf-8")
    paths.params.write_text(adoption.params, encoding="utf-8")
    (paths.root / "dvc.yaml").write_text(adoption.pipeline, encoding="utf-8")
    return paths


@pytest.fixture
def run_verbs() -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """Runs verbs in one process of their own, with the project's own features."""
    program = (
        "import sys; from mlchassis.cli.app import app; "
        "from mlchassis.cli.launch import Composition; "
        "own = Composition('ml_service.project:project', 'ml_service.service:service'); "
        "[app([verb], standalone_mode=False, obj=own) for verb in sys.argv[1:]]"
    )

    def run(paths: Paths, *verbs: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-c", program, *verbs],
            cwd=paths.root,
            env={**os.environ, "PYTHONPATH": "src:chassis/src", "NO_COLOR": "1"},
            capture_output=True,
            text=True,
            check=False,
        )

    return run
