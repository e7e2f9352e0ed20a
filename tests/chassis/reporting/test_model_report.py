"""The page and the model card: from a judged bundle's facts, for people and for machines."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from operator import methodcaller
from pathlib import Path
from typing import Any

import pytest
import yaml

from ml_service.features import compute_features
from mlchassis.bundle.bundle import load_bundle, write_bundle
from mlchassis.config.params import Params
from mlchassis.contract.model import Contract, parse_contract
from mlchassis.data.results.splits import SplitFacts
from mlchassis.errors import ProjectError
from mlchassis.evaluation.gates.judgement import RejectedError
from mlchassis.evaluation.results import Evaluation
from mlchassis.features.code import load_feature_code
from mlchassis.paths import Paths
from mlchassis.project import Workspace
from mlchassis.reporting import model_report
from mlchassis.workflow import release

pytestmark = pytest.mark.one_python

FEATURES = load_feature_code(compute_features)


def change_facts(paths: Paths, change: Callable[[dict[str, Any]], object]) -> None:
    place = paths.reports / "evaluation.json"
    facts = json.loads(place.read_text())
    change(facts)
    place.write_text(json.dumps(facts))


@pytest.fixture
def told(project: Workspace, params: Params) -> Callable[[], tuple[str, str]]:
    """The page and the card."""

    def write() -> tuple[str, str]:
        release.judge(project, params)
        page, card = (path.read_text() for path in release.report(project, params))
        return page, card

    return write


def test_both_tell_the_metrics_and_every_gate(
    project: Workspace, params: Params, told: Callable[[], tuple[str, str]]
) -> None:
    for text in told():
        assert "0.7 (0.6 to 0.8)" in text
        assert "ROC AUC (roc_auc)" in text.replace("\\", "")
        assert "proportion of pairs of a row of each class ranked correctly" in text
        assert "roc_auc" not in re.findall(r"(?:^\| |<tr><td>)(\w+)", text, re.MULTILINE)
        for gate in release.judge(project, params).gates:
            assert gate.name in text


def test_both_name_the_columns_that_the_model_does_not_see(
    project: Workspace, told: Callable[[], tuple[str, str]], contract: Contract
) -> None:
    used = {"feature", "target", "key", "event_time"}
    left_out = [column.name for column in contract.columns if not column.roles & used]
    for text in told():
        assert ("Columns that are left out" in text) == bool(left_out)
        assert "recognized as being about" in text


def test_both_warn_of_a_forked_chassis(
    project: Workspace, told: Callable[[], tuple[str, str]]
) -> None:
    page, card = told()
    assert "Forked chassis" not in page + card
    project.chassis.mkdir()
    (project.chassis / "FORKED").write_text("Until <the> fix is released.\n")
    page, card = told()
    assert '<p class="banner">Forked chassis: ' in page
    assert "Until &lt;the&gt; fix is released." in page
    assert re.search(r"^# .+\n\n> \*\*Forked chassis: .* Until \\<the\\> fix", card, re.MULTILINE)


def test_the_page_asks_nothing_of_anybody_else(told: Callable[[], tuple[str, str]]) -> None:
    page, _ = told()
    assert not re.search(r"(?:src|href|url|@import)\s*[=(]|https?:|<script", page)


def test_the_card_has_the_metadata_that_hugging_face_reads(
    project: Workspace, told: Callable[[], tuple[str, str]]
) -> None:
    _, front, body = told()[1].split("---\n", 2)
    front_matter = yaml.safe_load(front)
    (entry,) = front_matter["model-index"]
    (result,) = entry["results"]
    name = load_bundle(project.bundle, FEATURES).metadata.name
    assert (entry["name"], result["dataset"]["name"]) == (name, name)
    assert {"type", "name", "split"} == result["dataset"].keys()
    assert result["task"]["type"] == front_matter["pipeline_tag"]
    assert front_matter["pipeline_tag"].startswith("tabular-")
    assert {"type": "roc_auc", "value": 0.7} in result["metrics"]
    assert body.strip().startswith(f"# {name}")


def test_a_rejected_bundle_is_called_so(project: Workspace, params: Params) -> None:
    change_facts(project, lambda facts: facts["parity"].update(max_error=1.0))
    with pytest.raises(RejectedError):
        release.judge(project, params)
    page = release.report(project, params)[0].read_text()
    assert "Rejected by: parity" in page


def test_names_in_the_data_cannot_write_the_page(
    project: Workspace, told: Callable[[], tuple[str, str]]
) -> None:
    interval = {"value": 0.0, "low": -0.1, "high": 0.1}
    hostile = {
        "where": {"a|b": "<script>$lead"},
        "rows": 600,
        "value": interval,
        "difference": interval,
        "baselines": {"prior": {"value": 0.0, "gain": interval}},
    }
    change_facts(project, lambda facts: facts.update(slices=[hostile]))
    page, card = told()
    assert "&lt;script&gt;$lead" in page
    assert "a\\|b \\<script\\>$lead" in card


def test_a_bundle_that_was_not_judged_has_no_report(project: Workspace, params: Params) -> None:
    with pytest.raises(ProjectError, match="was not judged"):
        release.report(project, params)


def test_a_run_carries_page_and_card(project: Workspace, params: Params) -> None:
    release.judge(project, params)
    run = project.var / "mlartifacts" / release.track(project, params) / "artifacts" / "report"
    assert {path.name for path in run.iterdir()} == {"report.html", "model_card.md", "data.html"}
    assert (run / "report.html").read_bytes() == (project.reports / "report.html").read_bytes()


def test_curves_are_drawn_where_the_task_has_them(
    project: Workspace, told: Callable[[], tuple[str, str]]
) -> None:
    assert "<svg" not in told()[0]
    points = "false_positive_rate,true_positive_rate\n0,0\n.5,1\n"
    Path(project.plots / "roc.csv").write_text(points)
    page, _ = told()
    assert '<polyline class="line" points="45.0,200.0 167.5,10.0"/>' in page
    assert "false positive rate" in page


WINDOW = {"from": "2013-07-01T00:00:00+00:00", "until": "2013-08-31T23:00:00+00:00"}
ALIKE = {"value": 0.5, "low": 0.4, "high": 0.6}


def test_errors_are_told_by_class_and_a_layman_reads_how_many_are_found(
    project: Workspace, contract: Contract, told: Callable[[], tuple[str, str]]
) -> None:
    decision: dict[str, Any] = {
        "classes": ["no", "yes"],
        "confusion": [[800, 200], [50, 150]],
        "proportions": [[ALIKE, None], [ALIKE, ALIKE]],
        "measured": {
            "precision": {**ALIKE, "value": 0.43},
            "recall": {**ALIKE, "value": 0.69},
            "cost": ALIKE,
        },
        "excess_cost": 0.0,
    }
    if not contract.classes:
        decision["measured"] = {}  # A number is neither found nor called.
    change_facts(project, lambda facts: facts.update(decision=decision))
    page, card = told()
    assert "<td>is no</td><td>800: 50.0% (40.0% to 60.0%)</td><td>200</td>" in page
    if contract.classes:
        assert "| recall | 0.69 (0.4 to 0.6) | proportion of the positive rows that" in card
        assert "| cost | 0.5 (0.4 to 0.6) | mean cost of the errors of a row, at train.cost" in (
            card.replace("\\", "")
        )
        assert '<div class="tile"><b>Recall 0.69</b><span>of 100 cases that are' in page
        assert '<div class="tile"><b>Precision 0.43</b><span>of 100 cases that it calls' in page


def test_numbers_have_few_digits_and_no_exponent(
    project: Workspace, told: Callable[[], tuple[str, str]]
) -> None:
    Path(project.plots / "calibration.csv").write_text("predicted,observed\n0,0\n123456.7,98765\n")
    prices = {"value": 123456.789, "low": -0.00002277, "high": 0.00123456}
    change_facts(project, lambda facts: facts["metrics"].update(log_loss=prices))
    for text in told():
        assert "123,457 (-0.000023 to 0.001235)" in text.replace("\\", "")
    assert ">123,000</text>" in told()[0]


def test_the_report_names_the_units_behind_its_intervals(
    project: Workspace, told: Callable[[], tuple[str, str]]
) -> None:
    for unit, interval, others, how in (
        ("row", "bootstrap", "cases", "by bootstrap of 40 rows"),
        ("day", "bootstrap", "days", "by bootstrap of 40 days"),
        ("day", "t", "days", "by 40 days (Student's t, since they are few"),
        ("patient", "bootstrap", "groups", "by bootstrap of 40 groups by 'patient'"),
        ("day", "rows", "cases", "by rows, since the test split holds only 40 days"),
    ):
        units = {"unit": unit, "count": 40, "interval": interval}
        change_facts(project, partial(dict.update, units=units))
        page, card = told()
        assert f"the range for other {others} like those" in page
        assert how in card.replace("\\", "")


def test_the_first_screen_tells_a_proportion_where_one_was_measured(
    project: Workspace, told: Callable[[], tuple[str, str]]
) -> None:
    loss = {"value": 0.5, "low": 0.4, "high": 0.6}

    def judge_by_loss(facts: dict[str, Any]) -> None:
        facts["primary_metric"] = "log_loss"
        for model in (facts["metrics"], *facts["baselines"].values()):
            model |= {"log_loss": loss, "accuracy": ALIKE}

    change_facts(project, judge_by_loss)
    assert "<b>Accuracy 0.5</b><span>of 100 cases it answers 50 correctly</span>" in told()[0]


def test_a_ranking_of_several_classes_is_no_ranking_of_the_last_one(project: Workspace) -> None:
    evaluation = Evaluation.model_validate_json((project.reports / "evaluation.json").read_text())
    contract = parse_contract("""
