"""Two versions side by side."""

from collections.abc import Callable

import numpy as np
import pytest

from ml_service.features import compute_features
from mlchassis.bundle.bundle import load_bundle
from mlchassis.config.params import Params
from mlchassis.errors import ProjectError
from mlchassis.evaluation.results import MeasuredInterval, SliceGain
from mlchassis.features.code import load_feature_code
from mlchassis.project import Workspace
from mlchassis.registry.tracking import connect
from mlchassis.reports import load_report
from mlchassis.studies.results import (
    AnswerChange,
    Churn,
    ComparedVersion,
    MetricPair,
    VersionComparison,
)
from mlchassis.studies.versions import compare, count_changes, describe
from mlchassis.workflow import release

FEATURES = load_feature_code(compute_features)

Replace = Callable[..., str]


@pytest.fixture
def two(project: Workspace, params: Params, replace_bundle: Replace) -> Workspace:
    """A registry with a version, and a second one that answers the opposite."""
    limits = params.judge.model_copy(update={"max_regression": 1.0})
    lenient = params.model_copy(update={"judge": limits})
    release.judge(project, lenient)
    release.register(project, lenient)
    replace_bundle(project, opposite=True)
    release.judge(project, lenient)
    release.register(project, lenient)
    return project


def side_by_side(paths: Workspace, params: Params, a: str, b: str) -> VersionComparison:
    tracker = connect(paths, load_bundle(paths.bundle, FEATURES).metadata.name)
    return compare(paths, params, tracker, a, b)


@pytest.mark.one_python
def test_a_version_beside_itself_has_no_difference(two: Workspace, params: Params) -> None:
    facts = side_by_side(two, params, "1", "1")
    assert facts.churn.rows == 0
    assert {found.gain.value for found in facts.metrics.values()} == {0.0}


def test_a_version_that_answers_the_opposite_is_shown_worse_with_the_rows_that_change(
    two: Workspace, params: Params
) -> None:
    facts = side_by_side(two, params, "1", "challenger")
    metric = params.judge.metric
    assert (facts.a.version, facts.b.version) == ("1", "2")
    assert facts.metrics[metric].gain.high < 0
    assert facts.churn.proportion > 0.5
    assert load_report(two.reports / "comparison.json", VersionComparison) == facts
    lines = "\n".join(describe(facts))
    assert f"{facts.churn.rows:,} rows" in lines
    assert metric in lines


def test_a_version_that_is_not_there_is_named(two: Workspace, params: Params) -> None:
    with pytest.raises(ProjectError, match=r"no version or alias 'champion'.*A=1 B=2"):
        side_by_side(two, params, "champion", "1")


def test_each_kind_of_change_is_counted() -> None:
    before = np.array(["no", "no", "yes", "yes", "yes"])
    after = np.array(["yes", "no", "no", "no", "yes"])
    scores = np.zeros((5, 2))
    found = count_changes(before, after, scores, scores + 0.25)
    assert (found.rows, found.proportion, found.mean_move) == (3, 0.6, 0.25)
    assert found.changes == [
        AnswerChange(before="yes", after="no", rows=2),
        AnswerChange(before="no", after="yes", rows=1),
    ]


def test_a_number_that_hardly_moves_is_the_same_answer() -> None:
    before, after = np.array([1.0, 2.0]), np.array([1.0 + 1e-9, 2.5])
    found = count_changes(before, after, before[:, None], after[:, None])
    assert (found.rows, found.changes) == (1, [])


@pytest.mark.parametrize("unit", [1e-9, 1e9])
def test_the_unit_of_a_number_does_not_decide_whether_an_answer_changes(unit: float) -> None:
    before = np.array([1.0, 2.0, 3.0]) * unit
    after = np.array([1.0 + 1e-9, 2.5, 3.5]) * unit
    found = count_changes(before, after, before[:, None], after[:, None], unit)
    assert found.rows == 2


def test_the_lines_of_a_comparison_keep_the_digits_of_small_numbers() -> None:
    part = MeasuredInterval(value=0.0000123, low=0.0000012, high=0.0000234)
    comparison = VersionComparison(
        a=ComparedVersion(version="1", digest="a"),
        b=ComparedVersion(version="2", digest="b"),
        rows=100,
        metric="rmse",
        metrics={"rmse": MetricPair(a=part, b=part, gain=part)},
        slices=[SliceGain(where={"c": "x"}, rows=50, value=0.0000123, other=0.0000123, gain=part)],
        churn=Churn(rows=1, proportion=0.01, changes=[], mean_move=0.0000123),
    )
    lines = [*describe(comparison)]
    assert all("1.2e-05" in line for line in (lines[2], lines[3], lines[4]))
