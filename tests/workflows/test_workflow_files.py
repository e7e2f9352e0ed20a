"""The shipped workflows pass their linters and follow the project's rules."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bake import PAYLOAD
from workflows.rules import find_missing_secrets, find_swallowed_failures
from workflows.runner import load_workflow

FILES = sorted((PAYLOAD / ".github" / "workflows").glob("*.yml"))
PIN = re.compile(r"uses: [\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$")
UNPINNED: set[str] = set()
"""Actions without a looked-up commit; docs/delivery.md of the project lists them."""

every_workflow = pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])


def run_tool(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a tool of the template's environment."""
    tool = Path(sys.executable).with_name(name)
    return subprocess.run([tool, *arguments], capture_output=True, text=True, check=False)


def list_steps(workflow: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the steps of all jobs of a workflow."""
    for job in workflow["jobs"].values():
        yield from job.get("steps", ())


def test_zizmor_has_no_finding(project: Path) -> None:
    options = ("--offline", "--persona=pedantic", "--no-progress", "--quiet")
    done = run_tool("zizmor", *options, str(project / ".github"))
    assert (done.returncode, done.stdout) == (0, "No findings to report. Good job!\n"), done.stdout


def test_the_files_match_githubs_schema(project: Path) -> None:
    files = map(str, sorted((project / ".github" / "workflows").glob("*.yml")))
    done = run_tool("check-jsonschema", "--builtin-schema=vendor.github-workflows", *files)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("schema", "pattern"),
    [
        ("dependabot", "dependabot.yml"),
        ("github-issue-forms", "ISSUE_TEMPLATE/[!c]*.yml"),
        ("github-issue-config", "ISSUE_TEMPLATE/config.yml"),
    ],
)
def test_the_other_files_match_githubs_schemas(schema: str, pattern: str, project: Path) -> None:
    files = [str(path) for path in (project / ".github").glob(pattern)]
    assert files
    done = run_tool("check-jsonschema", f"--builtin-schema=vendor.{schema}", *files)
    assert done.returncode == 0, done.stdout


def test_the_dev_container_is_json_with_the_projects_name(project: Path) -> None:
    text = (project / ".devcontainer" / "devcontainer.json").read_text(encoding="utf-8")
    assert json.loads(text)["name"] == "ml-service"


def run_actionlint(*files: Path) -> subprocess.CompletedProcess[str]:
    """Check workflows and, with shellcheck, their scripts."""
    shellcheck = Path(sys.executable).with_name("shellcheck")
    return run_tool("actionlint", f"--shellcheck={shellcheck}", *map(str, files))


def test_actionlint_and_shellcheck_have_no_finding(project: Path) -> None:
    done = run_actionlint(*sorted((project / ".github" / "workflows").glob("*.yml")))
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("steps", "finding"),
    [
        ("[{if: steps.absent.outputs.x, run: echo}]", 'property "absent" is not defined'),
        ("[{run: 'echo $X'}]", "SC2086"),
    ],
    ids=["actionlint", "shellcheck"],
)
def test_a_broken_workflow_is_found(steps: str, finding: str, tmp_path: Path) -> None:
    workflow = tmp_path / "broken.yml"
    job = f"{{runs-on: ubuntu-latest, steps: {steps}}}"
    workflow.write_text(f"on: push\njobs: {{a: {job}}}\n")
    done = run_actionlint(workflow)
    assert finding in done.stdout


def test_the_shell_scripts_pass_shellcheck(project: Path) -> None:
    scripts = [*(project / ".github" / "scripts").iterdir(), *(project / "deploy").glob("*.sh")]
    assert len(scripts) > 4
    done = run_tool("shellcheck", *map(str, scripts))
    assert (done.returncode, done.stdout) == (0, "")


def test_called_workflows_get_the_secrets_that_they_read() -> None:
    assert find_missing_secrets({file.name: load_workflow(file) for file in FILES}) == []


def test_a_secret_that_is_not_passed_is_found() -> None:
    job = {"uses": "$/.github/workflows/called.yml", "secrets": {"KEY": ""}}
    call: dict[str, Any] = {"secrets": {"KEY": {}, "OTHER": {}}}
    called: dict[str, Any] = {
        "on": {"workflow_call": call},
        "jobs": {"a": {"env": "secrets.KEY secrets.OTHER"}},
    }
    caller: dict[str, Any] = {"on": {}, "jobs": {"b": job}}
    workflows = {"caller.yml": caller, "called.yml": called}
    assert find_missing_secrets(workflows) == ["caller.yml > called.yml: OTHER"]


@every_workflow
def test_permissions_are_given_by_job_alone(file: Path) -> None:
    workflow = load_workflow(file)
    assert workflow["permissions"] == {}
    assert all("permissions" in job for job in workflow["jobs"].values())


@every_workflow
def test_jobs_end_in_time_and_runs_do_not_overlap(file: Path) -> None:
    workflow = load_workflow(file)
    assert workflow["concurrency"]["group"]
    assert all("timeout-minutes" in job for job in workflow["jobs"].values() if "steps" in job)


def test_no_workflow_waits_for_the_one_that_called_it() -> None:
    groups = [load_workflow(file)["concurrency"]["group"] for file in FILES]
    assert len(set(groups)) == len(groups)


@every_workflow
def test_scripts_stop_at_the_first_failure_and_hold_no_expression(file: Path) -> None:
    workflow = load_workflow(file)
    scripts = [step for step in list_steps(workflow) if "run" in step]
    assert not scripts or workflow["defaults"]["run"]["shell"] == "bash"  # with pipefail
    assert [step["run"] for step in scripts if "${{" in step["run"] or "shell" in step] == []


@every_workflow
def test_no_checkout_keeps_the_token(file: Path) -> None:
    for step in list_steps(load_workflow(file)):
        if "actions/checkout" in step.get("uses", ""):
            assert step["with"]["persist-credentials"] is False


@every_workflow
def test_actions_are_pinned_to_a_commit_with_its_version(file: Path) -> None:
    lines = [line.strip() for line in file.read_text().splitlines() if "uses:" in line]
    actions = [line for line in lines if "uses: $/" not in line]
    unpinned = {line.split("@")[0] for line in actions if not PIN.search(line)}
    assert {line.rpartition(" ")[2] for line in unpinned} <= UNPINNED


@every_workflow
def test_a_run_that_is_started_again_replaces_its_artifacts(file: Path) -> None:
    # Without `overwrite`, an upload fails where an earlier attempt has left that name.
    for step in list_steps(load_workflow(file)):
        if "actions/upload-artifact" in step.get("uses", ""):
            assert step["with"]["overwrite"] is True


@every_workflow
def test_steps_that_read_a_failure_run_after_one(file: Path) -> None:
    assert find_swallowed_failures(load_workflow(file)) == []


@pytest.mark.parametrize(
    "condition",
    ["steps.check.outcome == 'failure'", "steps.check.conclusion == 'failure' && inputs.x"],
)
def test_a_step_that_no_failure_reaches_is_found(condition: str) -> None:
    steps = [{"id": "check", "run": "make smoke"}, {"name": "roll back", "if": condition}]
    assert find_swallowed_failures({"jobs": {"a": {"steps": steps}}}) == ["a: roll back"]
    steps[0]["continue-on-error"] = True  # type: ignore[assignment]
    assert find_swallowed_failures({"jobs": {"a": {"steps": steps}}}) == []
    steps = [{"id": "check", "run": "make smoke"}, {"if": f"failure() && {condition}"}]
    assert find_swallowed_failures({"jobs": {"a": {"steps": steps}}}) == []


def test_a_job_that_no_failure_reaches_is_found() -> None:
    job = {"name": "undo", "needs": ["b"], "if": "needs.b.result == 'failure'"}
    assert find_swallowed_failures({"jobs": {"b": {}, "a": job}}) == ["a"]
    job["if"] = "always() && needs.b.result == 'failure'"
    assert find_swallowed_failures({"jobs": {"b": {}, "a": job}}) == []
