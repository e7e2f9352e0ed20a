"""Test windows that were drawn by the monitor of their project.

Runs with the project's interpreter, in its folder. Writes `own.json`: for each window, the columns
that alarm, their number, and whether the broken one is among them.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlchassis.bundle.bundle import Bundle, read_bundle
from mlchassis.bundle.daily_counts import DailyReference, count_cells
from mlchassis.config.params import MonitorParams
from mlchassis.features.encoding import columns_from_frame
from mlchassis.monitoring.counting import LogCounts
from mlchassis.monitoring.drift.thresholds import History
from mlchassis.monitoring.drift.windows import Reference, compare_window


def main(folder: Path) -> None:
    """Write the alarms."""
    bundle = read_bundle(Path("models/bundle"))
    reference = bundle.metadata.monitoring
    if reference is None:
        raise SystemExit("error: the bundle has no reference for monitoring.")
    facts = json.loads((folder / "windows.json").read_text(encoding="utf-8"))
    # Windows of fewer rows than usual are tested too, to see what they show.
    params = MonitorParams(min_rows=1)
    windows = pd.read_parquet(folder / "windows.parquet").groupby("window")
    alarms = []
    for number, window in enumerate(facts["windows"]):
        days = [day for day in reference.days if within(day, window["days"])]
        counts = count_window(bundle, reference, windows.get_group(number), days[0])
        rest = leave_out(reference, facts["columns"], window["left_out"])
        compared, _ = compare_window(days, counts, rest, params, seed=window["seed"])
        columns = sorted({test.column for test in compared.alarms})
        broken = window["column"] in columns
        alarms.append({"count": len(columns), "broken": broken, "columns": columns})
    (folder / "own.json").write_text(json.dumps(alarms, indent=1), encoding="utf-8")


def within(day: str, period: Sequence[str]) -> bool:
    """Return whether a day lies in a period."""
    return period[0] <= day <= period[1]


def leave_out(
    reference: DailyReference, columns: Sequence[str], period: Sequence[str]
) -> Reference:
    """Return the reference of some columns without some days."""
    kept = np.array([not within(day, period) for day in reference.days])
    whole = Reference.read(reference, [name for name in reference.features if name not in columns])
    inputs = {
        name: History(history.cells, history.counts[kept]) for name, history in whole.inputs.items()
    }
    return replace(whole, days=tuple(np.array(reference.days)[kept].tolist()), inputs=inputs)


def count_window(
    bundle: Bundle, reference: DailyReference, rows: pd.DataFrame, day: str
) -> LogCounts:
    """Return the counts of a window's rows, all on its first day."""
    counts = LogCounts()
    counts.rows[day] = len(rows)
    absent: dict[str, Any] = {
        column.name: None for column in bundle.contract.features if column.name not in rows
    }
    columns = columns_from_frame(bundle.contract, rows.assign(**absent))
    for name in set(rows.columns) & set(columns):
        cells = reference.features[name].cells
        numbers = np.zeros(len(rows), dtype=np.intp)
        counts.features[name][day] = count_cells(
            cells.assign(columns[name]), numbers, 1, cells.size
        )[0]
    return counts


if __name__ == "__main__":
    main(Path(sys.argv[1]))
