"""The workflow upgrade: a pull request where the template has a newer chassis, else nothing."""

import json
from pathlib import Path

import pytest

from workflows.repositories import git
from workflows.runner import run_workflow
from workflows.runs import Event, Place, Run
from workflows.stand_ins import Planned, Programs

NEWS = "# Changelog\n\n## 9.0.0\n\n### Breaking\n\n- Sources take two arguments.\n"
CHANGED = {"chassis/CHANGELOG.md": NEWS, "chassis/added.py": "x = 1\n", "pyproject.toml": ""}


@pytest.fixture
def template(place: Place, tmp_path: Path) -> Path:
    """A repository of the template with two releases, older than its newest tag by name."""
    folder = tmp_path / "template"
    folder.mkdir()
    git(folder, "init", "--quiet")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", "Release")
    for tag in ("v0.1.0", "v0.10.0", "v0.9.0", "v1.0.0-rc1", "nightly"):
        git(folder, "tag", tag)
    place.variables["TEMPLATE"] = f"file://{folder}"
    return folder


def run_upgrade(place: Place, programs: Programs, upgrade: Planned) -> Run:
    """Run the workflow with a planned exchange."""
    programs.plan(setup=[Planned()], upgrade_chassis=[upgrade])
    return run_workflow(place, "upgrade.yml", Event("workflow_dispatch"))


def test_a_newer_chassis_is_a_pull_request_with_its_changelog(
    place: Place, programs: Programs, template: Path
) -> None:
    run = run_upgrade(place, programs, Planned(files=CHANGED))
    assert run.result == "success", run.print_all()
    (pull,) = programs.read_gh()["pulls"]
    assert pull["title"] == "Upgrade the chassis to v0.10.0"
    assert "The tests pass" in pull["body"]
    assert "- Sources take two arguments." in pull["body"]
    (call,) = [c for c in programs.list_calls("make") if c["arguments"][0] == "upgrade-chassis"]
    assert call["from"] == f"file://{template}@v0.10.0"
    changed = git(place.origin, "diff", "--name-only", "main", pull["head"]).split()
    assert changed == sorted(CHANGED)
    assert run.jobs["upgrade"].permissions == {"contents": "read"}


def test_the_same_release_opens_no_second_pull_request(
    place: Place, programs: Programs, template: Path
) -> None:
    for _ in range(2):
        run = run_upgrade(place, programs, Planned(files=CHANGED))
        assert run.result == "success", run.print_all()
    assert len(programs.read_gh()["pulls"]) == 1


def test_failing_tests_are_shown_in_the_pull_request(
    place: Place, programs: Programs, template: Path
) -> None:
    run = run_upgrade(place, programs, Planned(2, printed="FAILED test_x", files=CHANGED))
    assert run.result == "success", run.print_all()
    (pull,) = programs.read_gh()["pulls"]
    assert "**The tests fail with the new chassis**" in pull["body"]
    assert "FAILED test_x" in pull["body"]


def test_an_exchange_that_fails_opens_nothing(
    place: Place, programs: Programs, template: Path
) -> None:
    run = run_upgrade(place, programs, Planned(2, printed="error: files were edited"))
    assert run.result == "failure", run.print_all()
    assert programs.list_calls("gh") == []


def test_the_newest_chassis_stays(place: Place, programs: Programs, template: Path) -> None:
    manifest = json.loads(git(place.origin, "show", "main:chassis/MANIFEST.json"))
    for tag in ("v0.10.0", "v0.9.0"):
        git(template, "tag", "--delete", tag)
    git(template, "tag", f"v{manifest['version']}")
    run = run_upgrade(place, programs, Planned(files=CHANGED))
    assert (run.result, run.jobs["publish"].result) == ("success", "skipped"), run.print_all()
    assert "is the newest" in run.jobs["upgrade"].find("Look for a newer chassis").printed
    assert programs.list_calls("make") == []


def test_without_an_address_a_notice_says_so(place: Place, programs: Programs) -> None:
    run = run_upgrade(place, programs, Planned(files=CHANGED))
    assert (run.result, run.jobs["publish"].result) == ("success", "skipped"), run.print_all()
    assert "TEMPLATE is not set" in run.jobs["upgrade"].find("Look for a newer chassis").printed


def test_an_address_that_does_not_answer_fails(place: Place, programs: Programs) -> None:
    place.variables["TEMPLATE"] = "file:///absent"
    run = run_upgrade(place, programs, Planned(files=CHANGED))
    assert (run.result, run.jobs["publish"].result) == ("failure", "skipped"), run.print_all()
