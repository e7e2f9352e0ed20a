"""Whole files through `make score`, beside ONNX Runtime alone: run by a project's interpreter.

    python batch.py MODEL [ROWS]

ONNX Runtime has the same rows as one array in memory, and all cores. The two take turns.
"""

import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnxruntime
import pandas as pd
from ml_service.features import compute_features
from mlchassis.batch.scoring import score_deployed
from mlchassis.bundle.bundle import load_bundle
from mlchassis.features.code import load_feature_code

ROWS = 1_000_000
TURNS = 5


def take_time(call: Callable[[], object]) -> float:
    """Seconds that a call takes."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def main(store: Path, rows: int) -> None:
    """Print rows per second of both, the ratio, and the peak memory."""
    features = load_feature_code(compute_features)
    bundle = load_bundle(next((store / "bundles").iterdir()), features)
    names = bundle.metadata.numeric_features
    table = np.random.default_rng(7).normal(size=(rows, len(names))).round(4)
    session = onnxruntime.InferenceSession(bundle.model, providers=["CPUExecutionProvider"])
    output = session.get_outputs()[-1].name
    numbers = table.astype(np.float32)
    with TemporaryDirectory() as folder:
        given, answers = Path(folder, "rows.parquet"), Path(folder, "answers.parquet")
        pd.DataFrame(table, columns=names).to_parquet(given)
        calls: dict[str, Callable[[], object]] = {
            "ONNX Runtime alone": lambda: session.run([output], {"numeric": numbers}),
            "make score": lambda: print(
                *score_deployed(store, str(given), answers, features), sep="\n"
            ),
        }
        taken: dict[str, list[float]] = {name: [] for name in calls}
        for _ in range(TURNS):
            for name, call in calls.items():
                taken[name].append(take_time(call))
    pace = {name: rows / statistics.median(seconds) for name, seconds in taken.items()}
    for name, rate in pace.items():
        print(f"{name}: {rate:,.0f} rows/s")
    alone, ours = pace.values()
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"ratio {ours / alone:.3f}; {most:,.0f} MiB at most, the rows in memory among them")


if __name__ == "__main__":
    main(Path(sys.argv[1], "store"), int(sys.argv[2]) if len(sys.argv) > 2 else ROWS)
