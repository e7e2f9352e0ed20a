"""The workflow monitor: each status takes its own branch, and a crash is not a status."""

from collections.abc import Sequence

import pytest

from workflows.runner import run_workflow
from workflows.runs import Event, Place, Run
from workflows.stand_ins import Planned, Programs

SENTENCE = "Drift in 2013-09-01 to 2013-09-07: 'dep $(delay)' \"; 2 of 3 windows agree."
CODES = {"ok": 0, "watch": 10, "retrain": 20, "broken": 30}
ALERTS = "Open or comment the alert"


def plan_status(status: str) -> Planned:
    """Behavior of `make monitor` with a status; make turns every exit code but 0 into 2."""
    outputs = {"status": status, "sentence": SENTENCE}
    files = {"reports/monitor.json": "{}", "reports/monitor.html": "<p>"}
    return Planned(2 if CODES[status] else 0, outputs=outputs, files=files)


def run_monitor(place: Place, programs: Programs, *monitors: Planned, **verbs: Planned) -> Run:
    """Run the workflow with planned verbs."""
    names = "setup stores deploy fetch_log"
    plans: dict[str, Sequence[Planned]] = {name: [Planned()] for name in names.split()}
    plans |= {"monitor": monitors, **{name: [each] for name, each in verbs.items()}}
    programs.plan(**plans)
    return run_workflow(place, "monitor.yml", Event("workflow_dispatch"))


@pytest.mark.parametrize("status", ["retrain", "broken"])
def test_an_alert_opens_one_issue_with_the_three_choices(
    status: str, place: Place, programs: Programs
) -> None:
    run = run_monitor(place, programs, plan_status(status))
    assert run.result == "success", run.print_all()
    (issue,) = programs.read_gh()["issues"]
    assert issue["title"] == f"Monitor: {status}"
    for part in (SENTENCE, "**Tune**", "**Roll back**", "**Retrain**", "/actions/runs/7"):
        assert part in issue["body"]


def test_the_same_alert_is_commented_and_closed_on_recovery(
    place: Place, programs: Programs
) -> None:
    for status in ("retrain", "broken", "ok", "ok"):
        run_monitor(place, programs, plan_status(status))
    (issue,) = programs.read_gh()["issues"]
    assert issue["state"] == "closed"
    assert ["**broken**" in comment for comment in issue["comments"]] == [True, False]
    assert "Recovered." in issue["comments"][1]
    run_monitor(place, programs, plan_status("retrain"))
    assert [issue["state"] for issue in programs.read_gh()["issues"]] == ["closed", "open"]


def test_watch_tells_nobody(place: Place, programs: Programs) -> None:
    run = run_monitor(place, programs, plan_status("watch"))
    assert (run.result, run.jobs["alert"].result) == ("success", "skipped"), run.print_all()
    assert programs.list_calls("gh") == []


def test_a_crash_fails_the_run_and_is_no_alert(place: Place, programs: Programs) -> None:
    run = run_monitor(place, programs, Planned(2))
    assert (run.result, run.jobs["alert"].result) == ("failure", "skipped"), run.print_all()
    assert "::error::" in run.jobs["check"].find("Fail if the monitor itself failed").printed
    assert programs.list_calls("gh") == []


@pytest.mark.parametrize("verb", ["stores", "deploy", "fetch_log"])
def test_a_failed_preparation_fails_the_run(verb: str, place: Place, programs: Programs) -> None:
    run = run_monitor(place, programs, plan_status("retrain"), **{verb: Planned(2)})
    assert (run.result, run.jobs["alert"].result) == ("failure", "skipped"), run.print_all()


def test_a_machine_behind_ssh_needs_key_and_known_host(place: Place, programs: Programs) -> None:
    place.environments["operations"] = {"DOCKER_HOST": "ssh://deploy@ml.example.org"}
    run = run_monitor(place, programs, plan_status("ok"))
    connect = "Connect to the machine of the service"
    assert run.result == "failure"
    assert "DEPLOY_KNOWN_HOSTS is not set" in run.jobs["check"].find(connect).printed
    place.environments["operations"] |= {"DEPLOY_SSH_KEY": "k", "DEPLOY_KNOWN_HOSTS": "h"}
    assert run_monitor(place, programs, plan_status("ok")).result == "success"