apiVersion: v3.2.0
version: 1.0.0
name: fish
schema:
  - properties:
      - {name: length, logicalType: number, tags: [feature]}
      - name: kind
        logicalType: string
        tags: [target]
        enum: [{value: carp}, {value: eel}, {value: pike}]
""")
    assert model_report._explain_metric("roc_auc", evaluation, contract) == (
        "of 100 pairs of a case of one class and a case of another, it ranks 70 correctly, on "
        "average over the classes"
    )


def test_groups_of_people_are_told_where_a_column_makes_them(
    project: Workspace, told: Callable[[], tuple[str, str]]
) -> None:
    assert not any("<h2>Fairness" in text or "## Fairness" in text for text in told())
    gap = {
        "kind": "rate",
        "measure": "rate",
        "groups": [
            {"where": {"sex": "m"}, "rows": 700, "value": 0.4},
            {"where": {"sex": "f"}, "rows": 600, "value": 0.35},
        ],
        "disparity": {"value": 0.05, "low": -0.01, "high": 0.11},
    }
    proportion = {"value": 0.013, "low": 0.0, "high": 0.015}
    flips = [{"column": "sex", "rows": 1200, "rate": proportion}]
    found = {
        "columns": ["sex"],
        "min_rows": 500,
        "disparities": [gap],
        "counterfactual_flips": flips,
    }
    change_facts(project, lambda facts: facts.update(fairness=found))
    for text in told():
        assert "sex m: 0.400 (700 rows)" in text
        assert "0.05 (-0.01 to 0.11)" in text
        assert "1.3% of 1,200 rows get another answer when sex alone is changed" in text


def test_worth_is_told_where_the_study_was_of_the_same_rows(
    project: Workspace, told: Callable[[], tuple[str, str]]
) -> None:
    part = {
        "column": "rain",
        "importance": ALIKE,
        "shown": True,
        "missing": 0.1,
        "microseconds": 0.07,
    }
    noise = {**part, "column": "(noise)", "shown": False, "missing": None, "microseconds": None}
    study = {"data_hash": "0" * 64, "permutation_importance": [part, noise]}
    (project.reports / "study.json").write_text(json.dumps(study))
    page, card = told()
    assert '>rain</span><i><i style="width:100.0%">' in page
    metric = json.loads((project.reports / "evaluation.json").read_text())["primary_metric"]
    assert f"How much worse {metric} becomes on the validation split when a column" in page
    assert "| rain | 0.5 (0.4 to 0.6) | yes | 10.0% | 0.07 |" in card
    (project.reports / "study.json").write_text(json.dumps({**study, "data_hash": "1" * 64}))
    assert not any("Permutation importance" in text for text in told())
    (project.reports / "study.json").write_text(json.dumps({**study, "staleness": {}}))
    with pytest.raises(ProjectError, match=r"study.json: staleness.metric: .* run `make study`"):
        told()


def test_another_version_is_told_of_where_this_one_was_compared_with_it(
    project: Workspace, told: Callable[[], tuple[str, str]]
) -> None:
    comparison = {
        "a": {"version": "3", "digest": "c" * 64},
        "b": {"version": "4", "digest": load_bundle(project.bundle, FEATURES).digest},
        "rows": 1200,
        "metric": "roc_auc",
        "metrics": {"roc_auc": {"a": ALIKE, "b": ALIKE, "gain": ALIKE}},
        "slices": [{"where": {"a": "b"}, "rows": 9, "value": 0.1, "other": 0.2, "gain": ALIKE}],
        "churn": {
            "rows": 60,
            "proportion": 0.05,
            "changes": [{"from": "no", "to": "yes", "rows": 60}],
            "mean_move": 0.1,
        },
    }
    place = project.reports / "comparison.json"
    place.write_text(json.dumps(comparison))
    for text in told():
        assert "Comparison with version 3" in text
        assert "60 of them (5.0%) get another answer. From no to yes: 60. Scores move" in text
    place.write_text(json.dumps({**comparison, "b": comparison["a"]}))
    assert not any("Comparison with version" in text for text in told())


def test_a_run_keeps_the_groups_largest_gaps_as_metrics(
    project: Workspace, params: Params, open_registry: Callable[[Paths], Any]
) -> None:
    gaps = [
        {"kind": "rate", "measure": "rate", "groups": [], "disparity": {**ALIKE, "value": value}}
        for value in (0.1, 0.3)
    ]
    flips = [{"column": "sex", "rows": 9, "rate": {**ALIKE, "value": 0.02}}]
    found = {
        "columns": ["sex"],
        "min_rows": 500,
        "disparities": gaps,
        "counterfactual_flips": flips,
    }
    change_facts(project, lambda facts: facts.update(fairness=found))
    metrics = open_registry(project).get_run(release.track(project, params)).data.metrics
    assert metrics["groups/rate_disparity"] == 0.3
    assert metrics["groups/counterfactual_flip_rate"] == 0.02


def test_the_outcome_of_each_window_is_told_and_a_large_difference_warned_of(
    project: Workspace, told: Callable[[], tuple[str, str]]
) -> None:
    split = json.loads((project.reports / "split.json").read_text())
    for train, warned in ((0.36, True), (0.78, False)):
        proportions = {"train": train, "validation": 0.78, "test": 0.8}
        splits = {
            name: {"rows": 100, "target_mean": proportion}
            for name, proportion in proportions.items()
        }
        (project.reports / "split.json").write_text(json.dumps({**split, "splits": splits}))
        for text in told():
            assert f"The outcome: {train:.0%} in train, 78% in validation, 80% in test." in text
            assert ("These differ much" in text) == warned


def test_the_mean_of_a_number_is_no_proportion() -> None:
    splits = {
        name: SplitFacts(rows=100, target_mean=mean)
        for name, mean in (("train", 0.2), ("validation", 0.4), ("test", 0.00002))
    }
    assert model_report._spell_outcome(splits, has_classes=False) == (
        "The outcome: 0.2 in train, 0.4 in validation, 0.00002 in test."
    )


def test_slices_begin_with_the_worst_one_whichever_way_is_better(
    project: Workspace, told: Callable[[], tuple[str, str]]
) -> None:
    part = {
        "where": {"carrier": "UA"},
        "rows": 600,
        "value": ALIKE,
        "difference": ALIKE,
        "baselines": {"prior": {"value": 0.0, "gain": ALIKE}},
    }
    change_facts(project, lambda facts: facts.update(slices=[part]))
    for text in told():
        assert "rows, the worst first. A slice" in text


def test_a_small_threshold_is_not_spelt_as_zero(project: Workspace) -> None:
    bundle = load_bundle(project.bundle, FEATURES)
    rare = replace(bundle, metadata=bundle.metadata.model_copy(update={"threshold": 0.0004}))
    assert "positive from a probability of 0.0004," in " ".join(model_report._limits(rare, []))


def test_the_age_of_the_data_is_told_where_the_splits_are_by_time(project: Workspace) -> None:
    bundle = load_bundle(project.bundle, FEATURES)

    def tell(seen: str | None) -> str:
        metadata = bundle.metadata.model_copy(update={"seen_until": seen})
        return " ".join(model_report._limits(replace(bundle, metadata=metadata), []))

    assert "The training data end at 2013-06-30; the model" in tell("2013-06-30T23:00:00+00:00")
    assert "The splits are not by time, so nothing was measured on rows newer than" in tell(None)


def test_a_worse_slice_is_told_of_only_where_there_is_one(
    project: Workspace, told: Callable[[], tuple[str, str]]
) -> None:
    worse = "In some slices the model performs worse"
    part = {"where": {"a": "b"}, "rows": 600, "value": ALIKE, "baselines": {}}
    for slices, expected in (
        ([], "No slice was compared: in parts of the data the model may perform worse"),
        ([{**part, "difference": {"value": -0.1, "low": -0.2, "high": 0.0}}], worse),
    ):
        change_facts(project, methodcaller("update", slices=slices))
        for text in told():
            assert expected in text
            assert (worse in text) == (expected == worse)
    same = {"value": 0.0, "low": 0.0, "high": 0.0}
    change_facts(project, lambda facts: facts.update(slices=[{**part, "difference": same}]))
    assert not any(worse in text for text in told())


def test_a_confidence_is_not_rounded_to_certainty(project: Workspace, params: Params) -> None:
    release.judge(project, params)
    sure = params.evaluate.model_copy(update={"confidence": 0.995})
    release.report(project, params.model_copy(update={"evaluate": sure}))
    page = (project.reports / "report.html").read_text()
    assert "Confidence intervals of 99.5% by" in page


def test_the_calibration_of_a_number_is_in_its_own_unit(
    project: Workspace, told: Callable[[], tuple[str, str]]
) -> None:
    Path(project.plots / "calibration.csv").write_text(
        "predicted,observed\n1e-05,1e-05\n2e-05,4e-05\n"
    )
    number = "Calibration: mean of the true numbers, by mean prediction"
    assert "of 100 cases given 30%" in told()[0]
    change_facts(project, lambda facts: facts.update(task="regression"))
    page, _ = told()
    assert number in page
    assert "of 100 cases given 30%" not in page
    assert ">0.00004</text>" in page


def test_a_model_that_is_too_good_carries_a_warning_on_the_first_screen(
    project: Workspace, told: Callable[[], tuple[str, str]]
) -> None:
    found = {"metric": "roc_auc", "value": 0.997, "columns": ["refund"]}
    change_facts(project, lambda facts: facts.update(implausible=found))
    page, _ = told()
    assert "Warning: roc_auc 0.997 is implausibly high" in page
    assert "carries most" in page


def test_tables_of_the_card_are_tables(
    project: Workspace, told: Callable[[], tuple[str, str]]
) -> None:
    _, card = told()
    assert "| gate | verdict | finding |\n| --- | --- | --- |\n" in card


def test_usage_and_limitations_come_from_the_contract_and_may_be_empty(
    project: Workspace, told: Callable[[], tuple[str, str]], describe: Callable[[Paths], None]
) -> None:
    bundle = load_bundle(project.bundle, FEATURES)
    document = yaml.safe_load((project.bundle / "contract.yaml").read_text())

    def tell(description: dict[str, str | None]) -> tuple[str, str]:
        text = yaml.safe_dump(document | {"description": description}, sort_keys=False)
        write_bundle(project.bundle, bundle.model, text, bundle.metadata)
        describe(project)
        return told()

    for text in tell({"purpose": "A purpose", "usage": "For orders", "limitations": "Not abroad"}):
        assert "For orders" in text
        assert "Not abroad" in text
    for text in tell({"purpose": "A purpose", "usage": None, "limitations": None}):
        assert "Limitations" in text
        assert "None" not in text
