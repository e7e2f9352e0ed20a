import copy
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import ml_service
from mlchassis import gate
from mlchassis.config.params import Params
from mlchassis.contract.model import Column, Contract
from mlchassis.errors import ProjectError
from mlchassis.evaluation.bootstrap import Interval
from mlchassis.evaluation.gates.context import ChampionFacts, GateContext, GateResult
from mlchassis.evaluation.gates.judgement import Judgement, judge
from mlchassis.evaluation.results import Evaluation

ROOT = Path(ml_service.__file__).parents[2]
TESTS = Path(__file__).parents[1]
DIGEST = "a" * 64
FAST = 150.0
FACTS: dict[str, Any] = {
    "digest": DIGEST,
    "task": "binary",
    "rows": 20_000,
    "primary_metric": "roc_auc",
    "units": {"unit": "day", "count": 62, "interval": "bootstrap"},
    "baselines": {},
    "metrics": {
        "roc_auc": {"value": 0.74, "low": 0.73, "high": 0.75},
        "ece": {"value": 0.02, "low": 0.01, "high": 0.04},
    },
    "gains": {
        "prior": {"roc_auc": {"value": 0.24, "low": 0.22, "high": 0.26}},
        "linear": {"roc_auc": {"value": 0.03, "low": 0.02, "high": 0.04}},
    },
    "slices": [
        {
            "where": {"carrier": "UA", "origin": "EWR"},
            "rows": 900,
            "value": {"value": 0.70, "low": 0.66, "high": 0.74},
            "difference": {"value": -0.04, "low": -0.10, "high": 0.02},
            "baselines": {
                "prior": {"value": 0.5, "gain": {"value": 0.2, "low": 0.14, "high": 0.26}},
                "linear": {"value": 0.71, "gain": {"value": -0.01, "low": -0.05, "high": 0.03}},
            },
        },
        {
            "where": {"carrier": "AA"},
            "rows": 5000,
            "value": {"value": 0.75, "low": 0.73, "high": 0.77},
            "difference": {"value": 0.01, "low": -0.01, "high": 0.03},
            "baselines": {
                "prior": {"value": 0.5, "gain": {"value": 0.25, "low": 0.23, "high": 0.27}},
                "linear": {"value": 0.71, "gain": {"value": 0.04, "low": 0.02, "high": 0.06}},
            },
        },
    ],
    "fairness": {
        "columns": ["sex"],
        "min_rows": 500,
        "disparities": [
            {
                "kind": kind,
                "measure": kind,
                "groups": [
                    {"where": {"sex": "m"}, "rows": 9000, "value": 0.33},
                    {"where": {"sex": "f"}, "rows": 8000, "value": 0.30},
                ],
                "disparity": {"value": 0.03, "low": -0.02, "high": 0.08},
            }
            for kind in ("rate", "true_positive_rate", "calibration")
        ],
        "counterfactual_flips": [
            {
                "column": "sex",
                "rows": 2000,
                "rate": {"value": 0.005, "low": 0.001, "high": 0.009},
            }
        ],
    },
    "behavior": [
        {"name": "rain", "kind": "direction", "rows": 2000, "proportion": 0.97, "limit": 0.95}
    ],
    "test_period": {"from": "2013-07-01T00:00:00+00:00", "until": "2013-08-31T23:00:00+00:00"},
    "seen_until": "2013-06-30T23:00:00+00:00",
    "contamination": {
        "value": -0.01,
        "low": -0.03,
        "high": 0.01,
        "baseline": "linear",
        "validation_gain_over_prior": 0.25,
    },
    "decision": {
        "classes": ["false", "true"],
        "confusion": [[800, 200], [50, 150]],
        "proportions": [],
        "measured": {},
        "excess_cost": 0.0,
    },
    "staleness_days": 3,
    "parity": {"max_error": 2e-7, "limit": 1e-5},
    "bundle_bytes": 900_000,
}
RAIN = Column("rain", "number", False, "", (), frozenset({"feature"}))
LATE = Column("late", "boolean", True, "", (), frozenset({"target"}))
CONTRACT = Contract("flights", "1.2.0", "", (RAIN, LATE))
CHAMPION = ChampionFacts(
    version="3",
    digest="b" * 64,
    contract=CONTRACT,
    gain=Interval(0.001, -0.001, 0.003),
    rows=20_000,
)


