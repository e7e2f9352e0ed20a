"""The workflow security: each audit goes red by itself, and exceptions end on their date."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from bake import PAYLOAD
from workflows.repositories import git
from workflows.runner import run_workflow
from workflows.runs import Event, Place, Run
from workflows.stand_ins import REAL, Planned, Programs

EXCEPTIONS = ".github/vulnerability-exceptions.txt"
SOUND = {"known-bad": ["CVE-1"]}


def run_security(place: Place, programs: Programs, **verbs: Planned) -> Run:
    """Run the workflow; audits are green unless another plan is given."""
    names = "setup audit_workflows audit_packages audit_secrets"
    programs.plan(**{name: [verbs.get(name, Planned())] for name in names.split()})
    return run_workflow(place, "security.yml", Event("push"))


def find_ids(place: Place, name: str) -> list[str]:
    """Return the IDs that the scan of the image left out."""
    ((_, given),) = [each for each in place.uses if each[0] == name]
    ignored: list[str] = given["ignored"]
    return ignored


def run_audit(place: Place, programs: Programs, findings: dict[str, list[str]]) -> Run:
    """Run the workflow with the real audit of packages, on what a stand-in of pip-audit finds."""
    (programs.folder / "audit.json").write_text(json.dumps(findings), encoding="utf-8")
    return run_security(place, programs, audit_packages=REAL)


def commit_exceptions(place: Place, folder: Path, *lines: str) -> None:
    """Commit exceptions to the repository."""
    tree = folder / "tree"
    git(folder, "clone", "--quiet", str(place.origin), str(tree))
    with (tree / EXCEPTIONS).open("a", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)
    git(tree, "commit", "--quiet", "--all", "--message", "Leave out")
    git(tree, "push", "--quiet", "origin", "main")


def test_all_audits_run_and_the_image_is_scanned(place: Place, programs: Programs) -> None:
    run = run_security(place, programs)
    assert run.result == "success", run.print_all()
    assert find_ids(place, "anchore/scan-action") == []
    assert [call["arguments"][0] for call in programs.list_calls("docker")] == ["build"]


@pytest.mark.parametrize("verb", ["audit_workflows", "audit_packages", "audit_secrets"])
def test_a_red_audit_fails_the_run_and_the_others_still_run(
    verb: str, place: Place, programs: Programs
) -> None:
    run = run_security(place, programs, **{verb: Planned(2)})
    assert run.result == "failure", run.print_all()
    verbs = [call["arguments"][0] for call in programs.list_calls("make")]
    assert verbs == ["setup", "audit-workflows", "audit-packages", "audit-secrets"]


def test_a_vulnerable_package_is_named_with_its_file(place: Place, programs: Programs) -> None:
    run = run_audit(place, programs, {**SOUND, "serve": ["CVE-2"]})
    assert run.result == "failure"
    printed = run.jobs["files"].find("Audit the packages").printed
    assert "error: vulnerable packages in requirements/serve.txt;" in printed
    assert run_audit(place, programs, SOUND).result == "success"


def test_an_audit_that_finds_nothing_anywhere_fails(place: Place, programs: Programs) -> None:
    run = run_audit(place, programs, {})
    assert run.result == "failure"
    assert "is its database reachable?" in run.jobs["files"].find("Audit the packages").printed


def test_exceptions_are_left_out_until_their_date(
    place: Place, programs: Programs, tmp_path: Path
) -> None:
    commit_exceptions(place, tmp_path, "CVE-2 2999-12-31 never called", "CVE-3 2020-01-31 old")
    assert run_audit(place, programs, {**SOUND, "serve": ["CVE-2"]}).result == "success"
    assert find_ids(place, "anchore/scan-action") == ["CVE-2"]
    run = run_audit(place, programs, {**SOUND, "serve": ["CVE-3"]})
    assert run.result == "failure"
    printed = run.jobs["files"].find("Audit the packages").printed
    assert "expired on 2020-01-31: CVE-3, old" in printed


def test_an_exception_without_date_or_reason_is_refused(
    place: Place, programs: Programs, tmp_path: Path
) -> None:
    commit_exceptions(place, tmp_path, "CVE-2 2999-12-31")
    run = run_audit(place, programs, SOUND)
    assert run.result == "failure"
    assert "CVE-2 has no reason" in run.jobs["files"].find("Audit the packages").printed


@pytest.mark.parametrize(
    ("today", "left_out"), [("2026-01-30", True), ("2026-01-31", True), ("2026-02-01", False)]
)
def test_the_last_day_of_an_exception_counts(today: str, left_out: bool, tmp_path: Path) -> None:
    file = tmp_path / EXCEPTIONS
    file.parent.mkdir()
    file.write_text("# comment\n\nCVE-9 2026-01-31 a reason of words\n", encoding="utf-8")
    script = PAYLOAD / ".github" / "scripts" / "exceptions.sh"
    done = subprocess.run(
        ["sh", script],
        cwd=tmp_path,
        env={**os.environ, "TODAY": today},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == ("CVE-9\n" if left_out else "")
