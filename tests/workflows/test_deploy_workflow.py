"""The workflows deploy and rollback: one digest for all, and a way back from each failure."""

import pytest

from bake import PAYLOAD
from workflows.runner import load_workflow, run_workflow
from workflows.runs import Event, Place, Run, WorkflowError
from workflows.stand_ins import REAL, Planned, Programs

NAME = "registry.example.org/team/ml-service"
OLD = f"{NAME}@sha256:{'a' * 64}"
STAGING = "tcp://staging.example.org"
PRODUCTION = "tcp://production.example.org"
GREEN = Planned()
RED = Planned(2)
POINTER = '{"digest": "b1"}'
BUNDLE = Planned(files={"var/deployed/current.json": POINTER, "var/deployed/bundles/b1/x": "x"})
DISPATCH = Event("workflow_dispatch")


@pytest.fixture
def place(place: Place, programs: Programs) -> Place:
    """Runner of a repository whose settings for deployment are set, with an old image running."""
    place.variables |= {"IMAGE": NAME, "REGISTRY_USER": "bot"}
    login = {"REGISTRY_PASSWORD": "password"}
    place.environments |= {
        "operations": login,
        "staging": {**login, "DOCKER_HOST": STAGING},
        "production": {**login, "DOCKER_HOST": PRODUCTION, "P99_MS": "100"},
    }
    programs.set_docker(running={STAGING: OLD, PRODUCTION: OLD})
    return place


def run_deploy(
    place: Place,
    programs: Programs,
    *smokes: Planned,
    releases: tuple[Planned, ...] = (REAL,),
    name: str = "deploy.yml",
    event: Event = DISPATCH,
) -> Run:
    """Run a workflow with planned verbs; make and docker publish, release and roll back."""
    verbs = {verb: [GREEN] for verb in "setup stores rollback".split()}
    programs.plan(**verbs, deploy=[BUNDLE], smoke=smokes, release=releases)
    return run_workflow(place, name, event)


def list_verbs(programs: Programs) -> list[str]:
    """Return the verbs that make was called with, without those of preparation."""
    verbs = [call["arguments"][0] for call in programs.list_calls("make")]
    return [verb for verb in verbs if verb not in ("setup", "stores")]


def list_skipped(run: Run) -> set[str]:
    """Return the jobs that did not run."""
    return {name for name, job in run.jobs.items() if job.result == "skipped"}


def test_the_same_digest_is_built_once_and_released_everywhere(
    place: Place, programs: Programs
) -> None:
    run = run_deploy(place, programs, GREEN)
    assert run.result == "success", run.print_all()
    released = "released release smoke".split()
    assert list_verbs(programs) == ["deploy", "publish", *released, *released]
    image = programs.read_running()[PRODUCTION]
    assert image.startswith(f"{NAME}@sha256:")
    assert image != OLD
    assert programs.read_running()[STAGING] == image
    arguments = [c["arg_line"] for c in programs.list_calls("make") if "smoke" in c["arguments"]]
    assert arguments == ["--seconds 60 --p99-ms 250", "--seconds 60 --p99-ms 100"]
    (build,) = [c for c in programs.list_calls("docker") if c["arguments"][0] == "buildx"]
    assert {"--sbom=true", "--provenance=mode=max", "--push"} <= set(build["arguments"])
    assert list_skipped(run) == {"attest"}
    assert programs.list_calls("gh") == []


def test_an_attestation_is_made_where_it_is_allowed(place: Place, programs: Programs) -> None:
    place.variables["ATTEST"] = "true"
    assert run_deploy(place, programs, GREEN).result == "success"
    (given,) = [given for action, given in place.uses if "attest" in action]
    assert f"{NAME}@{given['subject-digest']}" == programs.read_running()[PRODUCTION]


def test_a_failed_test_in_staging_rolls_back_and_never_reaches_production(
    place: Place, programs: Programs
) -> None:
    run = run_deploy(place, programs, RED, GREEN)
    assert (run.result, list_skipped(run)) == ("failure", {"attest", "production"})
    assert programs.read_running() == {STAGING: OLD, PRODUCTION: OLD}
    assert list_verbs(programs)[2:] == "released release smoke release smoke".split()
    (issue,) = programs.read_gh()["issues"]
    assert issue["title"] == "Release to staging failed"
    assert f"Rolled back to `{OLD}`, which passed the same load" in issue["body"]


def test_a_failed_test_in_production_rolls_back_checks_and_reports(
    place: Place, programs: Programs
) -> None:
    run = run_deploy(place, programs, GREEN, RED, GREEN)
    assert run.result == "failure", run.print_all()
    assert programs.read_running()[PRODUCTION] == OLD
    assert programs.read_running()[STAGING] != OLD
    arguments = [c["arg_line"] for c in programs.list_calls("make") if "smoke" in c["arguments"]]
    assert arguments[-1] == "--any-bundle --seconds 60 --p99-ms 100"
    (issue,) = programs.read_gh()["issues"]
    assert issue["title"] == "Release to production failed"


def test_an_image_that_does_not_start_is_rolled_back(place: Place, programs: Programs) -> None:
    run = run_deploy(place, programs, GREEN, releases=(REAL, RED, REAL))
    assert run.result == "failure", run.print_all()
    assert programs.read_running()[PRODUCTION] == OLD
    assert "passed the same load" in programs.read_gh()["issues"][0]["body"]


