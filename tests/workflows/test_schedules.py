"""Schedules stay off until the stores are shared, and grant what the workflows need."""

import pytest

from workflows.runner import run_workflow
from workflows.runs import Event, Place, Run
from workflows.stand_ins import Planned, Programs
from workflows.test_monitor import plan_status
from workflows.test_retrain import plan_outcome

SENTENCE = "No other machine reads this run."


def run_schedule(name: str, shared: str, place: Place, programs: Programs) -> Run:
    """Run a schedule with planned verbs."""
    verbs = {verb: [Planned()] for verb in "setup deploy fetch_log pull push".split()}
    verbs["stores"] = [Planned(outputs={"shared": shared, "sentence": SENTENCE})]
    verbs |= {"monitor": [plan_status("retrain")], "retrain": [plan_outcome("promoted")]}
    verbs["metrics"] = [Planned(printed="| metric |")]
    verbs |= {f"audit_{each}": [Planned()] for each in "workflows packages secrets".split()}
    programs.plan(**verbs)
    return run_workflow(place, name, Event("schedule"))


@pytest.mark.parametrize(("name", "job"), [("daily.yml", "monitor"), ("weekly.yml", "retrain")])
def test_a_schedule_is_off_with_a_sentence_until_stores_are_shared(
    name: str, job: str, place: Place, programs: Programs
) -> None:
    run = run_schedule(name, "false", place, programs)
    assert (run.result, run.jobs[job].result) == ("success", "skipped"), run.print_all()
    assert run.jobs["stores"].called is not None
    report = run.jobs["stores"].called.jobs["stores"].find("Report that the schedule is off")
    assert report.printed == f"::notice::The schedule is off. {SENTENCE}\n"
    assert programs.list_calls("gh") == []


def test_the_daily_schedule_monitors(place: Place, programs: Programs) -> None:
    run = run_schedule("daily.yml", "true", place, programs)
    assert run.result == "success", run.print_all()
    assert len(programs.read_gh()["issues"]) == 1


def test_the_weekly_schedule_retrains(place: Place, programs: Programs) -> None:
    run = run_schedule("weekly.yml", "true", place, programs)
    assert run.result == "success", run.print_all()
    assert len(programs.read_gh()["pulls"]) == 1
    assert [run.jobs[name].result for name in ("security", "upgrade")] == ["success"] * 2
