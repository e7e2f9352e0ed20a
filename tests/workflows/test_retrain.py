"""The workflow retrain: approved, rejected, nothing new and crashed take their own branches."""

from collections.abc import Sequence

import pytest

from workflows.repositories import git, list_branches
from workflows.runner import run_workflow
from workflows.runs import Event, Place, Run
from workflows.stand_ins import Planned, Programs

REJECTIONS = "recall: 0.61, limit 0.7.\nlatency: 9 ms `$(id)`."
CHANGES = {"dvc.lock": "schema: '2.0'\n", "params.yaml": "seed: 1\n", "reports/metrics.json": "{}"}


def plan_outcome(outcome: str) -> Planned:
    """Behavior of `make retrain` with an outcome."""
    rejected = outcome == "rejected"
    outputs = {"outcome": outcome, "sentence": f"Version 2: {outcome}."}
    outputs["rejections"] = REJECTIONS if rejected else ""
    files = CHANGES if outcome in ("promoted", "registered") else {}
    return Planned(2 if rejected else 0, outputs=outputs, files=files)


def run_retrain(
    place: Place,
    programs: Programs,
    retrain: Planned,
    event: Event | None = None,
    verb: str = "",
) -> Run:
    """Run the workflow with planned verbs; the named one fails."""
    names = "setup stores pull push"
    plans: dict[str, Sequence[Planned]] = {name: [Planned()] for name in names.split()}
    plans |= {"metrics": [Planned(printed="| roc_auc | 0.72 |")], "retrain": [retrain]}
    plans |= {verb: [Planned(2)]} if verb else {}
    programs.plan(**plans)
    return run_workflow(place, "retrain.yml", event or Event("workflow_dispatch"))


@pytest.mark.parametrize("outcome", ["promoted", "registered"])
def test_an_approved_model_is_a_pull_request(
    outcome: str, place: Place, programs: Programs
) -> None:
    run = run_retrain(place, programs, plan_outcome(outcome))
    assert run.result == "success", run.print_all()
    (pull,) = programs.read_gh()["pulls"]
    assert pull["head"] == "retrain/newest"
    assert f"Version 2: {outcome}." in pull["body"]
    assert "| roc_auc | 0.72 |" in pull["body"]
    changed = git(place.origin, "diff", "--name-only", "main", "retrain/newest").split()
    assert changed == sorted(CHANGES)
    assert git(place.origin, "show", "retrain/newest:dvc.lock") == CHANGES["dvc.lock"]
    assert "push" in [call["arguments"][0] for call in programs.list_calls("make")]
    assert programs.read_gh()["issues"] == []


def test_a_second_retraining_updates_the_open_pull_request(
    place: Place, programs: Programs
) -> None:
    for seed in (1, 2):
        outputs = {"outcome": "promoted", "sentence": f"Version {seed}.", "rejections": ""}
        run = run_retrain(
            place, programs, Planned(outputs=outputs, files={"params.yaml": f"seed: {seed}\n"})
        )
        assert run.result == "success", run.print_all()
    (pull,) = programs.read_gh()["pulls"]
    assert "Version 2." in pull["body"]
    assert list_branches(place.origin) == ["main", "retrain/newest"]
    assert git(place.origin, "show", "retrain/newest:params.yaml") == "seed: 2\n"


def test_a_judgement_alone_opens_no_pull_request(place: Place, programs: Programs) -> None:
    # As the first retraining in an empty registry judges the model that is committed.
    outputs = {"outcome": "promoted", "sentence": "Version 1.", "rejections": ""}
    files = {"reports/judgement.json": "{}\n"}
    run = run_retrain(place, programs, Planned(outputs=outputs, files=files))
    assert run.result == "success", run.print_all()
    assert programs.read_gh()["pulls"] == []


def test_the_training_job_can_write_nothing(place: Place, programs: Programs) -> None:
    run = run_retrain(place, programs, plan_outcome("promoted"))
    assert run.jobs["train"].permissions == {"contents": "read"}
    (step,) = [
        step for step in run.jobs["publish"].steps if step.name == "Open or update the pull request"
    ]
    assert step.outcome == "success"


def test_a_rejected_model_is_one_issue_with_the_gates_sentences(
    place: Place, programs: Programs
) -> None:
    for _ in range(2):
        run = run_retrain(place, programs, plan_outcome("rejected"))
        assert run.result == "success", run.print_all()
    (issue,) = programs.read_gh()["issues"]
    assert "- recall: 0.61, limit 0.7.\n- latency: 9 ms `$(id)`.\n" in issue["body"]
    assert len(issue["comments"]) == 1
    assert list_branches(place.origin) == ["main"]
    assert "push" not in [call["arguments"][0] for call in programs.list_calls("make")]
    run_retrain(place, programs, plan_outcome("promoted"))
    assert programs.read_gh()["issues"][0]["state"] == "closed"


def test_nothing_new_does_nothing(place: Place, programs: Programs) -> None:
    run = run_retrain(place, programs, plan_outcome("nothing_new"))
    assert (run.result, run.jobs["publish"].result) == ("success", "skipped"), run.print_all()
    assert programs.list_calls("gh") == []


def test_a_crash_fails_the_run_and_is_no_rejection(place: Place, programs: Programs) -> None:
    run = run_retrain(place, programs, Planned(2))
    assert (run.result, run.jobs["publish"].result) == ("failure", "skipped"), run.print_all()
    assert programs.list_calls("gh") == []


def test_an_approved_model_that_changes_no_file_opens_no_pull_request(
    place: Place, programs: Programs
) -> None:
    outputs = {"outcome": "promoted", "sentence": "Version 1.", "rejections": ""}
    run = run_retrain(place, programs, Planned(outputs=outputs))
    assert run.result == "success", run.print_all()
    assert programs.read_gh()["pulls"] == []
    assert list_branches(place.origin) == ["main"]


@pytest.mark.parametrize("verb", ["stores", "pull", "push"])
def test_a_failed_verb_publishes_nothing(verb: str, place: Place, programs: Programs) -> None:
    run = run_retrain(place, programs, plan_outcome("promoted"), verb=verb)
    assert (run.result, run.jobs["publish"].result) == ("failure", "skipped"), run.print_all()
    assert list_branches(place.origin) == ["main"]


@pytest.mark.parametrize(
    "event",
    [
        Event("workflow_dispatch", inputs={"as_of": "2013-09"}),
        Event("repository_dispatch", payload={"client_payload": {"as_of": "2013-09"}}),
    ],
    ids=["dispatch", "repository_dispatch"],
)
def test_the_month_comes_from_the_event(event: Event, place: Place, programs: Programs) -> None:
    run_retrain(place, programs, plan_outcome("nothing_new"), event)
    (call,) = [c for c in programs.list_calls("make") if c["arguments"][0] == "retrain"]
    assert call["as_of"] == "2013-09"
