"""A project takes over a newer template: the chassis by its own upgrade, the rest with cruft."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from bake import PAYLOAD
from releases import (
    Repository,
    edit_every_team_file,
    publish_releases,
    read_chassis,
    start_project,
)


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory, config: Path) -> Repository:
    """The template as a repository with two releases; tests only read it."""
    return publish_releases(tmp_path_factory.mktemp("releases") / "ml-template", config)


@pytest.fixture(scope="module")
def started(
    releases: Repository, config: Path, tmp_path_factory: pytest.TempPathFactory
) -> Repository:
    """A project of the first release with a change of its own."""
    project = start_project(releases, config, tmp_path_factory.mktemp("started"))
    makefile = project.folder / "Makefile"
    makefile.write_text("# our own first line\n" + makefile.read_text())
    project.commit("Change the Makefile")
    project.run("git", "gc", "--quiet")
    return project


@pytest.fixture
def grown(started: Repository, config: Path, tmp_path: Path) -> Repository:
    """A copy of that project, which the test may change."""
    folder = tmp_path / "ml-service"
    shutil.copytree(started.folder, folder, symlinks=True)
    return Repository(folder, config)


def pack_release(releases: Repository) -> str:
    """Pack the second release as hosts of repositories do."""
    archive = releases.folder.parent / "ml-template-0.3.0.tar.gz"
    prefix = "--prefix=ml-template-0.3.0/"
    releases.run("git", "archive", prefix, f"--output={archive}", "v2")
    return str(archive)


SOURCES: dict[str, Callable[[Repository], str]] = {
    "folder": lambda releases: str(releases.folder / PAYLOAD.name / "chassis"),
    "archive": pack_release,
    "git": lambda releases: f"file://{releases.folder}@v2",
}


def upgrade_chassis(project: Repository, source: str) -> subprocess.CompletedProcess[str]:
    """Run the upgrade as `make upgrade-chassis` does, with the chassis that is there.

    It needs nothing but the standard library and this package, so no environment is made.
    """
    program = "import sys; sys.path.insert(0, 'chassis/src'); sys.argv[0] = 'upgrade'; "
    program += "from mlchassis.upgrade.command import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-B", "-c", program, source],
        cwd=project.folder,
        env=project.environment,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


@pytest.mark.parametrize("kind", SOURCES)
def test_edits_in_every_team_file_meet_no_conflict(
    releases: Repository, grown: Repository, kind: str
) -> None:
    edited = edit_every_team_file(grown)
    done = upgrade_chassis(grown, SOURCES[kind](releases))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "chassis: version 0.2.0 is now 0.3.0",
        "breaking, 0.3.0: Sources take two arguments.",
    ]
    upgraded = read_chassis(grown.folder)
    grown.commit("Upgrade the chassis")
    grown.cruft("update", "--skip-apply-ask", "--checkout", "v2")
    assert grown.run("git", "diff", "--name-only", "--diff-filter=U") == ""
    assert list(grown.folder.rglob("*.rej")) == []
    assert {file: file.read_text() for file in edited} == edited
    assert (grown.folder / "docs" / "added.md").exists()
    assert read_chassis(grown.folder) == upgraded


def test_an_edited_chassis_file_is_refused_by_name(releases: Repository, grown: Repository) -> None:
    edited = grown.folder / "chassis" / "src" / "mlchassis" / "paths.py"
    edited.write_text(edited.read_text() + "# Edited.\n")
    before = read_chassis(grown.folder)
    done = upgrade_chassis(grown, f"file://{releases.folder}@v2")
    assert done.returncode == 1
    assert "(changed: src/mlchassis/paths.py)" in done.stderr
    assert done.stderr.count("\n") == 1
    assert read_chassis(grown.folder) == before


KILLED_UPGRADE = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from mlchassis.upgrade import command

source, moment = sys.argv[2], int(sys.argv[3])
steps = 0
exchanged = 0

def count(event, arguments):
    global steps, exchanged
    if event.partition(".")[0] in {"open", "os", "shutil", "ctypes"}:
        steps += 1
        if steps == moment:
            os.kill(os.getpid(), signal.SIGKILL)
        if event.startswith("ctypes"):
            exchanged = steps

sys.addaudithook(count)
command.upgrade(Path.cwd(), source, lambda line: None)
print(steps, exchanged)
"""


