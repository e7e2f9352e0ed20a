"""Studies on a small world: `x` decides, `y` does not, and what `x` means may turn with time."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlchassis.config.params import Params, load_params
from mlchassis.contract.model import parse_contract
from mlchassis.data.tables import conform, write_table
from mlchassis.errors import ProjectError
from mlchassis.features.code import FeatureCode
from mlchassis.paths import Paths
from mlchassis.project import Project, Workspace
from mlchassis.registry.tracking import Tracker, connect
from mlchassis.reports import read_report
from mlchassis.studies.command import describe_age, run_studies
from mlchassis.studies.fitting import Task
from mlchassis.studies.importance import NOISE, measure_worth
from mlchassis.studies.importance import __package__ as study
from mlchassis.studies.search import apply_choice, search
from mlchassis.studies.staleness import measure_age
from mlchassis.training.estimators import Examples

FEATURES = FeatureCode(dict, digest="0" * 64)
"""Each column as it is."""

PACKAGE = str(study).partition(".")[0]
CONTRACT = parse_contract("""
apiVersion: v3.2.0
version: 1.0.0
name: shop
schema:
  - properties:
      - {name: at, logicalType: timestamp, required: true, tags: [event_time]}
      - {name: x, logicalType: number, tags: [feature]}
      - {name: y, logicalType: number, tags: [feature]}
      - {name: sold, logicalType: boolean, tags: [target]}
""")
ROWS = 1500


def pass_on(columns: Mapping[str, Any]) -> Mapping[str, Any]:
    """Each column as it is."""
    return columns


@pytest.fixture
def task(params: Params) -> Task:
    """The small world with small settings, and its columns as they are for features."""
    candidate = params.train.candidate.model_copy(
        update={
            "kind": "trees",
            "learning_rate": 0.2,
            "leaves": 7,
            "min_rows_per_leaf": 40,
            "feature_share": 1.0,
            "patience": 5,
        }
    )
    split = params.split.model_copy(update={"valid_days": 10})
    judged = params.judge.model_copy(update={"metric": "roc_auc"})
    studied = params.study.model_copy(
        update={"repeats": 1, "months": 2, "trials": 3, "max_loss": 0.03, "tolerance": 0.05}
    )
    changes = {
        "train": params.train.model_copy(update={"candidate": candidate, "min_category_count": 5}),
        "split": split,
        "judge": judged,
        "study": studied,
        "evaluate": params.evaluate.model_copy(update={"resamples": 40}),
    }
    return Task(CONTRACT, params.model_copy(update=changes), FEATURES)


def make_rows(month: int, turn: float = 0.0, seed: int = 1) -> pd.DataFrame:
    """Rows of a month of 2013; `turn` is by how much `x` means something else."""
    draw = np.random.default_rng([seed, month])
    x, y = draw.normal(size=(2, ROWS))
    chance = 1 / (1 + np.exp(-2 * x * np.cos(turn)))
    moments = pd.Timestamp(f"2013-{month:02d}-01", tz="UTC") + pd.to_timedelta(
        np.sort(draw.integers(0, 28 * 24, ROWS)), unit="h"
    )
    sold = draw.random(ROWS) < chance
    return conform(pd.DataFrame({"at": moments, "x": x, "y": y, "sold": sold}), CONTRACT)


@pytest.fixture
def examples(task: Task) -> tuple[Examples, Examples]:
    return task.examples(make_rows(1)), task.examples(make_rows(2))


@pytest.fixture
def tracker(project: Workspace) -> Tracker:
    return connect(project, CONTRACT.name)


def test_what_decides_is_worth_much_and_noise_is_worth_nothing(task: Task) -> None:
    found = measure_worth(task, make_rows(1), make_rows(2), lambda _: None)
    assert found[0]["column"] == "x"
    assert [part["column"] for part in found if part["shown"]] == ["x"]
    assert {part["column"] for part in found} == {"x", "y", NOISE}
    assert found[0]["worth"]["low"] > 0.2
    costs = {part["column"]: part["microseconds"] for part in found}
    assert costs[NOISE] is None
    assert costs["x"] > 0
    assert found == measure_worth_again(task, found)


def measure_worth_again(task: Task, first: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same study once more, with the times of the first."""
    times = {part["column"]: part["microseconds"] for part in first}
    again = measure_worth(task, make_rows(1), make_rows(2), lambda _: None)
    return [{**part, "microseconds": times[part["column"]]} for part in again]


def test_a_model_ages_in_a_world_that_turns_and_not_in_one_that_stays(task: Task) -> None:
    turning = {f"2013-{m:02d}": make_rows(m, turn=np.pi / 2 * (m < 4)) for m in range(1, 6)}
    steady = {f"2013-{m:02d}": make_rows(m) for m in range(1, 6)}
    found = measure_age(task, turning, lambda _: None)
    assert found["max_age_months"] == 0
    assert min(part["gap"]["low"] for part in found["ages"]) > 0.03
    assert "loses more than 0.03 of roc_auc within a month" in describe_age(found)[-1]

    found = measure_age(task, steady, lambda _: None)
    assert found["max_age_months"] == found["oldest_tried"]
    assert "may become at least" in describe_age(found)[-1]


