"""`run`: a repository where there is none, a pipeline that survives a kill, and what came out."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import ml_service
from ml_service.project import project as own_project
from mlchassis.config.params import Params, load_params
from mlchassis.errors import ProjectError
from mlchassis.project import Workspace
from mlchassis.reports import write_report
from mlchassis.workflow import pipeline, release
from mlchassis.workflow.pipeline import repro, summarize
from mlchassis.workspace.repository import ensure_repository

pytestmark = pytest.mark.one_python

ROOT = Path(ml_service.__file__).parents[2]


@pytest.fixture(autouse=True)
def _stranger(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which git knows nobody and DVC has no settings."""
    for name in [name for name in os.environ if name.startswith(("GIT_", "DVC_"))]:
        monkeypatch.delenv(name)
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(home.parent))
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")


def make_repository(folder: Path) -> None:
    (folder / "file").write_text("content")
    ensure_repository(folder)


def make_pipeline(folder: Path, command: str) -> Workspace:
    """A DVC project of one stage."""
    make_repository(folder)
    (folder / ".dvc" / "tmp").mkdir(parents=True)
    (folder / ".dvc" / "config").write_text("[core]\n    analytics = false\n")
    stage = f"stages:\n  only:\n    cmd: {command}\n    outs: [made]\n"
    (folder / "dvc.yaml").write_text(stage)
    return Workspace(folder, own_project)


def test_the_empty_lock_of_a_killed_run_stops_dvc_but_not_us(tmp_path: Path) -> None:
    paths = make_pipeline(tmp_path, "touch made")
    lock = tmp_path / ".dvc" / "tmp" / "rwlock"
    lock.touch()
    plain = subprocess.run(
        [sys.executable, "-m", "dvc", "repro"], cwd=tmp_path, capture_output=True, check=False
    )
    assert plain.returncode != 0
    assert not (tmp_path / "made").exists()

    repro(paths, print)

    assert (tmp_path / "made").exists()


@pytest.mark.parametrize("kept", [0, 5, 30, 60, None])
def test_a_dvc_lock_that_a_killed_run_cut_short_stops_dvc_but_not_us(
    tmp_path: Path, kept: int | None
) -> None:
    paths = make_pipeline(tmp_path, "echo 1 >> made")
    repro(paths, print)
    whole = paths.dvc_lock.read_text(encoding="utf-8")
    cut = whole[:kept] if kept is not None else f"<<<<<<< HEAD\n{whole}"
    paths.dvc_lock.write_text(cut, encoding="utf-8")
    shutil.rmtree(tmp_path / ".dvc" / "tmp")
    said: list[str] = []

    repro(paths, said.append)

    assert paths.dvc_lock.read_text(encoding="utf-8") == whole
    aside = tmp_path / ".dvc" / "tmp" / "dvc.lock.cut"
    if aside.exists():
        assert aside.read_text(encoding="utf-8") == cut
    # What was put aside is said, and nothing else is.
    line = "repro: dvc.lock was cut short or broken; moved it to .dvc/tmp/dvc.lock.cut"
    assert [one.partition(", ")[0] for one in said] == [line] * aside.exists()