@pytest.fixture
def params(fixed_params: Params) -> Params:
    return fixed_params


def find_rejecting(judgement: Judgement) -> list[str]:
    return [gate.name for gate in judgement.rejections]


def make_context(
    facts: dict[str, Any],
    contract: Contract,
    params: Params,
    champion: ChampionFacts | None,
    latency_us: float,
) -> GateContext:
    return GateContext(Evaluation.model_validate(facts), contract, params, champion, latency_us)


def changed(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    facts = copy.deepcopy(FACTS)
    change(facts)
    return facts


def test_a_good_candidate_passes_every_gate(params: Params) -> None:
    judgement = judge(make_context(FACTS, CONTRACT, params, CHAMPION, FAST))
    assert judgement.verdict == "passed"
    assert judgement.digest == DIGEST
    assert judgement.champion == CHAMPION.digest
    assert [gate.name for gate in judgement.gates] == [
        "better than prior",
        "better than linear",
        "not worse than champion",
        "contamination",
        "threshold",
        "calibration",
        "slices",
        "groups: rate",
        "groups: true positive rate",
        "groups: calibration",
        "counterfactual flip rate: sex",
        "behavior: rain",
        "data recency",
        "latency",
        "parity",
        "size",
        "contract",
    ]
    assert all(gate.sentence.endswith(".") for gate in judgement.gates)


def test_a_gate_has_an_interval_or_one_value_or_says_in_words_what_it_found(params: Params) -> None:
    gates = judge(make_context(FACTS, CONTRACT, params, CHAMPION, FAST)).gates
    without = {gate.name for gate in gates if gate.low is None}
    assert without == {
        *("threshold", "behavior: rain", "data recency", "latency", "parity", "size", "contract")
    }
    assert {gate.name for gate in gates if gate.value is None} == {"contract"}
    assert all((gate.low is None) == (gate.high is None) for gate in gates)
    assert all((gate.value is None) == (gate.limit is None) for gate in gates)
    text = (ROOT / "docs" / "gates.md").read_text(encoding="utf-8")
    (said,) = re.findall(r"have no interval: ([^;]+);", text)
    assert set(said.split(", ")) == {name.split(":")[0] for name in without} - {"contract"}


def test_the_first_candidate_needs_no_champion(params: Params) -> None:
    judgement = judge(make_context(FACTS, CONTRACT, params, None, FAST))
    assert judgement.verdict == "passed"
    assert judgement.champion is None


def set_gain(facts: dict[str, Any], value: float, low: float, high: float) -> None:
    """Set the gain in ROC AUC over the linear baseline."""
    facts["gains"]["linear"]["roc_auc"].update(value=value, low=low, high=high)


def set_slice_gain(
    facts: dict[str, Any], position: int, baseline: str, value: float, low: float, high: float
) -> None:
    """Set the gain over a baseline in one slice."""
    gain = facts["slices"][position]["baselines"][baseline]["gain"]
    gain.update(value=value, low=low, high=high)


@pytest.mark.parametrize("gain", [(0.01, -0.02, 0.04), (0.001, 0.0005, 0.0015)])
def test_trees_pass_where_they_are_better_or_not_shown_to_be_as_good(
    params: Params, gain: tuple[float, float, float]
) -> None:
    facts = changed(lambda f: set_gain(f, *gain))
    assert judge(make_context(facts, CONTRACT, params, CHAMPION, FAST)).verdict == "passed"


SPOILT: tuple[tuple[str, Callable[[dict[str, Any]], object]], ...] = (
    # The linear model is better, or as good within the margin of 0.005.
    ("better than linear", lambda f: set_gain(f, -0.001, -0.02, 0.02)),
    ("better than linear", lambda f: set_gain(f, 0.001, -0.003, 0.0049)),
    ("better than linear", lambda f: set_gain(f, 0.02, float("nan"), 0.04)),
    ("better than linear", lambda f: set_gain(f, 0.001, -0.02, float("nan"))),
    # The value is good, but the interval includes 0: it may have been luck.
    ("better than prior", lambda f: f["gains"]["prior"]["roc_auc"].update(low=-0.2)),
    # A tenth of validation's gain over the prior (0.25) is allowed.
    ("contamination", lambda f: f["contamination"].update(value=0.05, low=0.026, high=0.07)),
    ("contamination", lambda f: f["contamination"].update(low=float("nan"))),
    ("contamination", lambda f: f.update(seen_until="2013-07-01T00:00:00+00:00")),
    ("threshold", lambda f: f["decision"].update(excess_cost=0.01)),
    ("threshold", lambda f: f["decision"].update(excess_cost=float("nan"))),
    # The value is good, but its upper end is beyond the limit.
    ("calibration", lambda f: f["metrics"]["ece"].update(high=0.2)),
    ("calibration", lambda f: f["metrics"]["ece"].update(high=float("nan"))),
    # Every slice and every baseline counts; the limit is a quarter of 0.24, the gain over prior.
    ("slices", lambda f: set_slice_gain(f, 0, "linear", -0.1, -0.14, -0.061)),
    ("slices", lambda f: set_slice_gain(f, 1, "linear", -0.1, -0.14, -0.061)),
    ("slices", lambda f: set_slice_gain(f, 1, "prior", -0.1, -0.14, -0.061)),
    ("slices", lambda f: set_slice_gain(f, 0, "prior", -0.1, -0.14, float("nan"))),
    # The whole interval lies above the limit of 0.2, or of 0.1.
    ("groups: rate", lambda f: f["fairness"]["disparities"][0]["disparity"].update(low=0.21)),
    (
        "groups: true positive rate",
        lambda f: f["fairness"]["disparities"][1]["disparity"].update(low=0.11),
    ),
    (
        "groups: calibration",
        lambda f: f["fairness"]["disparities"][2]["disparity"].update(low=0.11),
    ),
    (
        "groups: rate",
        lambda f: f["fairness"]["disparities"][0]["disparity"].update(low=float("nan")),
    ),
    # The value is within the limit of 0.02, but its upper end is not.
    (
        "counterfactual flip rate: sex",
        lambda f: f["fairness"]["counterfactual_flips"][0]["rate"].update(high=0.03),
    ),
    (
        "counterfactual flip rate: sex",
        lambda f: f["fairness"]["counterfactual_flips"][0]["rate"].update(high=float("nan")),
    ),
    ("behavior: rain", lambda f: f["behavior"][0].update(proportion=0.94)),
    ("behavior: rain", lambda f: f["behavior"][0].update(proportion=float("nan"))),
    ("data recency", lambda f: f.update(staleness_days=31)),
    ("parity", lambda f: f["parity"].update(max_error=1e-3)),
    ("parity", lambda f: f["parity"].update(max_error=float("nan"))),
    ("size", lambda f: f.update(bundle_bytes=30_000_000)),
)
# What is wrong beside the facts of `evaluate`.
BESIDE: tuple[tuple[str, dict[str, Any]], ...] = (
    (
        "not worse than champion",
        {"champion": replace(CHAMPION, gain=Interval(-0.001, -0.02, 0.018))},
    ),
    (
        "not worse than champion",
        {"champion": replace(CHAMPION, gain=Interval(0.01, float("nan"), 0.02))},
    ),
    # A column that clients could leave out is required.
    ("contract", {"contract": replace(CONTRACT, columns=(replace(RAIN, required=True), LATE))}),
    ("latency", {"latency_us": 5001.0}),
    ("latency", {"latency_us": float("nan")}),
)


@pytest.mark.parametrize(("gate", "change"), SPOILT)
def test_each_gate_rejects_what_it_is_there_for(
    params: Params, gate: str, change: Callable[[dict[str, Any]], object]
) -> None:
    judgement = judge(make_context(changed(change), CONTRACT, params, CHAMPION, FAST))
    assert judgement.verdict == "rejected"
    assert find_rejecting(judgement) == [gate]


@pytest.mark.parametrize(("gate", "change"), BESIDE)
def test_a_gate_rejects_what_is_wrong_beside_the_facts(
    params: Params, gate: str, change: dict[str, Any]
) -> None:
    assert find_rejecting(
        judge(replace(make_context(FACTS, CONTRACT, params, CHAMPION, FAST), **change))
    ) == [gate]


def test_the_table_of_gates_has_each_gate_and_each_gate_is_seen_to_reject(params: Params) -> None:
    gates = {
        gate.name for gate in judge(make_context(FACTS, CONTRACT, params, CHAMPION, FAST)).gates
    }
    assert {name for name, _ in (*SPOILT, *BESIDE)} == gates
    text = (ROOT / "docs" / "gates.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([^|]+) \| [^|]+\? [^|]*\| [^|]+ \| [^|]+ \|$", text, re.MULTILINE)
    families = {row.removesuffix(" …").removesuffix(":") for row in rows}
    assert families == {re.sub(r"(better than|:).*", r"\1", name).rstrip(":") for name in gates}
    for file, name in re.findall(r"`ml-template/tests/chassis/(\S+\.py)::(\w+)`", text):
        assert f"def {name}(" in (TESTS / file).read_text(encoding="utf-8")


def test_the_sentence_about_a_worse_candidate_names_the_version_and_the_rows(
    params: Params,
) -> None:
    worse = ChampionFacts("3", CHAMPION.digest, CONTRACT, Interval(-0.001, -0.02, 0.018), 20_000)
    judgement = judge(make_context(FACTS, CONTRACT, params, worse, FAST))
    assert find_rejecting(judgement) == ["not worse than champion"]
    assert "version 3" in judgement.rejections[0].sentence
    assert "20,000 rows" in judgement.rejections[0].sentence


def test_a_candidate_that_cannot_be_compared_is_rejected_with_the_reason(params: Params) -> None:
    unknown = ChampionFacts("3", CHAMPION.digest, CONTRACT, obstacle="Too few rows are new.")
    judgement = judge(make_context(FACTS, CONTRACT, params, unknown, FAST))
    assert [gate.sentence for gate in judgement.rejections] == ["Too few rows are new."]


def test_the_champion_is_not_worse_than_itself(params: Params) -> None:
    itself = ChampionFacts("3", DIGEST, CONTRACT)
    judgement = judge(make_context(FACTS, CONTRACT, params, itself, FAST))
    assert judgement.verdict == "passed"
    assert "the champion itself (version 3)" in judgement.gates[2].sentence


def test_a_regression_has_no_calibration_gate(params: Params) -> None:
    facts = changed(lambda f: f["metrics"].pop("ece"))
    names = [gate.name for gate in judge(make_context(facts, CONTRACT, params, None, FAST)).gates]
    assert "calibration" not in names


def test_a_metric_that_was_not_measured_is_named(params: Params) -> None:
    section = params.judge.model_copy(update={"metric": "auc"})
    wrong = params.model_copy(update={"judge": section})
    with pytest.raises(ProjectError, match=r"judge.metric is 'auc'.*roc_auc, ece"):
        judge(make_context(FACTS, CONTRACT, wrong, None, FAST))


def test_a_judgement_reads_back_as_it_was_written(params: Params) -> None:
    judgement = judge(make_context(FACTS, CONTRACT, params, CHAMPION, FAST))
    assert Judgement.model_validate_json(judgement.model_dump_json()) == judgement


def test_a_judgement_of_an_older_version_is_read(params: Params) -> None:
    facts = changed(lambda f: f.update(staleness_days=31))
    judgement = judge(make_context(facts, CONTRACT, params, CHAMPION, FAST))
    older = judgement.model_dump_json().replace('"rejected"', '"refused"')
    assert older.count('"refused"') == 2
    assert Judgement.model_validate_json(older) == judgement


def test_the_slice_that_compares_worst_is_named(params: Params) -> None:
    facts = changed(lambda f: set_slice_gain(f, 0, "linear", -0.2, -0.27, -0.13))
    (gate,) = judge(make_context(facts, CONTRACT, params, CHAMPION, FAST)).rejections
    assert (
        "Of 2 slices the model compares worst in carrier UA, origin EWR (900 rows)" in gate.sentence
    )
    assert "0.2000 worse (-0.2700 to -0.1300) than the baseline 'linear'" in gate.sentence


def test_a_slice_that_is_harder_for_every_model_passes_and_is_named(params: Params) -> None:
    def make_hard(facts: dict[str, Any]) -> None:
        part = facts["slices"][0]
        part["value"].update(value=0.54, low=0.52, high=0.56)
        part["difference"].update(value=-0.2, low=-0.22, high=-0.18)
        part["baselines"]["linear"]["value"] = 0.53
        set_slice_gain(facts, 0, "linear", 0.01, -0.02, 0.04)
        set_slice_gain(facts, 0, "prior", 0.04, 0.01, 0.07)

    judgement = judge(make_context(changed(make_hard), CONTRACT, params, CHAMPION, FAST))
    assert judgement.verdict == "passed"
    (gate,) = (gate for gate in judgement.gates if gate.name == "slices")
    assert gate.sentence.endswith(
        "The hardest slice is carrier UA, origin EWR: roc_auc 0.5400, against 0.5000 by 'prior' "
        "and 0.5300 by 'linear'."
    )


def test_groups_that_are_too_small_to_compare_are_said_to_be_so(params: Params) -> None:
    facts = changed(lambda f: f["fairness"].update(disparities=[], counterfactual_flips=[]))
    found = {
        gate.name: gate for gate in judge(make_context(facts, CONTRACT, params, None, FAST)).gates
    }
    assert found["groups by sex"].verdict == "not tested"
    assert found["groups by sex"].sentence == (
        "No two groups by sex have 500 rows each, so they were not compared; bring more rows of "
        "them, or lower evaluate.min_slice_rows."
    )


def test_what_was_not_tested_is_counted_apart(params: Params) -> None:
    facts = changed(
        lambda f: (
            f.update(slices=[]),
            f["fairness"].update(disparities=[], counterfactual_flips=[]),
        )
    )
    judgement = judge(make_context(facts, CONTRACT, params, None, FAST))
    assert judgement.verdict == "passed"
    assert [gate.name for gate in judgement.gates if gate.verdict == "not tested"] == [
        "slices",
        "groups by sex",
    ]
    tested = len(judgement.gates) - 2
    assert judgement.summary == f"{tested} gates passed, 2 not tested"
    whole = judge(make_context(FACTS, CONTRACT, params, None, FAST))
    assert whole.summary == f"all {len(whole.gates)} gates passed"


def test_a_column_without_two_comparable_groups_is_named_although_another_has_them(
    params: Params,
) -> None:
    facts = changed(lambda f: f["fairness"].update(columns=["sex", "race"]))
    found = {
        gate.name: gate for gate in judge(make_context(facts, CONTRACT, params, None, FAST)).gates
    }
    assert found["groups by race"].verdict == "not tested"
    assert found["groups: rate"].verdict == "passed"


def test_a_measure_that_no_group_has_rows_for_is_not_tested(params: Params) -> None:
    facts = changed(lambda f: f["fairness"]["disparities"].pop(1))
    found = {
        gate.name: gate for gate in judge(make_context(facts, CONTRACT, params, None, FAST)).gates
    }
    assert found["groups: true positive rate"].verdict == "not tested"


@pytest.mark.parametrize("unit", ["day", "patient"])
def test_too_few_units_for_the_gain_in_both_windows_are_no_verdict(
    params: Params, unit: str
) -> None:
    few = {"unit": unit, "count": 4, "interval": "rows"}
    facts = changed(lambda f: f["contamination"].update(units=few, low=0.2, value=0.3, high=0.4))
    found = {
        gate.name: gate for gate in judge(make_context(facts, CONTRACT, params, None, FAST)).gates
    }
    assert found["contamination"].verdict == "not tested"


def test_a_test_window_of_one_month_says_what_it_does_not_know(params: Params) -> None:
    facts = changed(lambda f: f.update(units={"unit": "day", "count": 1, "interval": "rows"}))
    judgement = judge(make_context(facts, CONTRACT, params, None, FAST))
    (gate,) = [gate for gate in judgement.gates if gate.verdict == "not tested"]
    assert (gate.name, judgement.verdict) == ("units", "passed")
    assert "only 1 day: the intervals are those of its rows" in gate.sentence


def test_a_gain_that_is_too_large_is_said_with_every_cause_it_may_have(params: Params) -> None:
    facts = changed(lambda f: f["contamination"].update(value=0.05, low=0.026, high=0.07))
    facts["units"] = {"unit": "row", "count": 900, "interval": "bootstrap"}
    (gate,) = judge(make_context(facts, CONTRACT, params, CHAMPION, FAST)).rejections
    for cause in (
        "the model has seen rows of the test split",
        "set split.strategy: group",
        "another mix of rows",
        "outcome has changed",
        "raise judge.max_contamination",
    ):
        assert cause in gate.sentence
    gates = judge(make_context(FACTS, CONTRACT, params, CHAMPION, FAST)).gates
    (passed,) = [gate for gate in gates if gate.name == "contamination"]
    assert "seen" not in passed.sentence
    assert "too good" not in passed.sentence


def test_sentences_keep_the_digits_of_small_and_of_large_numbers(params: Params) -> None:
    gain = {"value": 1.2e-5, "low": 0.9e-5, "high": 1.5e-5, "validation_gain_over_prior": 2e-5}
    facts = changed(lambda f: (f["contamination"].update(gain), f.update(bundle_bytes=123_456_789)))
    gates = judge(make_context(facts, CONTRACT, params, CHAMPION, FAST)).gates
    sentences = {gate.name: gate.sentence for gate in gates}
    assert "0.0000" not in sentences["contamination"]
    assert "The graph has 123.5 MB;" in sentences["size"]


def just_beyond(facts: dict[str, Any]) -> None:
    """Put everything beyond its limit by less than sentences usually show."""
    facts["metrics"]["ece"] = {"value": 0.04, "low": 0.03, "high": 0.08000003}
    facts["decision"]["excess_cost"] = 0.00100003
    facts["behavior"][0]["proportion"] = 0.9499997
    facts["parity"]["max_error"] = 1.0000003e-5
    facts["bundle_bytes"] = 20_000_300
    flips = facts["fairness"]["counterfactual_flips"][0]
    flips["rate"] = {"value": 0.005, "low": 0.001, "high": 0.02000003}
    set_gain(facts, 0.003, -0.0010003, 0.0049997)


def test_a_value_just_beyond_its_limit_does_not_look_equal_to_it(params: Params) -> None:
    context = make_context(changed(just_beyond), CONTRACT, params, CHAMPION, 5000.03)
    found = {gate.name: gate.sentence for gate in judge(context).rejections}
    for name, words in {
        "calibration": ("0.08000003); ", " beyond 0.08 "),
        "threshold": ("cost 0.100003% more", "0.100000% is allowed"),
        "behavior: rain": ("94.99997% of", "at least 95.00000% must"),
        "parity": ("1.0000003e-05 at most", "1e-05 is"),
        "size": ("20.0003 MB", "20 MB are"),
        "counterfactual flip rate: sex": ("2.000003%) of", "beyond 2.000000% "),
        "latency": ("5,000.03 µs", "5,000 µs are"),
    }.items():
        assert all(word in found[name] for word in words), found[name]


def test_the_two_groups_that_differ_most_are_named(params: Params) -> None:
    facts = changed(
        lambda f: f["fairness"]["disparities"][0]["disparity"].update(value=0.3, low=0.25, high=0.4)
    )
    (gate,) = judge(make_context(facts, CONTRACT, params, CHAMPION, FAST)).rejections
    assert gate.sentence == (
        "The rate differs most between sex m (0.330 in 9,000 rows) and sex f (0.300 in 8,000 "
        "rows): by 0.300 (0.250 to 0.400); the interval, corrected for 3 disparities between "
        "groups, must reach down to 0.2 (judge.max_disparity.rate)."
    )


def test_what_does_not_exist_is_not_judged(params: Params) -> None:
    facts = changed(lambda f: f.update(slices=[], behavior=[], staleness_days=None, decision=None))
    facts["fairness"] = None
    names = [gate.name for gate in judge(make_context(facts, CONTRACT, params, None, FAST)).gates]
    assert "slices" in names
    assert not {"data recency", "behavior: rain", "threshold"} & set(names)
    assert not [name for name in names if name.startswith(("groups", "counterfactual"))]


def test_a_model_that_has_seen_its_test_window_is_named_with_the_dates(params: Params) -> None:
    facts = changed(lambda f: f.update(seen_until="2013-08-10T12:00:00+00:00"))
    (gate,) = judge(make_context(facts, CONTRACT, params, CHAMPION, FAST)).rejections
    assert gate.sentence == (
        "The model has seen rows until 2013-08-10T12:00:00+00:00, but its test split begins at "
        "2013-07-01T00:00:00+00:00."
    )


def test_slices_that_were_not_compared_say_why(params: Params) -> None:
    for columns, said in (
        (["shop", "size"], "No slice by shop, size has "),
        ([], "No column"),
    ):
        facts = copy.deepcopy(FACTS)
        facts.update(slices=[], slice_columns=columns)
        found = {
            gate.name: gate
            for gate in judge(make_context(facts, CONTRACT, params, None, FAST)).gates
        }
        assert found["slices"].verdict == "not tested"
        assert found["slices"].sentence.startswith(said)


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(0.0, 0.06, "passed"), (0.0, 0.3, "not tested"), (0.1, 0.3, "rejected")],
)
def test_few_units_leave_the_calibration_open(
    params: Params, low: float, high: float, verdict: str
) -> None:
    few = {"unit": "patient", "count": 9, "interval": "t"}
    facts = changed(lambda f: f["metrics"]["ece"].update(value=0.05, low=low, high=high))
    facts["units"] = few
    found = {
        gate.name: gate for gate in judge(make_context(facts, CONTRACT, params, None, FAST)).gates
    }
    assert found["calibration"].verdict == verdict
    many = {**facts, "units": {**few, "count": 90, "interval": "bootstrap"}}
    found = {
        gate.name: gate for gate in judge(make_context(many, CONTRACT, params, None, FAST)).gates
    }
    assert found["calibration"].verdict == ("passed" if verdict == "passed" else "rejected")


def test_a_gate_of_the_project_rejects_a_bundle_like_a_built_in_one(params: Params) -> None:
    @gate
    def reach(context: GateContext) -> GateResult:
        return GateResult.at_least("reach", context.evaluation.metrics["roc_auc"].value, 0.9)

    judgement = judge(make_context(FACTS, CONTRACT, params, CHAMPION, FAST), [reach])
    assert find_rejecting(judgement) == ["reach"]
    assert judgement.verdict == "rejected"


def test_a_gate_that_returns_something_else_is_named_with_what_to_write(params: Params) -> None:
    @gate
    def reach(context: GateContext) -> Any:
        return context.latency_us < 1

    with pytest.raises(ProjectError, match=r"reach\(.*test_judgement\.py returned bool as a gate"):
        judge(make_context(FACTS, CONTRACT, params, CHAMPION, FAST), [reach])
