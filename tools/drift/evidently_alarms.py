"""Test windows that were drawn by Evidently's drift tests, with its defaults.

Runs in Evidently's environment. Writes `evidently.json`: for each window, the number of columns
that drift, and whether the broken one is among them. These are the numbers of its preset for data
drift, without its pictures, which take most of the time.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.metrics import DriftedColumnsCount, ValueDrift


def main(folder: Path) -> None:
    """Write the alarms."""
    facts = json.loads((folder / "windows.json").read_text(encoding="utf-8"))
    reference = pd.read_parquet(folder / "reference.parquet")
    windows = pd.read_parquet(folder / "windows.parquet").groupby("window")
    names = facts["columns"]
    numeric = [name for name in names if pd.api.types.is_numeric_dtype(reference[name])]
    definition = DataDefinition(
        numerical_columns=numeric,
        categorical_columns=[name for name in names if name not in numeric],
    )
    results = []
    for number, window in enumerate(facts["windows"]):
        first, last = window["left_out"]
        rest = reference[~reference["day"].between(first, last)][names]
        current = windows.get_group(number)[names]
        broken = window["column"]
        metrics = [DriftedColumnsCount(), *([ValueDrift(column=broken)] if broken else [])]
        run = Report(metrics).run(
            Dataset.from_pandas(current, data_definition=definition),
            Dataset.from_pandas(rest, data_definition=definition),
        )
        total, *columns = run.dict()["metrics"]
        results.append({"count": total["value"]["count"], "broken": any(map(has_drift, columns))})
    (folder / "evidently.json").write_text(json.dumps(results), encoding="utf-8")


def has_drift(metric: Mapping[str, Any]) -> bool:
    """Return whether a column drifts: a small p-value, or a large distance."""
    threshold = metric["config"]["threshold"]
    value = metric["value"]
    return bool(
        value < threshold if "p_value" in metric["config"]["method"] else value >= threshold
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