@pytest.mark.parametrize(
    ("smokes", "releases", "said"),
    [
        ((GREEN, RED, RED), (REAL,), "which failed its test as well"),
        ((GREEN, RED), (REAL, REAL, RED), "There was no rollback to"),
    ],
    ids=["test", "release"],
)
def test_a_rollback_that_fails_is_reported_as_an_outage(
    smokes: tuple[Planned, ...],
    releases: tuple[Planned, ...],
    said: str,
    place: Place,
    programs: Programs,
) -> None:
    run = run_deploy(place, programs, *smokes, releases=releases)
    assert run.result == "failure", run.print_all()
    (issue,) = programs.read_gh()["issues"]
    assert "**The service may be down" in issue["body"]
    assert said in issue["body"]


def test_a_first_release_that_fails_has_nothing_to_go_back_to(
    place: Place, programs: Programs
) -> None:
    programs.set_docker()
    run = run_deploy(place, programs, RED)
    assert run.result == "failure", run.print_all()
    assert list_verbs(programs)[2:] == "released release smoke".split()
    assert "No image ran before" in programs.read_gh()["issues"][0]["body"]


def test_a_job_that_fails_before_the_release_is_no_outage(place: Place, programs: Programs) -> None:
    verbs = {"stores": [GREEN], "setup": [GREEN, RED]}
    programs.plan(**verbs, deploy=[BUNDLE], smoke=[GREEN], release=[REAL])
    run = run_workflow(place, "deploy.yml", DISPATCH)
    assert run.result == "failure", run.print_all()
    assert programs.read_running() == {STAGING: OLD, PRODUCTION: OLD}
    (issue,) = programs.read_gh()["issues"]
    assert "The service is unchanged" in issue["body"]
    assert "may be down" not in issue["body"]


@pytest.mark.parametrize("result", ["failure", "cancelled"])
def test_a_release_that_ends_otherwise_than_in_success_is_reported(
    result: str, place: Place
) -> None:
    # A job beyond its time limit counts as cancelled.
    workflow = load_workflow(PAYLOAD / ".github" / "workflows" / "release.yml")
    status = dict.fromkeys(("success", "cancelled"), False)
    status |= {"always": True, "failure": result == "failure"}
    contexts = {"needs": {"release": {"result": result, "outputs": {}}}}
    assert place.expressions.evaluate(workflow["jobs"]["report"]["if"], contexts, status)


def test_a_step_that_hangs_fails_before_its_job_so_that_it_is_rolled_back() -> None:
    job = load_workflow(PAYLOAD / ".github" / "workflows" / "release.yml")["jobs"]["release"]
    reach = [each for each in job["steps"] if each.get("run") in ("make release", "make smoke")]
    assert len(reach) == 4
    assert sum(each["timeout-minutes"] for each in reach) <= job["timeout-minutes"] - 10


def test_without_a_name_for_the_image_nothing_is_built(place: Place, programs: Programs) -> None:
    del place.variables["IMAGE"]
    run = run_deploy(place, programs, GREEN)
    assert list_skipped(run) == {"attest", "staging", "production"}
    printed = run.jobs["build"].find("Log in to the image registry").printed
    assert "the variable IMAGE is not set" in printed


def test_each_release_and_its_rollback_get_the_keys_of_their_environment(
    place: Place, programs: Programs
) -> None:
    place.environments["staging"]["SERVICE_API_KEYS"] = "digest of staging"
    place.environments["production"]["SERVICE_API_KEYS"] = "digest of production"
    run = run_deploy(place, programs, GREEN, RED, GREEN)
    assert run.result == "failure", run.print_all()
    started = [call for call in programs.list_calls("docker") if "up" in call["arguments"]]
    keys = [(call["host"], call["keys"]) for call in started]
    production = (PRODUCTION, "digest of production")
    assert keys == [(STAGING, "digest of staging"), production, production]


def test_rollback_moves_the_champion_and_deploys_it(place: Place, programs: Programs) -> None:
    event = Event("workflow_dispatch", inputs={"reason": "twice as many false alarms"})
    run = run_deploy(place, programs, GREEN, name="rollback.yml", event=event)
    assert run.result == "success", run.print_all()
    assert list_verbs(programs)[:3] == ["rollback", "deploy", "publish"]
    assert programs.list_calls("make")[2]["reason"] == "twice as many false alarms"
    assert programs.read_running()[PRODUCTION] != OLD


def test_a_failed_rollback_of_the_champion_deploys_nothing(
    place: Place, programs: Programs
) -> None:
    event = Event("workflow_dispatch", inputs={"reason": "$(id)"})
    verbs = {verb: [GREEN] for verb in "setup stores".split()}
    programs.plan(**verbs, rollback=[RED])
    run = run_workflow(place, "rollback.yml", event)
    assert (run.result, run.jobs["deploy"].result) == ("failure", "skipped"), run.print_all()


def test_a_rollback_without_a_reason_is_refused(place: Place) -> None:
    with pytest.raises(WorkflowError, match="needs the input"):
        run_workflow(place, "rollback.yml", DISPATCH)