def test_a_pipeline_runs_inside_a_larger_repository(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    inner = tmp_path / "services" / "inner"
    inner.mkdir(parents=True)
    paths = make_pipeline(inner, "touch made")
    repro(paths, print)

    assert (inner / "made").exists()
    assert not (inner / ".git").exists()


def leave_lock(folder: Path, pid: int) -> Path:
    """A lock as DVC writes it: a process reads one path and writes another."""
    info = {"pid": pid, "cmd": "dvc repro"}
    lock = folder / ".dvc" / "tmp" / "rwlock"
    lock.parent.mkdir(parents=True)
    lock.write_text(json.dumps({"read": {"/a": [info]}, "write": {"/b": info}}))
    return lock


def test_a_lock_of_a_process_that_runs_is_left_alone(tmp_path: Path) -> None:
    code = "print(flush=True); input()  # dvc"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        lock = leave_lock(tmp_path, holder.pid)
        pipeline._mend_lock(tmp_path)
        assert lock.exists()
        holder.communicate("\n")


def test_a_lock_of_a_process_that_was_killed_but_not_reaped_is_removed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "input()  # dvc"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as holder:
        holder.kill()
        os.waitid(os.P_PID, holder.pid, os.WEXITED | os.WNOWAIT)
        lock = leave_lock(tmp_path, holder.pid)
        pipeline._mend_lock(tmp_path)

    assert not lock.exists()


def test_a_lock_whose_number_another_program_has_is_removed(tmp_path: Path) -> None:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as other:
        lock = leave_lock(tmp_path, other.pid)
        pipeline._mend_lock(tmp_path)
        other.communicate()

    assert not lock.exists()


def test_a_stage_that_fails_ends_in_a_sentence(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    paths = make_pipeline(tmp_path, "echo the reason; exit 3")

    with pytest.raises(ProjectError, match="The pipeline stopped: the stage above says why"):
        repro(paths, print)
    assert "the reason" in capfd.readouterr().out


def test_stages_run_in_the_environment_of_the_caller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "/elsewhere:/usr/bin:/bin")
    repro(make_pipeline(tmp_path, "echo path $PATH; pwd; touch made"), print)

    printed = capfd.readouterr().out.splitlines()
    assert f"path {Path(sys.executable).parent}{os.pathsep}/elsewhere:/usr/bin:/bin" in printed
    assert str(tmp_path) in printed


def test_a_run_shows_the_stages_and_none_of_dvcs_hints(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    command = "echo the first line; echo WARNING of the stage itself >&2; touch made; echo the last"
    repro(make_pipeline(tmp_path, command), print)

    printed = capfd.readouterr()
    lines = [line for line in printed.out.splitlines() if not line.startswith("> ")]
    assert len(lines) == 3
    assert lines[0].startswith("Running stage")
    assert lines[1:] == ["the first line", "the last"]
    assert "WARNING of the stage itself" in printed.err
    assert "git add" not in printed.out + printed.err


def test_the_summary_shows_the_account_and_the_candidate_beside_the_baselines(
    tmp_path: Path,
) -> None:
    paths = Workspace(tmp_path, own_project)
    params: Params = load_params(ROOT / "params.yaml")

    def interval(value: float) -> dict[str, dict[str, float]]:
        return {params.judge.metric: {"value": value, "low": value - 0.01, "high": value + 0.01}}

    part = {"rows": 7}
    account = {
        "offered": 1234567,
        "not_yet_arrived": 1234000,
        "quarantined": 60,
        "unlabeled": 500,
        "used": 7,
    }
    split = {
        "account": account,
        "splits": {"train": part, "validation": part, "test": part},
        "explanation": "By time.",
    }
    write_report(paths.reports / "split.json", split)
    facts = {
        "digest": "a" * 64,
        "task": "binary",
        "rows": 7,
        "primary_metric": params.judge.metric,
        "metrics": interval(0.7),
        "baselines": {"linear": interval(0.65)},
        "gains": {"linear": interval(0.05)},
        "slices": [],
        "behavior": [],
        "fairness": None,
        "decision": None,
        "units": {"unit": "row", "count": 7, "interval": "bootstrap"},
        "contamination": {
            **interval(0.0)[params.judge.metric],
            "baseline": "linear",
            "validation_gain_over_prior": 0.2,
        },
        "test_period": {},
        "seen_until": None,
        "staleness_days": None,
        "parity": {"max_error": 0.0, "limit": 1e-5},
        "bundle_bytes": 10_000,
    }
    write_report(paths.reports / "evaluation.json", facts)

    assert summarize(paths, params) == [
        "rows: 1,234,567 offered, 1,234,000 not yet arrived, 60 quarantined, 500 unlabeled, 7 used",
        f"{params.judge.metric}: candidate         0.7000 (0.6900 to 0.7100)",
        f"{params.judge.metric}: linear            0.6500 (0.6400 to 0.6600)",
        f"{params.judge.metric}: gain over linear  0.0500 (0.0400 to 0.0600)",
    ]


def test_everything_runs_in_order_and_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text(encoding="utf-8"))
    steps: list[str] = []

    class Told:
        summary = "2 gates passed"
        number, name, sentence = "3", "houses", "done"

    def note(step: str) -> Callable[..., Told]:
        def take(*_: object) -> Told:
            steps.append(step)
            return Told()

        return take

    for step in ("judge", "register", "promote", "deploy"):
        monkeypatch.setattr(release, step, note(step))
    monkeypatch.setattr(pipeline, "repro", note("repro"))
    monkeypatch.setattr(pipeline, "summarize", lambda *_: ["rows: 1"])
    said: list[str] = []
    pipeline.run_everything(Workspace(tmp_path, own_project), said.append)

    assert steps == ["repro", "judge", "register", "promote", "deploy"]
    assert said == [
        "git: made this folder a repository, with a first commit",
        "judge: 2 gates passed",
        "register: version 3 of houses",
        "promote: done",
        "deploy: done",
        "rows: 1",
    ]
