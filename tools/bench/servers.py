"""The servers that are compared: how each is started, asked and read."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

APPS = Path(__file__).parent / "apps"
Rows = Sequence[Sequence[float]]


@dataclass(frozen=True)
class Server:
    """One way to serve the model.

    Attributes:
        title: Name in the table.
        environment: The folder of its packages below the bench's own, and of its requirements.
        command: Command that starts it; {port} and {folder} are filled in.
        path: Path of its predictions.
        ask: Rows to a request's body.
        read: An answer to the probabilities in it, or to None where it holds none.
        key: API key that requests send; empty where none is required.
    """

    title: str
    environment: str
    command: str
    path: str
    ask: Callable[[Sequence[str], Rows], Any]
    read: Callable[[Any], Sequence[float] | None]
    key: str = ""

    def write_body(self, names: Sequence[str], rows: Rows) -> str:
        """A request's body, as one line."""
        return json.dumps(self.ask(names, rows))


def ask_records(names: Sequence[str], rows: Rows) -> Any:
    """Records, as people write them."""
    return {"records": [dict(zip(names, row, strict=True)) for row in rows]}


def ask_split(names: Sequence[str], rows: Rows) -> Any:
    """Request body in MLflow's format `dataframe_split`."""
    return {"dataframe_split": {"columns": names, "data": rows}}


def ask_tensor(names: Sequence[str], rows: Rows) -> Any:
    """One tensor of the Open Inference Protocol."""
    flat = [value for row in rows for value in row]
    shape = [len(rows), len(names)]
    return {"inputs": [{"name": "rows", "shape": shape, "datatype": "FP64", "data": flat}]}


UVICORN = (
    "bin/python -m uvicorn --loop asyncio --host 127.0.0.1 --port {port} --no-access-log "
    "--app-dir {apps} "
)

SERVERS = {
    "echo": Server(
        "FastAPI, echo",
        "serve",
        f"{UVICORN} echo:app",
        "/predict",
        ask_records,
        lambda _: None,
    ),
    "ours": Server(
        "this template",
        "serve",
        "bin/python -m ml_service serve",
        "/predict",
        ask_records,
        lambda answer: [found["probabilities"]["true"] for found in answer["predictions"]],
    ),
    "keys": Server(
        "this template, API keys on",
        "serve",
        "bin/python -m ml_service serve",
        "/predict",
        ask_records,
        lambda answer: [found["probabilities"]["true"] for found in answer["predictions"]],
        key="the benchmark's key",
    ),
    "naive": Server(
        "scikit-learn behind FastAPI",
        "bench-fastapi",
        f"{UVICORN} naive:app",
        "/predict",
        ask_records,
        lambda answer: answer["predictions"],
    ),
    "mlflow": Server(
        "`mlflow models serve`",
        "bench-mlflow",
        "bin/mlflow models serve -m {folder}/mlflow --env-manager local -h 127.0.0.1 -p {port} "
        "-w 1",
        "/invocations",
        ask_split,
        lambda answer: [pair[1] for pair in answer["predictions"]],
    ),
    "mlserver": Server(
        "MLServer",
        "bench-mlserver",
        "bin/mlserver start {folder}/mlserver",
        "/v2/models/bench/infer",
        ask_tensor,
        lambda answer: answer["outputs"][0]["data"],
    ),
    "bentoml": Server(
        "BentoML",
        "bench-bentoml",
        "bin/bentoml serve bento:Bench --working-dir {apps} --host 127.0.0.1 --port {port}",
        "/predict",
        lambda _, rows: {"rows": rows},
        lambda answer: answer,
    ),
}
