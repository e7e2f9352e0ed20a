"""A simulation of an adopted table, whole and over HTTP; of the sample with SIMULATED_YEAR."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import ml_service
from mlchassis.paths import Paths
from mlchassis.simulation.results import Simulation

ROOT = Path(ml_service.__file__).parents[2]
TABLES = ["orders", "sample"] if os.environ.get("SIMULATED_YEAR") else ["orders"]
"""The sample's whole year takes minutes."""
OPTIONS = ("--delay", "0", "--faults", "service-outage@2013-08-11")
SETTINGS = {
    "window_days: 7 ": "window_days: 30 ",
    "min_rows: 500 ": "min_rows: 100 ",
    "min_rows: 150 ": "min_rows: 100 ",
    "_days: 60 ": "_days: 45 ",
    # The orders are a linear problem: the simpler model is the one to serve.
    "kind: trees": "kind: linear",
}


def play(root: Path, *options: str) -> tuple[Simulation, str]:
    """Run the command in a project; return the results and what it printed."""
    tools = str(Path(sys.executable).parent)
    done = subprocess.run(
        [sys.executable, "-m", "ml_service", "simulate", *options],
        cwd=root,
        env={
            **os.environ,
            "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": f"{root}/src:{root}/chassis/src",
            "OMP_NUM_THREADS": "1",
            "MLFLOW_TRACKING_URI": "https://mlflow.invalid",
            "NO_COLOR": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    text = (root / "var" / "simulation" / "simulation.json").read_text()
    return Simulation.model_validate_json(text), done.stdout


def list_files(root: Path) -> dict[str, bytes]:
    files = [path for path in root.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    kept = [path for path in files if path.relative_to(root).parts[:2] != ("var", "simulation")]
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in kept}


@pytest.fixture(scope="module")
def project(orders: Paths, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The adopted orders, with limits for five rows a day."""
    root = tmp_path_factory.mktemp("simulated") / "project"
    shutil.copytree(orders.root, root)
    text = (root / "params.yaml").read_text()
    for old, new in SETTINGS.items():
        assert old in text
        text = text.replace(old, new)
    (root / "params.yaml").write_text(text)
    return root


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project as it is generated."""
    root = tmp_path_factory.mktemp("sample") / "project"
    ignored = shutil.ignore_patterns(".venv", ".git", "__pycache__", "*.egg-info", "data", "var")
    shutil.copytree(ROOT, root, ignore=ignored)
    return root


@dataclass(frozen=True, slots=True)
class Played:
    """A simulation, what it printed, and the project's other files before and after."""

    result: Simulation
    printed: str
    before: dict[str, bytes]
    after: dict[str, bytes]


@pytest.fixture(scope="module")
def played(project: Path) -> Played:
    """Two months of orders: the first model, an outage and one retraining."""
    before = list_files(project)
    result, printed = play(project, *OPTIONS, "--until", "2013-09-29")
    return Played(result, printed, before, list_files(project))


@pytest.mark.one_python
def test_the_loop_scores_monitors_and_retrains_over_http(played: Played) -> None:
    result = played.result
    assert result.start == "2013-07"
    assert [(w.start, w.end) for w in result.windows] == [
        ("2013-08-01", "2013-08-30"),
        ("2013-08-31", "2013-09-29"),
    ]
    for window in result.windows:
        assert window.requests.sent == 150
        assert window.requests.rejected == 0
        assert window.status == "ok"
        assert window.versions == ("1",)
        assert window.scores.champion == pytest.approx(window.scores.never_retrained, abs=1e-6)
    (retraining,) = result.retrainings
    assert (retraining.day, retraining.as_of) == ("2013-09-30", "2013-08")
    assert retraining.outcome in ("promoted", "rejected")
    assert "2013-08-31 to 2013-09-29" in played.printed


@pytest.mark.one_python
def test_a_killed_service_answers_again_after_its_outage(played: Played) -> None:
    first, second = played.result.windows
    assert (first.requests.unanswered, second.requests.unanswered) == (25, 0)
    (outage,) = played.result.faults
    assert (outage.noticed, outage.answered) == ("2013-08-31", 125)
    assert "25 of 150 rows without a response" in outage.signal


@pytest.mark.one_python
def test_nothing_else_in_the_project_changes(played: Played) -> None:
    assert played.before == played.after
    assert len(played.before) > 100


@pytest.mark.one_python
@pytest.mark.parametrize("table", TABLES)
def test_a_second_run_gives_the_same_decisions(
    played: Played, project: Path, sample: Path, table: str
) -> None:
    if table == "sample":
        first, _ = play(sample)
        again, _ = play(sample)
        assert [r.outcome for r in first.retrainings] == ["rejected", "rejected", "promoted"]
    else:
        first = played.result
        again, _ = play(project, *OPTIONS, "--until", "2013-08-30")
    assert again.windows == first.windows[: len(again.windows)]
    assert again.retrainings == first.retrainings[: len(again.retrainings)]
