"""`make score` as a process: killed at any moment and started again, it ends with the same bytes.

`SCORE_KILLS` says how often; `SCORE_MONTHS` how many months are scored at once.
"""

import os
import random
import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from project_copy import make_environment
from summary import Parts
from whole_run import WholeRun

KILLS = int(os.environ.get("SCORE_KILLS", "3"))
MONTHS = int(os.environ.get("SCORE_MONTHS", "3"))
WITHIN = 600.0  # seconds


@dataclass(frozen=True)
class Scoring:
    """A run that came to its end: rows answered and not, and its largest memory in MiB."""

    counts: str
    memory: float


@pytest.fixture(scope="module")
def months(whole_run: WholeRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with some of the project's months."""
    folder = tmp_path_factory.mktemp("months")
    for path in sorted((whole_run.project / "data" / "raw").glob("*.parquet"))[:MONTHS]:
        (folder / path.name).symlink_to(path)
    return folder


def start(project: Path, source: Path, output: Path, log: Path) -> subprocess.Popen[bytes]:
    package = next(path.parent.name for path in project.glob("src/*/__main__.py"))
    python = project / ".venv" / "bin" / "python"
    command = [python, "-m", package, "score", "--", source, output]
    with log.open("wb") as said:
        return subprocess.Popen(
            [*map(str, command)],
            cwd=project,
            env=make_environment(OMP_NUM_THREADS="1"),
            stdout=said,
            stderr=said,
        )


def finish(project: Path, source: Path, output: Path, log: Path) -> Scoring:
    process = start(project, source, output, log)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, log.read_text()
    (counts,) = re.findall(r"[\d,]+ rows answered, [\d,]+ in quarantine", log.read_text())
    return Scoring(counts, usage.ru_maxrss / 1024)


def kill_midway(process: subprocess.Popen[bytes], parts: Path, wait: float) -> bool:
    """Kill a run some seconds after it began its work; return True if it was still running."""
    deadline = time.monotonic() + WITHIN
    while process.poll() is None and not (parts / "work.json").exists():
        assert time.monotonic() < deadline, "it does not begin"
        time.sleep(0.005)
    try:
        process.wait(wait)
    except subprocess.TimeoutExpired:
        process.kill()
    return process.wait() < 0


def test_a_run_that_is_killed_over_and_over_ends_with_the_same_bytes(
    whole_run: WholeRun, months: Path, tmp_path: Path, parts: Parts
) -> None:
    moments = random.Random(7)  # noqa: S311 - moments, no secrets
    project, log = whole_run.project, tmp_path / "log"
    whole, output = tmp_path / "whole.parquet", tmp_path / "killed.parquet"
    began = time.monotonic()
    expected = finish(project, months, whole, log)
    longest = time.monotonic() - began
    killed = 0
    for _ in range(KILLS):
        process = start(project, months, output, log)
        killed += kill_midway(process, Path(f"{output}.parts"), moments.uniform(0, longest / 3))
    last = finish(project, months, output, log)
    assert killed > 0
    assert last.counts == expected.counts
    for suffix in (".parquet", ".quarantine.parquet"):
        assert output.with_suffix(suffix).read_bytes() == whole.with_suffix(suffix).read_bytes()
    assert not Path(f"{output}.parts").exists()
    parts.note(f"make score: the same bytes after {killed} kills; {expected.counts}")
    parts.note(f"    its largest memory: {expected.memory:.0f} MiB")
