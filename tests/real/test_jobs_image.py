"""The image of the jobs in a real engine: `monitor` runs as strictly as a cluster would run it."""

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from demo import read_question
from engine import DOCKER, Engine
from project_copy import make_environment
from real.test_image import FIND_MODULES, STRICT, USER
from service import fetch, serve
from summary import Parts
from whole_run import WholeRun
from workflows.repositories import git

IMAGE = "ml-service-jobs"
DEVELOPMENT = ("hypothesis", "importlinter", "mypy", "pytest", "ruff")
# The engine of the tests gives containers no way out: packages come over the host's network.
BUILD_OVER_HOST = f"""#!/bin/sh
test "$1" != build || {{ shift; exec {DOCKER} build --network=host "$@"; }}
exec {DOCKER} "$@"
"""
# As a job does it: on a copy of the project, in the volume.
START_TOOLS = """
mkdir -p "$HOME" "$TMPDIR" && cp -R /opt/project project && cd project &&
python -m dvc config core.remote && python -c 'import lightgbm, mlflow' && git rev-parse HEAD
"""


@dataclass(frozen=True)
class Finished:
    """A container that ended, and the reports it left.

    Attributes:
        code: Exit code.
        printed: Its output.
        reports: Folder of the reports.
    """

    code: int
    printed: str
    reports: Path

    def read_report(self) -> dict[str, Any]:
        """Read the monitor's report."""
        report: dict[str, Any] = json.loads((self.reports / "monitor.json").read_text())
        return report


@dataclass(frozen=True)
class Jobs:
    """The image of the jobs, and how it is run.

    Attributes:
        engine: Engine that has the image.
        project: Clone that it was made of.
        folder: Folder for reports.
    """

    engine: Engine
    project: Path
    folder: Path

    def run(self, *arguments: str, options: tuple[str, ...] = ()) -> Finished:
        """Run a container without any right that it can do without, and without a network."""
        reports = self.folder / f"reports-{len(list(self.folder.iterdir()))}"
        reports.mkdir()
        os.chown(reports, int(USER), int(USER))
        volumes = ("--volume=/srv/job", f"--volume={reports}:/srv/reports")
        command = [DOCKER, "run", "--rm", "--network=none", *STRICT, *volumes, *options]
        done = subprocess.run(
            [*map(str, command), *arguments],
            env=self.engine.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=300,
            check=False,
        )
        return Finished(done.returncode, done.stdout, reports)

    def monitor(self, whole_run: WholeRun, log: Path) -> Finished:
        """Run `monitor` on a log and the deployed bundle, neither of which it can change."""
        store = whole_run.project / "var" / "deployed"
        volumes = (f"--volume={store}:/srv/deployed:ro", f"--volume={log}:/srv/predictions:ro")
        options = (*volumes, "--env=SERVICE_STORE=/srv/deployed")
        return self.run(IMAGE, "monitor", options=options)


