"""The monitor's memory does not grow with the log.

`LOG_ROWS` is the number of rows of the larger log.
"""

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from mlchassis.bundle.bundle import read_pointer
from mlchassis.config.params import MonitorParams, Params
from mlchassis.config.source_params import FilesParams
from mlchassis.monitoring.monitor import monitor
from mlchassis.prediction_log.compaction import compact_log
from mlchassis.prediction_log.segments import name_host
from mlchassis.project import Workspace

START = datetime(2024, 4, 20, tzinfo=UTC)
LOG_ROWS = int(os.environ.get("LOG_ROWS", "150_000"))
Write = Callable[..., Path]
MEBIBYTE = 1024
"""The kernel counts in units of 1,024 bytes."""


def measure_peak() -> int:
    """Return this process' largest memory since `forget_peak`."""
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


@pytest.fixture
def monitor_rows(
    shop: Workspace,
    fixed_params: Params,
    write_log: Write,
    make_rows: Callable[..., pd.DataFrame],
    tmp_path: Path,
) -> Callable[[int, str], float]:
    """Function that monitors a log with that many rows; return the peak of memory in MiB."""
    rows = make_rows(30, seed=70, start=START)
    rows.to_parquet(shop.root / "raw.parquet")
    pointer = read_pointer(shop.store)
    assert pointer is not None
    block = write_log(tmp_path / "block", rows, digest=pointer.digest).read_bytes()
    source = FilesParams(kind="files", path="raw.parquet")
    settings = MonitorParams(draws=100)
    params = fixed_params.model_copy(update={"monitor": settings, "source": source})

    def call(count: int, kind: str) -> float:
        folder = tmp_path / f"{kind}-{count}"
        folder.mkdir()
        path = folder / f"20240601T000000Z-{name_host()}-7-01234567.jsonl"
        with path.open("wb") as lines:
            for _ in range(count // len(rows)):
                lines.write(block)
        forget_peak()
        if kind == "parquet":
            assert compact_log(folder, None, datetime.now(UTC)).segments == 1
        report = monitor(shop, params, shop.store, folder)
        assert report.log.rows == count // len(rows) * len(rows)
        return measure_peak() / MEBIBYTE

    return call


@pytest.mark.one_python
@pytest.mark.parametrize("kind", ["json-lines", "parquet"])
def test_memory_does_not_grow_with_the_log(
    kind: str, monitor_rows: Callable[[int, str], float]
) -> None:
    few = monitor_rows(LOG_ROWS // 3, kind)
    assert monitor_rows(LOG_ROWS, kind) < few + 30
