"""Draw windows of consecutive days from a project's rows, and break some of them.

Runs with the interpreter of a project whose pipeline has run, in its folder. Writes
`windows.parquet`, `windows.json` with the facts of each window, and `reference.parquet`.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from mlchassis.bundle.bundle import read_bundle
from mlchassis.bundle.daily_counts import DailyReference
from mlchassis.contract.model import Contract
from mlchassis.training.daily_reference.counts import name_event_days

from faults import FAULTS, Columns, find_columns

SIZES = (100, 300, 1000, 3000)
USUAL_SIZE = 1000
REFERENCE_ROWS = 20_000
UNCHANGED = "unchanged"
LATER = "unchanged, later"
LATER_WINDOWS = 40
LATER_FROM = 2 / 3
"""Proportion of the days that are the reference of the later windows."""


@dataclass(frozen=True)
class Window:
    """Facts of a window.

    Attributes:
        kind: Its fault, UNCHANGED or LATER.
        size: Number of rows.
        seed: Seed of its draws.
        days: First and last day.
        left_out: First and last day that its reference lacks.
        column: Column with the fault.
    """

    kind: str
    size: int
    seed: int
    days: tuple[str, str]
    left_out: tuple[str, str]
    column: str = ""


def main() -> None:
    """Write the windows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--days", type=int, required=True)
    parser.add_argument("--windows", type=int, required=True)
    parser.add_argument("--seeds", type=int, required=True)
    chosen = parser.parse_args()
    bundle = read_bundle(Path("models/bundle"))
    reference = bundle.metadata.monitoring
    if reference is None or len(reference.days) < 4 * chosen.days:
        raise SystemExit("error: the bundle's reference has too few days for such windows.")
    rows = read_rows(bundle.contract, reference)
    columns = list_columns(bundle.contract, rows)
    plan = list(list_windows(reference.days, chosen.days, chosen.windows, chosen.seeds))
    drawn = [draw_window(rows, window, columns) for window in plan]
    frames = [frame.assign(window=number) for number, (frame, _) in enumerate(drawn)]
    sample = rows.sample(min(REFERENCE_ROWS, len(rows)), random_state=0)
    pd.concat(frames).to_parquet(chosen.folder / "windows.parquet", index=False)
    sample.to_parquet(chosen.folder / "reference.parquet", index=False)
    facts = {
        "name": bundle.contract.name,
        "rows": len(rows),
        "days": len(reference.days),
        "columns": list(columns.names),
        "windows": [asdict(window) for _, window in drawn],
    }
    (chosen.folder / "windows.json").write_text(json.dumps(facts, indent=1), encoding="utf-8")


def read_rows(contract: Contract, reference: DailyReference) -> pd.DataFrame:
    """Return the tested columns of the rows of all splits, with the day of each."""
    rows = pd.concat(
        pd.read_parquet(f"data/splits/{name}.parquet") for name in ("train", "validation", "test")
    )
    rows = rows.assign(day=name_event_days(rows, contract))
    tested = [
        column.name
        for column in contract.features
        if column not in contract.pii and column.kind != "timestamp"
    ]
    return rows[rows["day"].isin(reference.days)][[*tested, "day"]].reset_index(drop=True)


def list_columns(contract: Contract, rows: pd.DataFrame) -> Columns:
    """Return the columns in which each fault is possible."""
    tested = [column for column in contract.features if column.name in rows]
    return find_columns(
        rows,
        [column.name for column in tested if column.is_numeric],
        [column.name for column in tested if not column.is_numeric],
    )


def list_windows(names: Sequence[str], days: int, windows: int, seeds: int) -> Iterator[Window]:
    """Yield all windows: unchanged ones, later ones, and each fault in each size."""
    last = len(names) - days
    for number, start in enumerate(spread(0, last, windows)):
        period = names[start], names[start + days - 1]
        yield Window(UNCHANGED, USUAL_SIZE, number, period, period)
    cut = int(len(names) * LATER_FROM)
    for number, start in enumerate(spread(cut, last, LATER_WINDOWS)):
        period = names[start], names[start + days - 1]
        yield Window(LATER, USUAL_SIZE, number, period, (names[cut], names[-1]))
    for kind in FAULTS:
        for size in SIZES:
            for seed, start in enumerate(spread(0, last, seeds)):
                period = names[start], names[start + days - 1]
                yield Window(kind, size, seed, period, period)


def spread(first: int, last: int, count: int) -> list[int]:
    """Return numbers that are evenly spread from the first to the last."""
    return [round(number) for number in np.linspace(first, last, count)]


def draw_window(
    rows: pd.DataFrame, window: Window, columns: Columns
) -> tuple[pd.DataFrame, Window]:
    """Return the rows of a window with its fault, and its facts with the broken column."""
    part = rows[rows["day"].between(*window.days)]
    # Of fewer rows a window is drawn with replacement, as the limits of the monitor are.
    drawn = part.sample(window.size, replace=len(part) < window.size, random_state=window.seed)
    if window.kind not in FAULTS:
        return drawn, window
    generator = np.random.default_rng([window.seed, window.size])
    broken, name = FAULTS[window.kind](drawn, columns, generator)
    return broken, replace(window, column=name)


if __name__ == "__main__":
    main()
