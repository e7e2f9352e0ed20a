"""Fixtures of the benchmark: the frozen model, its rows, an environment per server."""

import os
import shutil
from pathlib import Path

from bake import PAYLOAD, ROOT, bake_defaults
from bench.servers import SERVERS
from environments import call, hash_files, install, is_made_of

FOLDER = ROOT / "build" / "bench"
PROJECT = FOLDER / "ml-service"
IDENTITY = '''"""Sixteen numbers, as they come."""

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray


def compute_features(columns: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The columns themselves."""
    return dict(columns)
'''
SAVE_MLFLOW = """
import joblib, mlflow.sklearn, sys
model = joblib.load(f"{sys.argv[1]}/model.joblib")
mlflow.sklearn.save_model(
    model, f"{sys.argv[1]}/mlflow", pyfunc_predict_fn="predict_proba",
    serialization_format="cloudpickle", pip_requirements=[],
)
"""


class BenchError(Exception):
    """The measurement cannot be made; the message says why."""


def freeze_model() -> None:
    """Make the model and its rows with a project of its own, whose code is then served."""
    script, model = Path(__file__).with_name("freeze.py"), FOLDER / "model"
    origin = hash_files([script, *(p for p in PAYLOAD.rglob("*.*") if p.suffix in (".py", ".txt"))])
    if is_made_of(model, origin):
        return
    FOLDER.mkdir(parents=True, exist_ok=True)
    for place in (PROJECT, model):
        shutil.rmtree(place, ignore_errors=True)
    bake_defaults(PROJECT)
    (PROJECT / "src" / "ml_service" / "features.py").write_text(IDENTITY, encoding="utf-8")
    call("make", "setup", folder=PROJECT, UV_COMPILE_BYTECODE="1")
    call(PROJECT / ".venv" / "bin" / "python", script, model, folder=FOLDER)
    (model / "made-of").write_text(origin, encoding="utf-8")


def make_environments(names: list[str]) -> None:
    """Install what each server needs and nothing else."""
    for name in {SERVERS[name].environment for name in names}:
        requirements = PAYLOAD if name == "serve" else ROOT
        install(requirements / "requirements" / f"{name}.txt", FOLDER / name)
    prepare_models(names)


def prepare_models(names: list[str]) -> None:
    """Give those servers that want the model in a folder of their own what they want."""
    model = FOLDER / "model"
    if "mlflow" in names and not (model / "mlflow").exists():
        python = FOLDER / "bench-mlflow" / "bin" / "python"
        call(python, "-c", SAVE_MLFLOW, model, folder=FOLDER, MLFLOW_DISABLE_TELEMETRY="true")
    if "mlserver" in names:
        (model / "mlserver").mkdir(exist_ok=True)
        shutil.copy(model / "model.txt", model / "mlserver" / "model.bst")
        settings = (
            '{"name": "bench", "implementation": "mlserver_lightgbm.LightGBMModel",'
            ' "parameters": {"uri": "./model.bst", "version": "1"}}'
        )
        (model / "mlserver" / "model-settings.json").write_text(settings, encoding="utf-8")


def measure_size(name: str) -> float:
    """Megabytes of a server's installed packages."""
    return (
        sum(os.lstat(path).st_size for path in (FOLDER / name / "lib").rglob("*") if path.is_file())
        / 1e6
    )