def upgrade_killed(project: Repository, package: Path, source: str, moment: int) -> list[int]:
    """Upgrade in a process that kills itself at a step; return all steps and that of the exchange.

    Args:
        project: The project.
        package: Folder with the package that upgrades; the project's own is replaced meanwhile.
        source: The release.
        moment: Number of the step, each a use of a file; 0 for none.
    """
    done = subprocess.run(
        [sys.executable, "-B", "-c", KILLED_UPGRADE, str(package), source, str(moment)],
        cwd=project.folder,
        env=project.environment,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return [int(number) for number in done.stdout.split()]


def choose_moments(steps: int, exchange: int) -> list[int]:
    """Return steps to be killed at: all around the exchange of the folders, some of the rest."""
    count = int(os.environ.get("KILL_MOMENTS", "8"))
    spread = {1 + number * (steps - 1) // (count - 1) for number in range(count)}
    around = {step for step in range(exchange - 3, exchange + 4) if 1 <= step <= steps}
    return sorted(spread | around)


def test_killed_at_any_step_the_chassis_is_the_old_or_the_new_one(
    releases: Repository, grown: Repository, tmp_path: Path
) -> None:
    package = tmp_path / "package"
    source = SOURCES["folder"](releases)
    shutil.copytree(grown.folder / "chassis" / "src", package)
    before = read_chassis(grown.folder)
    steps, exchange = upgrade_killed(grown, package, source, 0)
    after = read_chassis(grown.folder)
    assert before != after
    seen = []
    for moment in choose_moments(steps, exchange):
        grown.run("git", "reset", "--quiet", "--hard")
        grown.run("git", "clean", "--quiet", "-fdx")
        assert upgrade_killed(grown, package, source, moment) == []
        now = read_chassis(grown.folder)
        assert now in (before, after), moment
        seen.append(now == after)
        upgrade_killed(grown, package, source, 0)
        assert read_chassis(grown.folder) == after
    # Before the exchange it is always the old one, after it always the new one.
    assert seen == sorted(seen)
    assert set(seen) == {False, True}


def test_cruft_leaves_the_chassis_alone(grown: Repository) -> None:
    before = read_chassis(grown.folder)
    grown.cruft("update", "--skip-apply-ask", "--checkout", "v2")
    assert read_chassis(grown.folder) == before


def test_an_update_merges_and_leaves_no_conflict(grown: Repository) -> None:
    said = grown.cruft("update", "--skip-apply-ask", "--checkout", "v2")
    assert "has been updated" in said
    assert grown.run("git", "diff", "--name-only", "--diff-filter=U") == ""
    assert list(grown.folder.rglob("*.rej")) == []
    grown.run("git", "diff", "--check", "HEAD", "--", "Makefile", "docs/added.md")

    makefile = (grown.folder / "Makefile").read_text()
    assert makefile.startswith("# our own first line\n")
    assert makefile.endswith("# added by the second release\n")
    assert (grown.folder / "docs" / "added.md").read_text() == "# ML Service\n"
    changed = set(grown.run("git", "diff", "--name-only", "HEAD").split())
    assert changed <= {".cruft.json", "Makefile", "docs/added.md"}


def test_after_an_update_nothing_is_left_to_do(grown: Repository) -> None:
    grown.cruft("update", "--skip-apply-ask", "--checkout", "v2")
    grown.commit("Take over the second release")
    assert "up to date" in grown.cruft("check", "--checkout", "v2")


def test_an_update_with_other_answers_changes_what_they_are_in(grown: Repository) -> None:
    before = read_chassis(grown.folder)
    answers = {
        "description": "Says how late a flight is.",
        "author": "Ada",
        "license": "Proprietary",
    }
    named = ("--variables-to-update", json.dumps(answers))
    grown.cruft("update", "--skip-apply-ask", "--checkout", "v2", *named)
    assert grown.run("git", "diff", "--name-only", "--diff-filter=U") == ""
    assert list(grown.folder.rglob("*.rej")) == []
    project = tomllib.loads((grown.folder / "pyproject.toml").read_text())["project"]
    assert project["description"] == answers["description"]
    assert not (grown.folder / "LICENSE").exists()
    kept = json.loads((grown.folder / ".cruft.json").read_text())["context"]["cookiecutter"]
    assert {name: kept[name] for name in answers} == answers
    assert read_chassis(grown.folder) == before
    grown.commit("Answer otherwise")
    said = grown.cruft("update", "--skip-apply-ask", "--checkout", "v2")
    assert "already up to date" in said