@pytest.fixture(scope="module")
def jobs(
    engine: Engine, whole_run: WholeRun, tmp_path_factory: pytest.TempPathFactory, parts: Parts
) -> Jobs:
    """The image, built by the project's own script from a clone of its first commit."""
    folder = tmp_path_factory.mktemp("jobs")
    project = folder / "ml-service"
    git(folder, "clone", "--quiet", str(whole_run.project), str(project))
    shim = folder / "bin" / "docker"
    shim.parent.mkdir()
    shim.write_text(BUILD_OVER_HOST, encoding="utf-8")
    shim.chmod(0o755)
    path = f"{shim.parent}{os.pathsep}{engine.environment['PATH']}"
    with parts.measure("the image of the jobs, built"):
        done = subprocess.run(
            ["sh", "deploy/service.sh", "image-jobs"],
            cwd=project,
            env={**engine.environment, "IMAGE": IMAGE, "PATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=600,
            check=False,
        )
    assert done.returncode == 0, done.stdout[-4000:]
    reports = folder / "reports"
    reports.mkdir()
    return Jobs(engine, project, reports)


@pytest.fixture(scope="module")
def log(whole_run: WholeRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prediction log with one row, as the service wrote it; the image's user may read it."""
    folder = tmp_path_factory.mktemp("predictions")
    environment = make_environment(OMP_NUM_THREADS="1", SERVICE_LOG_DIRECTORY=str(folder))
    with serve(whole_run.project, subprocess.DEVNULL, environment) as address:
        fetch(f"{address}/predict", read_question(address))
    give_away(folder)
    return folder


def give_away(folder: Path) -> None:
    """Give a folder and its files to the image's user: a log is private to its writer."""
    for path in (folder, *folder.iterdir()):
        os.chown(path, int(USER), int(USER))


def test_a_status_that_needs_nobody_is_no_failure(
    jobs: Jobs, whole_run: WholeRun, log: Path
) -> None:
    done = jobs.monitor(whole_run, log)
    assert done.code == 0, done.printed
    assert "watch: Too few rows" in done.printed
    report = done.read_report()
    pointer = json.loads((whole_run.project / "var" / "deployed" / "current.json").read_text())
    assert (report["status"], report["digest"]) == ("watch", pointer["digest"])
    assert report["log"]["rows"] == 1
    assert (done.reports / "monitor.html").stat().st_size > 1000


def test_the_log_is_compacted_where_it_is(jobs: Jobs, log: Path, tmp_path: Path) -> None:
    # A segment of another host is closed once it and its last line are two days old.
    shutil.copytree(log, tmp_path / "log")
    (segment,) = (tmp_path / "log").glob("*.jsonl")
    old = re.sub(r"\d{8}(?=T)", "20200101", segment.name)
    os.utime(segment.rename(segment.with_name(old)), (0, 0))
    give_away(tmp_path / "log")
    done = jobs.run(IMAGE, "compact-log", options=(f"--volume={tmp_path}/log:/srv/predictions",))
    assert done.code == 0, done.printed
    assert "compacted 1 segments into 1 Parquet files" in done.printed
    suffixes = {path.suffix for path in (tmp_path / "log").iterdir()}
    assert ".parquet" in suffixes
    assert segment.suffix not in suffixes


def test_an_alert_fails_the_job_with_its_own_code(
    jobs: Jobs, whole_run: WholeRun, log: Path, tmp_path: Path
) -> None:
    for segment in log.iterdir():
        row = json.loads(segment.read_text(encoding="utf-8"))
        del row["inputs"]["origin"]
        (tmp_path / segment.name).write_text(json.dumps(row) + "\n", encoding="utf-8")
    give_away(tmp_path)
    done = jobs.monitor(whole_run, tmp_path)
    assert done.code == 30, done.printed
    assert "broken: Logged rows lack 'origin'" in done.printed
    assert done.read_report()["status"] == "broken"


@pytest.mark.parametrize("job", ["monitor", "retrain"])
def test_without_shared_stores_a_job_says_what_to_set(job: str, jobs: Jobs) -> None:
    done = jobs.run(IMAGE, job)
    assert done.code == 1, done.printed
    assert "MLFLOW_TRACKING_URI" in done.printed
    assert list(done.reports.iterdir()) == []


def test_an_unknown_job_is_refused(jobs: Jobs) -> None:
    done = jobs.run(IMAGE, "serve")
    assert (done.code, done.printed.strip()) == (
        1,
        "error: job.sh has no job 'serve'; write monitor, retrain or compact-log",
    )


def test_the_tools_of_training_start_on_the_commit(jobs: Jobs) -> None:
    done = jobs.run(IMAGE, "-c", START_TOOLS, options=("--entrypoint=sh",))
    assert done.code == 0, done.printed
    head = git(jobs.project, "rev-parse", "HEAD").strip()
    assert done.printed.split() == ["local", head]


def test_it_holds_no_tool_of_development(jobs: Jobs) -> None:
    script = ("-c", FIND_MODULES, "mlflow", *DEVELOPMENT)
    done = jobs.run(IMAGE, *script, options=("--entrypoint=python",))
    assert json.loads(done.printed) == ["mlflow"]


def test_changes_that_no_commit_has_are_refused(jobs: Jobs) -> None:
    change = jobs.project / "params.yaml"
    before = change.read_text(encoding="utf-8")
    change.write_text(before + "# changed\n", encoding="utf-8")
    done = subprocess.run(
        ["sh", "deploy/service.sh", "image-jobs"],
        cwd=jobs.project,
        env={**jobs.engine.environment, "IMAGE": IMAGE},
        capture_output=True,
        text=True,
        check=False,
    )
    change.write_text(before, encoding="utf-8")
    assert done.returncode == 1
    assert done.stderr.startswith("error: git status lists changes")
