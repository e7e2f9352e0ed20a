"""kill -9 in the middle of `repro`: run again, it ends, with what an undisturbed run gives."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlchassis.paths import Paths
from mlchassis.project import Workspace
from mlchassis.workspace.repository import ensure_repository

MOMENTS = int(os.environ.get("KILL_MOMENTS", "3"))
STAGES = ("ingest", "validate", "split", "train", "export", "evaluate")
WITHIN = 600.0  # seconds in which a run must end, on any machine: it takes ten


@pytest.fixture
def project(orders: Paths, tmp_path: Path) -> Paths:
    paths = Paths(tmp_path / "project")
    shutil.copytree(orders.root, paths.root)
    ensure_repository(paths.root)
    return paths


@contextlib.contextmanager
def running(paths: Paths) -> Iterator[tuple["subprocess.Popen[bytes]", Path]]:
    """`repro` in a process group of its own, and what it prints; killed if it does not end."""
    log = paths.root.parent / "repro.log"
    tools = str(Path(sys.executable).parent)
    environment = {
        **os.environ,
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": f"{paths.root}/src:{paths.root}/chassis/src",
        "PYTHONUNBUFFERED": "1",
        "OMP_NUM_THREADS": "1",
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "ml_service", "repro"],
            cwd=paths.root,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process, log
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_for_stage(process: "subprocess.Popen[bytes]", log: Path, stage: str) -> bool:
    """True if the stage began before the run ended."""
    deadline = time.monotonic() + WITHIN
    while f"Running stage '{stage}'" not in log.read_text():
        if process.poll() is not None:
            return False
        assert time.monotonic() < deadline, f"stuck:\n{log.read_text()}"
        time.sleep(0.02)
    return True


def finish(paths: Paths) -> str:
    """Let a run end; the hashes of all that it read and wrote."""
    with running(paths) as (process, log):
        process.wait(WITHIN)
        assert process.returncode == 0, log.read_text()
    return paths.dvc_lock.read_text()


def time_stages(paths: Paths) -> dict[str, float]:
    """Seconds of each stage, with what DVC does after it, in a run that nobody disturbs."""
    began = {}
    with running(paths) as (process, log):
        for stage in STAGES:
            assert wait_for_stage(process, log, stage), log.read_text()
            began[stage] = time.monotonic()
        process.wait(WITHIN)
        assert process.returncode == 0, log.read_text()
    ends = [*began.values(), time.monotonic()][1:]
    return {stage: end - began[stage] for stage, end in zip(STAGES, ends, strict=True)}


def kill_in_stage(paths: Paths, stage: str, seconds: float) -> bool:
    """Kill a run so many seconds into a stage; whether it was still running."""
    with running(paths) as (process, log):
        if not wait_for_stage(process, log, stage):
            return False
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        return process.poll() is None


def forget(paths: Paths) -> None:
    """Remove all outputs of the pipeline, DVC's cache included."""
    for name in ("data", "models", "reports", ".dvc/cache", ".dvc/tmp"):
        shutil.rmtree(paths.root / name, ignore_errors=True)
    paths.dvc_lock.unlink(missing_ok=True)


@pytest.mark.one_python
def test_a_run_that_was_killed_at_any_moment_ends_as_an_undisturbed_one(project: Workspace) -> None:
    chance = random.Random(2013)
    durations = time_stages(project)
    undisturbed = project.dvc_lock.read_text()
    killed = 0
    while killed < MOMENTS:
        forget(project)
        # Several kills on the way to one result: each run goes on from what the last one left.
        some = [chance.choice(STAGES) for _ in range(min(len(STAGES), MOMENTS - killed))]
        for stage in sorted(some, key=STAGES.index):
            killed += kill_in_stage(project, stage, chance.uniform(0, durations[stage]))
        assert finish(project) == undisturbed
