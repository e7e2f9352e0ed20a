"""Fixtures of the benchmark: the frozen model, its rows, an environment per server."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from bake import PAYLOAD, ROOT, bake_defaults
from bench.servers import SERVERS
from project_copy import make_environment

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


def call(*command: str | Path, folder: Path = FOLDER) -> None:
    """Run a command, showing what it prints only where it fails."""
    done = subprocess.run(
        list(map(str, command)),
        cwd=folder,
        env=make_environment(UV_COMPILE_BYTECODE="1", MLFLOW_DISABLE_TELEMETRY="true"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )
    if done.returncode:
        raise BenchError(f"'{' '.join(map(str, command))[:200]}' failed:\n{done.stdout[-3000:]}")


def hash_files(paths: Iterable[Path]) -> str:
    """Tell whether any of these files is another than it was."""
    found = hashlib.sha256()
    for path in sorted(paths):
        found.update(hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()


def is_made_of(place: Path, origin: str) -> bool:
    """True if a folder is complete and was made of these files."""
    note = place / "made-of"
    return note.is_file() and note.read_text(encoding="utf-8") == origin


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
    call("make", "setup", folder=PROJECT)
    call(PROJECT / ".venv" / "bin" / "python", script, model)
    (model / "made-of").write_text(origin, encoding="utf-8")


def make_environments(names: list[str]) -> None:
    """Install what each server needs and nothing else."""
    for name in {SERVERS[name].environment for name in names}:
        place = FOLDER / name
        requirements = PAYLOAD if name == "serve" else ROOT
        listed = requirements / "requirements" / f"{name}.txt"
        origin = hash_files([listed])
        if is_made_of(place, origin):
            continue
        print(f"--- installing {name}", flush=True)
        shutil.rmtree(place, ignore_errors=True)
        call(sys.executable, "-m", "venv", "--without-pip", place)
        uv = Path(sys.executable).with_name("uv")
        python = place / "bin" / "python"
        call(uv, "pip", "install", "--python", python, "--require-hashes", "-r", listed)
        (place / "made-of").write_text(origin, encoding="utf-8")
    prepare_models(names)


def prepare_models(names: list[str]) -> None:
    """Give those servers that want the model in a folder of their own what they want."""
    model = FOLDER / "model"
    if "mlflow" in names and not (model / "mlflow").exists():
        call(FOLDER / "bench-mlflow" / "bin" / "python", "-c", SAVE_MLFLOW, model)
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