def test_too_few_months_say_nothing_about_age(task: Task) -> None:
    months = {f"2013-{m:02d}": make_rows(m) for m in range(1, 4)}
    with pytest.raises(ProjectError, match=r"has 3 months, and .* takes at least 4: leave"):
        measure_age(task, months, lambda _: None)


def test_every_trial_is_a_run_and_a_killed_search_ends_as_an_undisturbed_one(
    task: Task,
    examples: tuple[Examples, Examples],
    tracker: Tracker,
    project: Workspace,
    open_registry: Callable[[Paths], Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trials = 13  # the first ten are drawn, the others follow from what was found
    study = task.params.study.model_copy(update={"trials": trials})
    wanted = replace(task, params=task.params.model_copy(update={"study": study}))

    def go_on(database: str) -> dict[str, Any]:
        return search(wanted, *examples, tracker, tmp_path / database, lambda _: None)

    log_trial = Tracker.log_trial

    def die(after: int) -> Callable[..., None]:
        left = iter(range(after))

        def log_or_die(*arguments: Any) -> None:
            if next(left, None) is None:
                raise KeyboardInterrupt
            log_trial(*arguments)

        return log_or_die

    for after in (0, 4, 7):  # in the middle of the first trial, of the fifth and of the twelfth
        monkeypatch.setattr(Tracker, "log_trial", die(after))
        with pytest.raises(KeyboardInterrupt):
            go_on("killed.db")
    monkeypatch.setattr(Tracker, "log_trial", log_trial)
    found = go_on("killed.db")
    client = open_registry(project)
    experiment = client.get_experiment_by_name(f"{CONTRACT.name}-study")
    runs = client.search_runs([experiment.experiment_id])
    assert found["trials"] == trials
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert len({run.data.tags["study"] for run in runs}) == 1
    assert sorted(int(run.data.tags["trial"]) for run in runs) == list(range(trials))
    assert found["best"] == max(run.data.metrics["valid/roc_auc"] for run in runs)
    assert found["best"] >= found["current"]
    assert found["holds"]
    low, high = task.params.study.search["learning_rate"]
    assert 0.2 * low <= found["settings"]["learning_rate"] <= min(1.0, 0.2 * high)
    assert go_on("killed.db") == found
    assert go_on("undisturbed.db") == found


def test_a_choice_is_written_where_it_holds_and_refused_where_it_was_luck(
    project: Workspace,
) -> None:
    found = {
        "metric": "roc_auc",
        "trials": 30,
        "best": 0.8,
        "trained_again": 0.79,
        "tolerance": 0.02,
        "holds": True,
        "settings": {"learning_rate": 0.123, "leaves": 17},
    }
    apply_choice(project.params, found)
    candidate = load_params(project.params).train.candidate
    assert (candidate.learning_rate, candidate.leaves) == (0.123, 17)
    before = project.params.read_text()
    with pytest.raises(ProjectError, match=r"it was luck, so it is not taken"):
        apply_choice(project.params, {**found, "trained_again": 0.7, "holds": False})
    assert project.params.read_text() == before


def test_a_linear_candidate_has_nothing_to_search(
    task: Task, examples: tuple[Examples, Examples], tracker: Tracker, tmp_path: Path
) -> None:
    candidate = task.params.train.candidate.model_copy(update={"kind": "linear"})
    train = task.params.train.model_copy(update={"candidate": candidate})
    linear = replace(task, params=task.params.model_copy(update={"train": train}))
    with pytest.raises(ProjectError, match="has nothing to search"):
        search(linear, *examples, tracker, tmp_path / "study.db", lambda _: None)


def test_a_study_that_cannot_be_made_is_left_out_unless_it_is_asked_for_by_name(
    task: Task, project: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    candidate = task.params.train.candidate.model_copy(update={"kind": "linear"})
    train = task.params.train.model_copy(update={"candidate": candidate})
    params = task.params.model_copy(update={"train": train})
    monkeypatch.setattr("mlchassis.studies.command.load_contract", lambda _: CONTRACT)
    for month, name in ((1, "train"), (2, "valid")):
        write_table(project.splits / f"{name}.parquet", make_rows(month))
    write_table(project.accepted / "2013-01.parquet", make_rows(1))
    said: list[str] = []
    project = Workspace(project.root, Project(features=pass_on))
    run_studies(project, params, (), said.append, apply=True)
    assert "age: left out. The table has 1 months" in "\n".join(said)
    assert "search: left out. train.candidate.kind is 'linear'" in "\n".join(said)
    assert read_report(project.reports / "study.json").keys() == {"data_hash", "worth", "presets"}
    with pytest.raises(ProjectError, match="The table has 1 months"):
        run_studies(project, params, ("age",), said.append, apply=False)
