"""`retrain` with real months, a real registry and real kills."""

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from mlchassis.bundle.bundle import read_pointer
from mlchassis.contract.model import load_contract
from mlchassis.paths import Paths
from mlchassis.registry.promotion import CHALLENGER, CHAMPION
from mlchassis.registry.tracking import connect
from mlchassis.workflow.retrain import Retraining, read_retraining
from mlchassis.workspace.repository import ensure_repository

pytestmark = pytest.mark.one_python
MOMENTS = int(os.environ.get("KILL_MOMENTS", "3"))
AS_OF_COMMENT = " last month (UTC) that has arrived; null takes all that the files hold"
LASTS = 8.0  # seconds of a retraining on a quiet machine


def start(
    paths: Paths,
    *options: str,
    verb: str = "retrain",
    output: int = subprocess.PIPE,
    variables: Mapping[str, str] | None = None,
) -> Any:
    """Start a verb in a process group of its own."""
    tools = str(Path(sys.executable).parent)
    return subprocess.Popen(
        [sys.executable, "-m", "ml_service", verb, *options],
        cwd=paths.root,
        env={
            **os.environ,
            "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": f"{paths.root}/src:{paths.root}/chassis/src",
            "OMP_NUM_THREADS": "1",
            "SERVICE_PORT": "1",
            "NO_COLOR": "1",
            **(variables or {}),
        },
        stdout=output,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def read_result(paths: Paths) -> Retraining:
    result = read_retraining(paths)
    assert result is not None
    return result


def retrain(paths: Paths, *options: str, code: int = 0, **variables: str) -> Retraining:
    process = start(paths, *options, variables=variables)
    printed, _ = process.communicate()
    assert process.returncode == code, printed
    return read_result(paths)


def fail(paths: Paths, *options: str) -> str:
    """Run `retrain`, which must fail with one sentence and change no parameter; return that."""
    before = paths.params.read_text()
    process = start(paths, *options)
    printed, _ = process.communicate()
    assert process.returncode == 1, printed
    assert paths.params.read_text() == before
    return " ".join(str(printed).split())


def describe_state(paths: Paths) -> dict[str, Any]:
    """Return what a retraining may change: data, settings, registry, and what is served."""
    tracker = connect(paths, load_contract(paths.contract).name)
    champion, challenger = tracker.read_alias(CHAMPION), tracker.read_alias(CHALLENGER)
    pointer = read_pointer(paths.store)
    return {
        "lock": paths.dvc_lock.read_text(),
        "params": paths.params.read_text(),
        "champion": champion and (champion.number, champion.digest),
        "challenger": challenger and (challenger.number, challenger.digest),
        "served": pointer and (pointer.digest, pointer.model_version),
    }


@pytest.fixture(scope="module")
def trained(orders: Paths, tmp_path_factory: pytest.TempPathFactory) -> Paths:
    """A project whose champion was trained on the months up to August."""
    paths = Paths(tmp_path_factory.mktemp("trained") / "project")
    shutil.copytree(orders.root, paths.root)
    text = paths.params.read_text()
    assert "as_of: null" in text
    # The orders are a linear problem: the simpler model is the one to serve.
    text = text.replace("as_of: null", "as_of: 2013-08").replace("kind: trees", "kind: linear")
    paths.params.write_text(text)
    ensure_repository(paths.root)
    assert retrain(paths).outcome == "promoted"
    return paths


def copy(paths: Paths, folder: Path) -> Paths:
    shutil.copytree(paths.root, folder / "project")
    return Paths(folder / "project")


@pytest.fixture
def project(trained: Paths, tmp_path: Path) -> Paths:
    """A copy of that project."""
    return copy(trained, tmp_path)


@pytest.fixture(scope="module")
def promoted(trained: Paths, tmp_path_factory: pytest.TempPathFactory) -> Paths:
    """That project after a retraining with the months up to October; copy it."""
    paths = copy(trained, tmp_path_factory.mktemp("promoted"))
    assert retrain(paths, "--as-of", "2013-10").outcome == "promoted"
    return paths


@pytest.fixture(scope="module")
def registered(trained: Paths, tmp_path_factory: pytest.TempPathFactory) -> Paths:
    """The same where a person promotes; copy it."""
    paths = copy(trained, tmp_path_factory.mktemp("registered"))
    text = paths.params.read_text()
    assert "  promote: true" in text
    paths.params.write_text(text.replace("  promote: true", "  promote: false"))
    assert retrain(paths, "--as-of", "2013-10").outcome == "registered"
    return paths


def test_new_months_give_a_new_champion_and_then_nothing_is_new(
    trained: Paths, promoted: Paths, tmp_path: Path
) -> None:
    before = describe_state(trained)
    project = copy(promoted, tmp_path)
    result = read_result(project)
    after = describe_state(project)
    assert result.digest == result.champion == after["champion"][1] == after["served"][0]
    assert result.version == after["champion"][0] != before["champion"][0]
    changed = set(after["params"].splitlines()) - set(before["params"].splitlines())
    assert len(changed) == 1
    assert changed.pop().split("#") == [f"{'  as_of: 2013-10':31}", AS_OF_COMMENT]

    assert retrain(project).outcome == "nothing_new"
    assert describe_state(project) == after

    outputs = tmp_path / "outputs"
    result = retrain(project, "--as-of", "2014-02", GITHUB_OUTPUT=str(outputs))
    assert result.outcome == "nothing_new"
    assert "no month after 2013-10 up to 2014-02" in result.sentence
    assert describe_state(project) == after
    lines = outputs.read_text().splitlines()
    assert lines[1] == "nothing_new"
    assert lines[0] == f"outcome<<{lines[2]}"


def test_a_month_that_cannot_be_meant_is_rejected_with_a_sentence(project: Paths) -> None:
    assert "name a later month" in fail(project, "--as-of", "2013-05")
    assert "write a month as YYYY-MM" in fail(project, "--as-of", "2013-13")
    assert "write a month as YYYY-MM" in fail(project, "--as-of", "October")


def test_a_rejected_model_leaves_the_champion_and_ends_with_10(project: Paths) -> None:
    before = describe_state(project)
    text = project.params.read_text()
    limit = next(line for line in text.splitlines() if "max_calibration_error:" in line)
    strict = "  max_calibration_error: 0.000001"
    project.params.write_text(text.replace(limit, strict))
    result = retrain(project, "--as-of", "2013-10", code=10)
    after = describe_state(project)
    assert result.outcome == "rejected"
    assert [sentence.split(":")[0] for sentence in result.rejections] == ["calibration"]
    assert (after["champion"], after["served"]) == (before["champion"], before["served"])

    assert retrain(project).outcome == "nothing_new"
    project.params.write_text(project.params.read_text().replace(strict, limit))
    assert retrain(project).outcome == "promoted"


def test_a_person_promotes_where_the_setting_says_so(trained: Paths, registered: Paths) -> None:
    before = describe_state(trained)
    after = describe_state(registered)
    assert after["challenger"][1] == read_result(registered).digest != before["challenger"][1]
    assert (after["champion"], after["served"]) == (before["champion"], before["served"])


def test_a_stricter_gate_is_reported_where_nothing_else_is_new(
    registered: Paths, tmp_path: Path
) -> None:
    project = copy(registered, tmp_path)
    text = project.params.read_text()
    assert retrain(project).outcome == "nothing_new"
    limit = next(line for line in text.splitlines() if "max_calibration_error:" in line)
    strict = "  max_calibration_error: 0.000001"
    project.params.write_text(text.replace(limit, strict))
    assert retrain(project, code=10).outcome == "rejected"
    assert [retrain(project).outcome for _ in range(2)] == ["nothing_new"] * 2


def test_a_retraining_that_was_killed_at_any_moment_ends_in_the_same_state(
    project: Paths, promoted: Paths
) -> None:
    chance = random.Random(2013)
    for _ in range(MOMENTS):
        process = start(project, "--as-of", "2013-10", output=subprocess.DEVNULL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(chance.uniform(0.5, LASTS))
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    retrain(project, "--as-of", "2013-10")
    assert describe_state(project) == describe_state(promoted)


def test_an_edited_result_gets_a_sentence(project: Paths) -> None:
    (project.var / "retraining.json").write_text(json.dumps({"outcome": "fine"}))
    assert "retraining.json was edited" in fail(project)


def test_a_version_that_was_rolled_back_from_is_not_promoted_again(
    trained: Paths, promoted: Paths, tmp_path: Path
) -> None:
    first = describe_state(trained)
    project = copy(promoted, tmp_path)
    rollback = start(project, verb="rollback", output=subprocess.DEVNULL)
    assert rollback.wait() == 0
    result = retrain(project)
    after = describe_state(project)
    assert (after["champion"], after["served"]) == (first["champion"], first["served"])
    assert result.outcome == "nothing_new"
    version = read_result(promoted).version
    again = f"give version {version} again, which was rolled back from (rolled back by hand)"
    assert again in result.sentence
    assert f"make promote VERSION={version}" in result.sentence
