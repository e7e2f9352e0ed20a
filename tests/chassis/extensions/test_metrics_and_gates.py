"""A project's own metrics and gates: used as built-in ones, and rejected where they are wrong."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray

import ml_service
from ml_service.features import compute_features
from mlchassis import GateContext, GateResult, Project, gate, metric
from mlchassis.config.custom_params import extend_params
from mlchassis.config.params import Params, ParamsError, parse_params
from mlchassis.config.section import ParamsSection
from mlchassis.contract.model import Contract
from mlchassis.errors import ProjectError
from mlchassis.evaluation.metrics import metrics_for
from mlchassis.extensions.checks import check_project
from mlchassis.extensions.metrics import CustomMetric

Floats = NDArray[np.float64]
UNUSED: Any = None
"""Placeholder for an evaluation that the code under test does not read."""
ROOT = Path(ml_service.__file__).parents[2]
SHIPPED = (ROOT / "params.yaml").read_text(encoding="utf-8")
DECORATE = metric(tasks=("binary",), higher_is_better=True, description="proportion of hits")


def hit_rate(target: Floats, scores: Floats, weight: Floats) -> float:
    return float(np.average((scores > 0.5) == target, weights=weight))


def change(section: str, **values: Any) -> str:
    document = yaml.safe_load(SHIPPED)
    document[section].update(values)
    return yaml.safe_dump(document)


def test_a_metric_sees_the_scores_of_the_second_class_and_a_weight_for_each_row() -> None:
    seen: list[Any] = []

    def watch(target: Floats, scores: Floats, weight: Floats) -> float:
        seen.append((target, scores, weight))
        return 0.25

    own = DECORATE(watch)
    target = np.array([0.0, 1.0, 1.0])
    scores = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]])
    statistic = metrics_for("binary", custom=[own])["watch"].prepare(
        target, scores, np.array([0, 0, 1])
    )

    assert statistic(np.array([2.0, 3.0])) == 0.25
    np.testing.assert_array_equal(seen[0][1], [0.1, 0.8, 0.3])
    np.testing.assert_array_equal(seen[0][2], [2.0, 2.0, 3.0])


def test_scores_of_more_classes_stay_apart_and_numbers_are_one_column() -> None:
    shapes: list[Any] = []

    def watch(target: Floats, scores: Floats, weight: Floats) -> float:
        shapes.append((len(target), scores.shape, weight.shape))
        return 1.0

    own = metric(tasks=("multiclass", "regression"), higher_is_better=False, description="x")(watch)
    for task, width in (("multiclass", 3), ("regression", 1)):
        found = metrics_for(task, custom=[own])["watch"]  # type: ignore[arg-type]  # a loop
        found.prepare(np.zeros(4), np.zeros((4, width)))(np.ones(4))

    assert shapes == [(4, (4, 3), (4,)), (4, (4,), (4,))]
    assert "watch" not in metrics_for("binary", custom=[own])


def test_a_metric_that_fails_is_named_with_its_file_and_line() -> None:
    def broken(target: Floats, scores: Floats, weight: Floats) -> float:
        raise KeyError("day")

    with pytest.raises(
        ProjectError,
        match=r"broken\(.*test_metrics_and_gates.py failed as a metric: KeyError: 'day'",
    ) as failure:
        DECORATE(broken)(np.zeros(1), np.zeros(1), np.ones(1))
    assert re.search(
        r" \(\S*test_metrics_and_gates.py, line \d+, in broken\); fix it", str(failure.value)
    )
    assert isinstance(failure.value.__cause__, KeyError)


def test_a_metric_that_returns_no_number_is_rejected() -> None:
    def words(target: Floats, scores: Floats, weight: Floats) -> Any:
        return "good"

    with pytest.raises(ProjectError, match=r"words\(.* returned str as a metric; return a float"):
        DECORATE(words)(np.zeros(1), np.zeros(1), np.ones(1))


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: DECORATE(lambda target, scores, weight: 1.0), "small letters"),
        (
            lambda: DECORATE(cast("Any", max_of_two)),
            r"@metric is max_of_two\(first.*; it must be a function max_of_two\(target: Floats, sc",
        ),
        (
            lambda: gate(cast("Any", hit_rate)),
            r"@gate is hit_rate\(.*test_metrics_and_gates.py; it must be a function hit_rate\(c",
        ),
        (
            lambda: metric(tasks=cast("Any", "binary"), higher_is_better=True, description="x")(
                hit_rate
            ),
            "write a tuple of 'binary'",
        ),
    ],
)
def test_a_function_of_another_shape_is_rejected_when_it_is_decorated(
    make: Callable[[], Any], sentence: str
) -> None:
    with pytest.raises(ProjectError, match=sentence):
        make()


def max_of_two(first: float, second: float) -> float:
    return max(first, second)


@pytest.mark.parametrize(
    ("lists", "sentence"),
    [
        (
            {"metrics": [hit_rate]},
            r"project.py: metrics\[0\] is hit_rate\(.* of .*; write @",
        ),
        ({"metrics": DECORATE(hit_rate)}, r"project.py: metrics is .*; pass a list"),
        ({"metrics": [DECORATE(hit_rate)] * 2}, "the name 'hit_rate', which is taken"),
        ({"gates": [hit_rate]}, r"write @gate above `def my_gate\(context: GateContext\) -> GateR"),
    ],
)
def test_a_project_with_a_wrong_object_is_rejected(lists: Any, sentence: str) -> None:
    with pytest.raises(ProjectError, match=sentence):
        check_project(Project(compute_features, **lists), "project.py", ())


def test_a_metric_may_not_take_the_name_of_a_built_in_one() -> None:
    own = CustomMetric(hit_rate, "rmse", ("regression",), False, "")
    with pytest.raises(ProjectError, match="the name 'rmse', which is taken"):
        check_project(Project(compute_features, metrics=[own]), "project.py", ())


def test_the_judge_may_use_a_metric_of_the_project_and_no_other_one() -> None:
    text = change("judge", metric="hit_rate")
    model = extend_params(["hit_rate"], {})

    assert str(parse_params(text, model=model).judge.metric) == "hit_rate"
    with pytest.raises(ParamsError, match=r"'judge.metric' is 'hit_rate', but input should be"):
        parse_params(text)
    with pytest.raises(ParamsError, match=r"'judge.metric' is 'hits', .* 'r2' or 'hit_rate'"):
        parse_params(change("judge", metric="hits"), model=model)


class NetParams(ParamsSection):
    """Parameters of an estimator that tests make up."""

    width: int = 8


def test_an_estimator_has_a_section_that_is_checked_as_every_other_one() -> None:
    model = extend_params([], {"net": NetParams})
    found = parse_params(change("train", net={"width": 3}), model=model)

    assert found.train.net == NetParams(width=3)  # type: ignore[attr-defined]  # made above
    assert parse_params(SHIPPED, model=model).train.net == NetParams()  # type: ignore[attr-defined]  # made above
    with pytest.raises(ParamsError, match=r"unknown key 'train.net.widht'; did you mean 'width'"):
        parse_params(change("train", net={"widht": 3}), model=model)
    with pytest.raises(ParamsError, match=r"'train.net.width' is 'wide', but input should be"):
        parse_params(change("train", net={"width": "wide"}), model=model)


def test_sections_of_estimators_count_in_the_digest_of_the_parameters() -> None:
    model = extend_params([], {"net": NetParams})
    digests = {
        parse_params(change("train", net={"width": width}), model=model).digest()
        for width in (3, 4)
    }
    assert len(digests) == 2


@pytest.mark.parametrize(
    ("result", "verdict"),
    [
        (GateResult.at_least("reach", 0.5, 0.5), "passed"),
        (GateResult.at_least("reach", 0.4, 0.5), "rejected"),
        (GateResult.at_least("reach", float("nan"), 0.5), "rejected"),
        (GateResult.at_most("reach", 0.5, 0.5), "passed"),
        (GateResult.at_most("reach", 0.6, 0.5), "rejected"),
        (GateResult.at_most("reach", float("nan"), 0.5), "rejected"),
    ],
)
def test_a_result_passes_up_to_its_limit_and_never_without_a_number(
    result: GateResult, verdict: str
) -> None:
    assert result.verdict == verdict
    assert "0.5000 is the" in result.sentence


def test_a_limit_of_a_gate_is_read_from_the_parameters(
    fixed_params: Params, contract: Contract
) -> None:
    limits = fixed_params.judge.model_copy(update={"custom": {"min_reach": 0.3}})
    params = fixed_params.model_copy(update={"judge": limits})
    context = GateContext(UNUSED, contract, params, None, 1.0)

    assert context.limit("min_reach") == 0.3
    with pytest.raises(ProjectError, match=r"judge.custom has no 'max_reach'"):
        context.limit("max_reach")
