"""Studies on a small world: `x` decides, `y` does not, and what `x` means may turn with time."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import pytest
from pydantic import Field

from mlchassis.config.custom_params import extend_params
from mlchassis.config.estimator_params import SearchRange, TreesParams
from mlchassis.config.params import Params, load_params
from mlchassis.config.section import ParamsSection
from mlchassis.contract.model import parse_contract
from mlchassis.data.tables import coerce, write_table
from mlchassis.errors import ProjectError
from mlchassis.extensions.estimators import Dataset
from mlchassis.features.code import FeatureCode
from mlchassis.features.encoding import FeatureMatrix
from mlchassis.paths import Paths
from mlchassis.project import Project, Workspace
from mlchassis.registry.tracking import Tracker, connect
from mlchassis.reports import read_report
from mlchassis.studies.command import describe_search, describe_staleness, run_studies
from mlchassis.studies.fitting import Problem
from mlchassis.studies.importance import NOISE, measure_importance
from mlchassis.studies.importance import __package__ as study
from mlchassis.studies.presets import compare_presets
from mlchassis.studies.results import ColumnImportance, SearchResult
from mlchassis.studies.search import apply_choice, name_study, search
from mlchassis.studies.search_ranges import find_multiples, find_ranges
from mlchassis.studies.staleness import measure_staleness
from mlchassis.training.trained_model import TrainingError

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
def problem(params: Params) -> Problem:
    """The small world with small settings, and its columns as they are for features."""
    trees = params.train.trees.model_copy(
        update={
            "learning_rate": 0.2,
            "leaves": 7,
            "min_rows_per_leaf": 40,
            "feature_proportion": 1.0,
            "patience": 5,
        }
    )
    split = params.split.model_copy(update={"validation_days": 10})
    judged = params.judge.model_copy(update={"metric": "roc_auc"})
    studied = params.study.model_copy(
        update={"repeats": 1, "months": 2, "trials": 3, "max_loss": 0.03, "tolerance": 0.05}
    )
    changes = {
        "train": params.train.model_copy(update={"trees": trees, "min_category_count": 5}),
        "split": split,
        "judge": judged,
        "study": studied,
        "evaluate": params.evaluate.model_copy(update={"resamples": 40}),
    }
    return Problem(CONTRACT, params.model_copy(update=changes), FEATURES)


def make_rows(month: int, turn: float = 0.0, seed: int = 1) -> pd.DataFrame:
    """Rows of a month of 2013; `turn` is by how much `x` means something else."""
    draw = np.random.default_rng([seed, month])
    x, y = draw.normal(size=(2, ROWS))
    chance = 1 / (1 + np.exp(-2 * x * np.cos(turn)))
    moments = pd.Timestamp(f"2013-{month:02d}-01", tz="UTC") + pd.to_timedelta(
        np.sort(draw.integers(0, 28 * 24, ROWS)), unit="h"
    )
    sold = draw.random(ROWS) < chance
    return coerce(pd.DataFrame({"at": moments, "x": x, "y": y, "sold": sold}), CONTRACT)


@pytest.fixture
def examples(problem: Problem) -> tuple[Dataset, Dataset]:
    return problem.make_dataset(make_rows(1)), problem.make_dataset(make_rows(2))


@pytest.fixture
def tracker(project: Workspace) -> Tracker:
    return connect(project, CONTRACT.name)


def test_the_column_that_decides_is_important_and_noise_is_not(problem: Problem) -> None:
    found = measure_importance(problem, make_rows(1), make_rows(2), lambda _: None)
    assert found[0].column == "x"
    assert [part.column for part in found if part.shown] == ["x"]
    assert {part.column for part in found} == {"x", "y", NOISE}
    assert found[0].importance.low > 0.2
    costs = {part.column: part.microseconds for part in found}
    assert costs[NOISE] is None
    assert (costs["x"] or 0) > 0
    assert found == measure_importance_again(problem, found)


def measure_importance_again(
    problem: Problem, first: list[ColumnImportance]
) -> list[ColumnImportance]:
    """The same study once more, with the times of the first."""
    times = {part.column: part.microseconds for part in first}
    again = measure_importance(problem, make_rows(1), make_rows(2), lambda _: None)
    return [part.model_copy(update={"microseconds": times[part.column]}) for part in again]


def test_a_model_ages_in_a_world_that_turns_and_not_in_one_that_stays(problem: Problem) -> None:
    turning = {f"2013-{m:02d}": make_rows(m, turn=np.pi / 2 * (m < 4)) for m in range(1, 6)}
    steady = {f"2013-{m:02d}": make_rows(m) for m in range(1, 6)}
    found = measure_staleness(problem, turning, lambda _: None)
    assert found.max_age_months == 0
    assert min(part.gap.low for part in found.ages) > 0.03
    assert "loses more than 0.03 of roc_auc within a month" in describe_staleness(found)[-1]

    found = measure_staleness(problem, steady, lambda _: None)
    assert found.max_age_months == found.oldest_tried
    assert "may become at least" in describe_staleness(found)[-1]


def test_an_age_is_counted_in_months_of_the_calendar(problem: Problem) -> None:
    quarters = {f"2013-{m:02d}": make_rows(m) for m in (1, 4, 7, 10, 12)}
    found = measure_staleness(problem, quarters, lambda _: None)
    assert [(part.months, part.tried_in) for part in found.ages] == [(3, 2), (6, 1)]
    assert (found.max_age_months, found.oldest_tried) == (6, 6)

    turning = {f"2013-{m:02d}": make_rows(m, turn=np.pi / 2 * (m < 7)) for m in (1, 4, 7, 10, 12)}
    found = measure_staleness(problem, turning, lambda _: None)
    assert found.max_age_months == 0
    sentence = describe_staleness(found)[-1]
    assert sentence == (
        "staleness: a model loses more than 0.03 of roc_auc within 3 months; retrain as each month "
        "arrives"
    )


def test_too_few_months_say_nothing_about_age(problem: Problem) -> None:
    months = {f"2013-{m:02d}": make_rows(m) for m in range(1, 4)}
    with pytest.raises(ProjectError, match=r"has 3 months, and .* takes at least 4: leave"):
        measure_staleness(problem, months, lambda _: None)


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_a_month_whose_labels_are_still_to_come_is_left_out(problem: Problem, rows: int) -> None:
    months = {f"2013-{m:02d}": make_rows(m, turn=np.pi / 2 * (m < 5)) for m in range(1, 6)}
    found = measure_staleness(problem, months, lambda _: None)
    said: list[str] = []
    newest = make_rows(6)
    labeled = newest[~newest["sold"].astype(bool)].head(rows).reset_index(drop=True)
    again = measure_staleness(problem, {**months, "2013-06": labeled}, said.append)
    # The month before it is tried in its place, or beside it.
    assert not np.isnan([part.gap.value for part in again.ages]).any()
    assert again.ages[0].gap == found.ages[0].gap
    assert any("2013-06 is left out" in line for line in said) == bool(rows)


def test_months_on_which_nothing_can_be_compared_are_one_sentence(problem: Problem) -> None:
    months = {f"2013-{m:02d}": make_rows(m) for m in range(1, 5)}
    late = {name: rows[~rows["sold"].astype(bool)].head(3) for name, rows in months.items()}
    known = {**months, "2013-04": late["2013-04"].reset_index(drop=True)}
    with pytest.raises(ProjectError, match="no month on which roc_auc can be measured"):
        measure_staleness(problem, known, lambda _: None)


def test_months_that_are_all_needed_to_stop_a_fit_are_one_sentence(problem: Problem) -> None:
    split = problem.params.split.model_copy(update={"validation_days": 90})
    patient = replace(problem, params=problem.params.model_copy(update={"split": split}))
    months = {f"2013-{m:02d}": make_rows(m) for m in range(1, 6)}
    with pytest.raises(ProjectError, match=r"2 months, .* split.validation_days \(90\)"):
        measure_staleness(patient, months, lambda _: None)


@pytest.mark.parametrize("changed", ["categorical", "missing", "validation", "names"])
def test_other_rows_or_features_are_another_search(
    problem: Problem, examples: tuple[Dataset, Dataset], changed: str
) -> None:
    train, validation = examples
    features = train.features
    numeric = features.numeric.copy()
    numeric[0] = np.nan
    words = np.full((len(numeric), 1), "a", dtype=object)
    before = replace(
        train,
        features=replace(features, numeric=numeric, categorical=words, categorical_names=("word",)),
    )
    shifted = numeric.copy()
    shifted[1] += 1
    other = words.copy()
    other[5] = "b"
    changes: dict[str, Any] = {
        "categorical": {"categorical": other},
        "missing": {"numeric": shifted},
        "names": {"categorical_names": ("other",)},
    }
    after = replace(before, features=replace(before.features, **changes.get(changed, {})))
    held_out = train if changed == "validation" else validation
    names = [
        name_study(problem, [*parts], find_multiples(problem))
        for parts in ((before, validation), (before, validation), (after, held_out))
    ]
    assert names[0] == names[1] != names[2]


@pytest.mark.one_python
def test_every_trial_is_a_run_and_a_killed_search_ends_as_an_undisturbed_one(
    problem: Problem,
    examples: tuple[Dataset, Dataset],
    tracker: Tracker,
    project: Workspace,
    open_registry: Callable[[Paths], Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trials = 13  # the first ten are drawn, the others follow from what was found
    study = problem.params.study.model_copy(update={"trials": trials})
    wanted = replace(problem, params=problem.params.model_copy(update={"study": study}))

    def go_on(database: str) -> SearchResult:
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
    assert found.trials == trials
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert len({run.data.tags["study"] for run in runs}) == 1
    assert sorted(int(run.data.tags["trial"]) for run in runs) == list(range(trials))
    assert found.best == max(run.data.metrics["validation/roc_auc"] for run in runs)
    assert found.current is not None
    assert found.best >= found.current
    assert found.holds
    low, high = find_multiples(problem)["learning_rate"]
    assert 0.2 * low <= found.settings["learning_rate"] <= 0.2 * high
    assert go_on("killed.db") == found
    assert go_on("undisturbed.db") == found


@pytest.mark.one_python
def test_settings_that_cannot_be_trained_have_no_value_in_a_search(
    problem: Problem,
    examples: tuple[Dataset, Dataset],
    tracker: Tracker,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fit = Problem.fit

    def fail_as_it_is(self: Problem, train: Any, held_out: Any, settings: Any, seed: Any) -> Any:
        if settings == self.settings:
            raise TrainingError("The candidate was still gaining.")
        return fit(self, train, held_out, settings, seed)

    monkeypatch.setattr(Problem, "fit", fail_as_it_is)
    found = search(problem, *examples, tracker, tmp_path / "study.db", lambda _: None)
    assert found.current is None
    assert "roc_auc cannot be measured now," in describe_search(found)[0]


def test_a_choice_is_written_where_it_holds_and_refused_where_it_was_luck(
    project: Workspace,
) -> None:
    found = SearchResult(
        metric="roc_auc",
        trials=30,
        current=0.78,
        best=0.8,
        trained_again=0.79,
        tolerance=0.02,
        holds=True,
        estimator="trees",
        settings={"learning_rate": 0.123, "leaves": 17},
    )
    apply_choice(project.params, found, TreesParams)
    trees = load_params(project.params).train.trees
    assert (trees.learning_rate, trees.leaves) == (0.123, 17)
    assert "# leaves per tree; chosen by `make study`" in project.params.read_text()
    before = project.params.read_text()
    luck = found.model_copy(update={"trained_again": 0.7, "holds": False})
    with pytest.raises(ProjectError, match=r"it was luck, so it is not taken"):
        apply_choice(project.params, luck, TreesParams)
    assert project.params.read_text() == before


class OwnParams(ParamsSection):
    """Parameters of an own estimator."""

    hidden: Annotated[int, SearchRange(0.5, 4), Field(le=100)] = 32
    rate: Annotated[float, SearchRange(0.1, 10)] = 0.01
    epochs: int = 20


def test_ranges_of_an_own_estimator_come_from_its_fields() -> None:
    multiples = {"hidden": (0.5, 4.0), "rate": (0.1, 10.0)}
    ranges = find_ranges(OwnParams(), multiples)
    assert (ranges["hidden"].low, ranges["hidden"].high, ranges["hidden"].is_integer) == (
        16,
        100,
        1,
    )
    assert (ranges["rate"].low, ranges["rate"].high) == pytest.approx((0.001, 0.1))


def test_a_value_without_multiples_is_named() -> None:
    with pytest.raises(ProjectError, match="'epochs' is 0, and only positive numbers"):
        find_ranges(OwnParams(epochs=0), {"epochs": (0.5, 2.0)})


def choose_kind(problem: Problem, kind: str, **search: tuple[float, float]) -> Problem:
    candidate = problem.params.train.candidate.model_copy(update={"kind": kind})
    train = problem.params.train.model_copy(update={"candidate": candidate})
    study = problem.params.study.model_copy(update={"search": search})
    return replace(
        problem, params=problem.params.model_copy(update={"train": train, "study": study})
    )


def test_params_yaml_replaces_a_range_and_adds_others(problem: Problem) -> None:
    multiples = find_multiples(choose_kind(problem, "trees", leaves=(0.5, 1.5), patience=(1, 2)))
    names = ("leaves", "patience", "learning_rate")
    assert [multiples[name] for name in names] == [(0.5, 1.5), (1, 2), (0.5, 3)]
    with pytest.raises(
        ProjectError, match=r"study\.search has 'leafs', which train\.trees does not"
    ):
        find_multiples(choose_kind(problem, "trees", leafs=(0.5, 1.5)))


class Proportions:
    """Half of the predictions are its parameter, which the search has to find."""

    name = "proportions"

    class Params(ParamsSection):
        """The probability that it predicts."""

        chance: Annotated[float, SearchRange(0.2, 2), Field(le=1)] = 0.4

    def fit(self, train: Dataset, validation: Dataset, params: Params, seed: int) -> Any:
        return FittedShares(params.chance)


@dataclass
class FittedShares:
    """A probability for rows with a positive `x`, its counterpart for the others."""

    chance: float

    def predict(self, features: FeatureMatrix) -> Any:
        positive = features.numeric[:, 0] > 0
        high = np.where(positive, self.chance, 1 - self.chance)
        return np.column_stack([1 - high, high])

    def to_onnx(self, opset: int) -> bytes:
        return b""


def use_proportions(problem: Problem) -> tuple[Problem, Dataset, Dataset]:
    """The problem with the own estimator as the candidate, and two months of it."""
    model = extend_params([], {"proportions": Proportions.Params})
    document = problem.params.model_dump(mode="json", by_alias=True)
    document["train"]["candidate"]["kind"] = "proportions"
    document["judge"]["metric"] = "log_loss"
    document["study"]["trials"] = 8
    own = replace(problem, params=model.model_validate(document), estimators=[Proportions()])
    return own, own.make_dataset(make_rows(1)), own.make_dataset(make_rows(2))


def test_the_search_finds_the_parameter_of_an_own_estimator(
    problem: Problem, tracker: Tracker, tmp_path: Path
) -> None:
    own, train, validation = use_proportions(problem)

    found = search(own, train, validation, tracker, tmp_path / "study.db", lambda _: None)
    assert found.estimator == "proportions"
    assert found.current is not None
    assert found.current > found.best
    assert 0.6 < found.settings["chance"] <= 0.8


def test_presets_fit_an_own_estimator(problem: Problem) -> None:
    own, train, validation = use_proportions(problem)

    found = compare_presets(own, train, validation, lambda _: None)
    assert [trial.changes for trial in found.tried] == [{}]
    assert found.best == own.measure(own.fit(train, validation), validation)


def test_a_linear_candidate_has_nothing_to_search(
    problem: Problem, examples: tuple[Dataset, Dataset], tracker: Tracker, tmp_path: Path
) -> None:
    linear = choose_kind(problem, "linear")
    with pytest.raises(ProjectError, match="has nothing to search"):
        search(linear, *examples, tracker, tmp_path / "study.db", lambda _: None)


def test_a_study_that_cannot_be_made_is_left_out_unless_it_is_asked_for_by_name(
    problem: Problem, project: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    candidate = problem.params.train.candidate.model_copy(update={"kind": "linear"})
    train = problem.params.train.model_copy(update={"candidate": candidate})
    params = problem.params.model_copy(update={"train": train})
    monkeypatch.setattr("mlchassis.studies.command.load_contract", lambda _: CONTRACT)
    for month, name in ((1, "train"), (2, "validation")):
        write_table(project.splits / f"{name}.parquet", make_rows(month))
    write_table(project.accepted / "2013-01.parquet", make_rows(1))
    said: list[str] = []
    project = Workspace(project.root, Project(features=pass_on))
    run_studies(project, params, (), said.append, apply=True)
    assert "staleness: left out. The table has 1 months" in "\n".join(said)
    assert "search: left out. train.candidate.kind is 'linear'" in "\n".join(said)
    assert read_report(project.reports / "study.json").keys() == {
        "data_hash",
        "permutation_importance",
        "presets",
    }
    with pytest.raises(ProjectError, match="The table has 1 months"):
        run_studies(project, params, ("staleness",), said.append, apply=False)
