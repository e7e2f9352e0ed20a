"""The runner evaluates conditions, outputs and failures as GitHub does, and refuses the rest."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from workflows.node_tools import ExpressionError
from workflows.repositories import publish
from workflows.runner import run_workflow
from workflows.runs import Event, Place, Run, WorkflowError

Document = dict[str, Any]


def run_jobs(place: Place, folder: Path, jobs: Document, **more: Any) -> Run:
    """Run a workflow of these jobs in a repository of its own."""
    workflow = {"name": "tried", "on": {"push": None}, "permissions": {}, "jobs": jobs, **more}
    project = folder / "tried"
    target = project / ".github" / "workflows" / "tried.yml"
    target.parent.mkdir(parents=True)
    target.write_text(yaml.safe_dump(workflow), encoding="utf-8")
    origin = publish(project, folder / "tried.git")
    return run_workflow(replace(place, origin=origin), "tried.yml", Event("push"))


def job(*steps: Document, **more: Any) -> Document:
    """A job of some steps."""
    return {"runs-on": "ubuntu-24.04", "steps": list(steps), "permissions": {}, **more}


def test_outputs_pass_from_step_to_step_and_from_job_to_job(place: Place, tmp_path: Path) -> None:
    write = {"id": "a", "run": "echo 'x<<E\none\ntwo\nE' >>$GITHUB_OUTPUT; echo n=1 >>$GITHUB_ENV"}
    read = {"name": "read", "env": {"X": "${{ steps.a.outputs.x }}"}, "run": 'echo "$X|$n"'}
    first = job(write, read, outputs={"x": "${{ steps.a.outputs.x }}"})
    after = job({"name": "last", "env": {"X": "${{ needs.a.outputs.x }}"}, "run": 'echo "<$X>"'})
    run = run_jobs(place, tmp_path, {"b": {**after, "needs": "a"}, "a": first})
    assert run.jobs["a"].find("read").printed == "one\ntwo|1\n"
    assert run.jobs["b"].find("last").printed == "<one\ntwo>\n"


def test_after_a_failure_only_steps_that_ask_for_it_run(place: Place, tmp_path: Path) -> None:
    steps = (
        {"name": "fails", "id": "a", "run": "exit 3"},
        {"name": "silent", "if": "steps.a.outcome == 'failure'", "run": "echo"},
        {"name": "asks", "if": "failure() && steps.a.outcome == 'failure'", "run": "echo"},
        {"name": "always", "if": "${{ always() }}", "run": "echo"},
    )
    run = run_jobs(place, tmp_path, {"a": job(*steps)})
    assert run.list_steps() == ["fails", "asks", "always"]
    assert run.result == "failure"


def test_a_forgiven_failure_lets_the_job_pass(place: Place, tmp_path: Path) -> None:
    steps = (
        {"name": "fails", "id": "a", "run": "exit 3", "continue-on-error": True},
        {"name": "silent", "if": "steps.a.outcome == 'failure'", "run": "echo"},
    )
    run = run_jobs(place, tmp_path, {"a": job(*steps)})
    assert run.list_steps() == ["fails", "silent"]
    assert run.result == "success"


def test_jobs_after_a_failed_or_skipped_one_are_skipped(place: Place, tmp_path: Path) -> None:
    echo = {"run": "echo"}
    jobs: Document = {
        "fails": job({"run": "exit 1"}),
        "skipped": job(echo, needs="fails"),
        "also": job(echo, needs=["skipped"]),
        "repairs": job(echo, needs=["skipped"], **{"if": "failure()"}),
        "required": job(echo, needs=["also"], **{"if": "always()"}),
    }
    run = run_jobs(place, tmp_path, jobs)
    results = {name: each.result for name, each in run.jobs.items()}
    expected = {"fails": "failure", "skipped": "skipped", "also": "skipped"}
    assert results == expected | {"repairs": "success", "required": "success"}


def test_a_failure_in_a_pipe_fails_the_step(place: Place, tmp_path: Path) -> None:
    steps = ({"run": "false | cat"},)
    run = run_jobs(place, tmp_path, {"a": job(*steps)})
    assert run.result == "success"  # without `shell: bash`, GitHub sets no pipefail
    defaults = {"run": {"shell": "bash"}}
    run = run_jobs(place, tmp_path / "again", {"a": job(*steps)}, defaults=defaults)
    assert run.result == "failure"


def test_a_matrix_runs_every_combination(place: Place, tmp_path: Path) -> None:
    step = {"name": "say", "env": {"P": "${{ matrix.p }}-${{ matrix.q }}"}, "run": 'echo "$P"'}
    strategy = {"matrix": {"p": ["a", "b"], "q": [1]}}
    run = run_jobs(place, tmp_path, {"a": job(step, strategy=strategy)})
    assert [each.printed for each in run.jobs["a"].steps] == ["a-1\n", "b-1\n"]


def test_the_shell_has_nothing_of_this_machine(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_DESK", "x")
    run = run_jobs(place, tmp_path, {"a": job({"name": "env", "run": "env"})})
    printed = run.jobs["a"].find("env").printed
    assert "SECRET_OF_THE_DESK" not in printed
    assert "GITHUB_TOKEN" not in printed


@pytest.mark.parametrize(
    "step",
    [
        {"uses": "somebody/unknown@v1"},
        {"run": "echo ${{ github.sha }}"},
        {"uses": "actions/checkout@v1"},  # without contents: read
    ],
)
def test_an_unknown_kind_of_step_is_refused(step: Document, place: Place, tmp_path: Path) -> None:
    with pytest.raises(WorkflowError):
        run_jobs(place, tmp_path, {"a": job(step)})


@pytest.mark.parametrize("condition", ["unknown() == 1", "nothing.here", "a =="])
def test_an_expression_that_github_refuses_is_refused(
    condition: str, place: Place, tmp_path: Path
) -> None:
    with pytest.raises(ExpressionError):
        run_jobs(place, tmp_path, {"a": job({"if": condition, "run": "echo"})})
