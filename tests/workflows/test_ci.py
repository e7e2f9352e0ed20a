"""The workflow ci: green on a sound commit, red where a check fails."""

import pytest

from workflows.runner import run_workflow
from workflows.runs import Event, Place, Run
from workflows.stand_ins import Planned, Programs

GREEN = Planned()
ROWS = Planned(outputs={"place": "pulled"})
LOCK = Planned(files={"dvc.lock": "one"})
POINTER = '{"digest": "b1"}'
DEPLOYED = Planned(files={"var/deployed/current.json": POINTER, "var/deployed/bundles/b1/x": "x"})


def run_ci(place: Place, programs: Programs, **verbs: list[Planned]) -> Run:
    """Run ci with planned verbs: green ones unless others are given."""
    sound = {"setup": [GREEN], "test": [GREEN], "rows": [ROWS], "repro": [LOCK]}
    sound |= {"judge": [GREEN], "metrics": [Planned(printed="| metric |")]}
    sound |= {"register": [DEPLOYED], "smoke": [GREEN]}
    programs.plan(**{**sound, **verbs})
    return run_workflow(place, "ci.yml", Event("pull_request"))


def test_every_check_runs(place: Place, programs: Programs) -> None:
    run = run_ci(place, programs)
    assert run.result == "success", run.print_all()
    verbs = [call["arguments"][0] for call in programs.list_calls("make")]
    pipeline = "setup rows repro judge repro metrics register".split()
    assert verbs == ["setup", "test"] * 3 + pipeline + "setup image release smoke".split()
    assert programs.read_running() == {"here": "ml-service"}
    assert run.summary == "| metric |\n"


@pytest.mark.parametrize(
    ("verb", "planned"),
    [
        ("test", [Planned(2)]),
        ("rows", [Planned(2)]),
        ("repro", [Planned(2)]),
        ("judge", [Planned(2)]),
        ("repro", [LOCK, Planned(files={"dvc.lock": "two"})]),
        ("smoke", [Planned(2)]),
    ],
    ids=["test", "rows", "repro", "judge", "second run", "smoke"],
)
def test_a_failed_check_fails_the_required_job(
    verb: str, planned: list[Planned], place: Place, programs: Programs
) -> None:
    run = run_ci(place, programs, **{verb: planned})
    assert run.jobs["required"].result == "failure", run.print_all()


def test_without_rows_the_pipeline_warns_and_is_not_run(place: Place, programs: Programs) -> None:
    run = run_ci(place, programs, rows=[Planned(outputs={"place": "none"})])
    assert (run.result, run.jobs["image"].result) == ("success", "skipped"), run.print_all()
    assert "::warning::" in run.jobs["pipeline"].find("Report that there are no rows").printed
    assert "repro" not in {call["arguments"][0] for call in programs.list_calls("make")}


def test_an_image_that_is_too_large_fails(place: Place, programs: Programs) -> None:
    programs.set_docker(size=900_000_000)
    run = run_ci(place, programs)
    assert run.jobs["required"].result == "failure", run.print_all()
    printed = run.jobs["image"].find("Build the image and check its size").printed
    assert "the image has 900 MB, above IMAGE_MAX_MB=600" in printed


def test_an_image_that_does_not_start_fails(place: Place, programs: Programs) -> None:
    programs.set_docker(broken=["ml-service"])
    run = run_ci(place, programs)
    assert run.jobs["image"].find("Start it until it is healthy").outcome == "failure"
    assert run.jobs["required"].result == "failure", run.print_all()
