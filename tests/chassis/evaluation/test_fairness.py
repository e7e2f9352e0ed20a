"""Groups of people beside each other: what differs is found, what does not is not."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlchassis.contract.model import Contract, parse_contract
from mlchassis.data.tables import coerce
from mlchassis.evaluation.fairness import (
    FLIPPED_ROWS,
    describe_fairness,
    list_alternatives,
    measure_counterfactual_flips,
)
from mlchassis.evaluation.metrics import Floats
from mlchassis.evaluation.results import Disparity, Fairness

SIZE = 6000
CONTRACT = """
apiVersion: v3.2.0
version: 1.0.0
schema:
  - properties:
      - {name: income, logicalType: number, required: true, tags: [feature]}
      - {name: sex, logicalType: string, tags: [feature, sensitive]}
      - {name: age, logicalType: integer, required: true, tags: [sensitive]}
      - {name: paid, TARGET, tags: [target]}
"""
TARGETS = {
    "binary": "logicalType: boolean",
    "multiclass": "logicalType: string, enum: [{value: late}, {value: never}, {value: soon}]",
    "regression": "logicalType: number",
}
Answer = Callable[[pd.DataFrame], Floats]


def read(task: str) -> Contract:
    return parse_contract(CONTRACT.replace("TARGET", TARGETS[task]))


def make_rows(contract: Contract, seed: int) -> pd.DataFrame:
    """People whose income alone decides; sex and age tell nothing."""
    draw = np.random.default_rng(seed)
    income = draw.normal(size=SIZE)
    outcome: Any = income + draw.normal(size=SIZE)
    if contract.task == "binary":
        outcome = outcome > 0
    elif contract.task == "multiclass":
        outcome = np.array(contract.classes)[np.digitize(outcome, [-0.7, 0.7])]
    return coerce(
        pd.DataFrame(
            {
                "income": income,
                "sex": np.array(["f", "m", None])[draw.choice(3, SIZE, p=[0.45, 0.5, 0.05])],
                "age": draw.integers(18, 90, SIZE),
                "paid": outcome,
            }
        ),
        contract,
    )


def is_of(rows: pd.DataFrame, sex: str) -> Any:
    return (rows["sex"] == sex).to_numpy(dtype=bool, na_value=False)


def answer(contract: Contract, favor: float) -> Answer:
    """A model that knows income, and adds so much for men."""

    def score(rows: pd.DataFrame) -> Floats:
        found: Floats = rows["income"].to_numpy(dtype=float) + favor * is_of(rows, "m")
        if contract.task == "regression":
            return found[:, None]
        if contract.task == "binary":
            yes = 1 / (1 + np.exp(-1.7 * found))
            return np.column_stack([1 - yes, yes])
        parts: Floats = np.exp(np.column_stack([-2 * found, np.full(len(found), 0.3), 2 * found]))
        parts /= parts.sum(axis=1, keepdims=True)
        return parts

    return score


@cache
def describe(task: str, favor: float, seed: int = 1) -> Fairness:
    return describe_rows(task, favor, make_rows(read(task), seed))


def describe_rows(task: str, favor: float, rows: pd.DataFrame) -> Fairness:
    contract = read(task)
    told = describe_fairness(
        rows,
        contract,
        answer(contract, favor),
        0.5 if task == "binary" else None,
        np.arange(SIZE),
        min_rows=500,
        resamples=100,
        confidence=0.95,
        seed=1,
    )
    assert told is not None
    return told


def of_sex(told: Fairness) -> dict[str, Disparity]:
    return {
        gap.measure: gap
        for gap in told.disparities
        if [part.where.keys() for part in gap.groups] == [{"sex"}, {"sex"}]
    }


@pytest.mark.parametrize("task", TARGETS)
def test_a_favored_group_is_found_in_every_kind_of_problem(task: str) -> None:
    told = describe(task, favor=1.0)
    gaps = of_sex(told)
    (flips,) = told.counterfactual_flips
    assert flips.column == "sex"
    assert flips.rate.low > 0.1
    worst = max(gaps.values(), key=lambda gap: gap.disparity.low)
    assert worst.disparity.low > 0.2
    assert [part.where["sex"] for part in worst.groups] in (["m", "f"], ["f", "m"])


def test_a_favored_group_differs_in_all_three_measures() -> None:
    gaps = of_sex(describe("binary", favor=1.0))
    assert list(gaps) == ["rate", "true positive rate", "calibration"]
    assert all(gap.disparity.low > 0.1 for gap in gaps.values())
    assert all(gap.groups[0].where == {"sex": "m"} for gap in gaps.values())


@pytest.mark.one_python
@pytest.mark.parametrize("task", TARGETS)
def test_an_impartial_model_passes_for_twenty_seeds(task: str) -> None:
    for seed in range(20):
        told = describe(task, favor=0.0, seed=seed)
        rate = told.counterfactual_flips[0].rate
        assert (rate.value, rate.low) == (0.0, 0.0)
        assert rate.high == pytest.approx(0.0018, abs=1e-4)
        assert max(gap.disparity.low for gap in told.disparities) < 0.1


@pytest.mark.one_python
def test_intervals_hold_for_all_gaps_at_once() -> None:
    # No group differs in truth, so an interval without 0 is an error; there may be one in twenty.
    told = [describe("binary", 0.0, seed).disparities for seed in range(20)]
    assert sum(any(gap.disparity.low > 0 for gap in gaps) for gaps in told) <= 3


def test_a_gap_is_what_counting_gives() -> None:
    contract = read("binary")
    rows = make_rows(contract, 3)
    told = of_sex(describe_rows("binary", 1.0, rows))
    score = answer(contract, 1.0)(rows)[:, 1]
    proportions: dict[str, tuple[float, float, float]] = {}
    for sex in ("m", "f"):
        of = is_of(rows, sex)
        true = rows["paid"].to_numpy(dtype=bool)
        given = score >= 0.5
        proportions[sex] = (
            given[of].mean(),
            given[of & true].mean(),
            (score - true)[of].mean(),
        )
    for position, measure in enumerate(("rate", "true positive rate", "calibration")):
        high, low = told[measure].groups
        assert high.where == {"sex": "m"}
        assert high.value == pytest.approx(proportions["m"][position])
        assert low.value == pytest.approx(proportions["f"][position])
        assert told[measure].disparity.value == pytest.approx(high.value - low.value)


def test_groups_by_two_columns_are_compared_with_their_like() -> None:
    told = describe("binary", 1.0)
    columns = {frozenset(part.where) for gap in told.disparities for part in gap.groups}
    assert columns == {frozenset({"sex"}), frozenset({"age"}), frozenset({"sex", "age"})}
    for gap in told.disparities:
        one, other = (part.where for part in gap.groups)
        assert one.keys() == other.keys()


def test_a_flip_is_a_row_whose_answer_another_value_changes() -> None:
    contract = read("binary")
    rows = make_rows(contract, 3)
    chosen = rows.iloc[np.linspace(0, SIZE - 1, FLIPPED_ROWS).astype(int)]
    income = chosen["income"].to_numpy(dtype=float)
    (flips,) = describe_rows("binary", 1.0, rows).counterfactual_flips
    assert flips.rows == FLIPPED_ROWS
    assert flips.rate.value == pytest.approx(((income < 0) & (income >= -1)).mean())


@pytest.mark.parametrize(("favor", "value", "low", "high"), [(0, 0, 0, 0.1684), (1, 1, 0.8316, 1)])
def test_no_flip_in_few_rows_is_not_certain(
    favor: float, value: float, low: float, high: float
) -> None:
    rows = make_rows(read("binary"), 1).iloc[:20].assign(income=-0.5)
    (flips,) = measure_counterfactual_flips(
        rows,
        read("binary"),
        lambda one, other: (one[:, 1] >= 0.5) != (other[:, 1] >= 0.5),
        answer(read("binary"), favor),
        np.arange(20),
        resamples=100,
        confidence=0.95,
        seed=1,
    )
    rate = flips.rate
    assert (rate.value, rate.low, rate.high) == pytest.approx((value, low, high), abs=1e-4)


def test_a_column_that_is_no_feature_cannot_flip_an_answer_but_is_compared() -> None:
    told = describe("binary", 1.0)
    assert [flips.column for flips in told.counterfactual_flips] == ["sex"]
    assert any("age" in gap.groups[0].where for gap in told.disparities)


def test_few_true_rows_are_no_ground_for_a_proportion() -> None:
    rows = make_rows(read("binary"), 3)
    rows.loc[is_of(rows, "f"), "paid"] = False
    told = of_sex(describe_rows("binary", 1.0, rows))
    assert "rate" in told
    assert "true positive rate" not in told


def test_without_a_sensitive_column_nothing_is_asked() -> None:
    contract = parse_contract(
        CONTRACT.replace("TARGET", TARGETS["binary"])
        .replace(", sensitive", "")
        .replace("tags: [sensitive]", "tags: [pii]")
    )

    def never(_: pd.DataFrame) -> Floats:
        raise AssertionError

    found = describe_fairness(
        make_rows(contract, 1),
        contract,
        never,
        0.5,
        np.arange(SIZE),
        min_rows=500,
        resamples=60,
        confidence=0.95,
        seed=1,
    )
    assert found is None


def test_numbers_are_changed_to_the_middles_of_their_quarters() -> None:
    assert list_alternatives(pd.Series(range(100), dtype="Int64")) == [12, 37, 62, 87]
    assert list_alternatives(pd.Series([1, None, 2, 2], dtype="Int64")) == [2, 1]
    assert sorted(list_alternatives(pd.Series([True, None, False], dtype="boolean"))) == [0, 1]


def test_groups_of_a_persons_column_are_numbered_and_not_named() -> None:
    named = read("binary")
    hidden = parse_contract(
        CONTRACT.replace("TARGET", TARGETS["binary"]).replace("sensitive]", "sensitive, pii]")
    )
    rows = make_rows(named, seed=1)
    settings: dict[str, Any] = {"resamples": 100, "confidence": 0.95, "seed": 1, "min_rows": 200}
    plain, pseudonymous = (
        describe_fairness(rows, contract, answer(named, 1.0), 0.5, np.arange(SIZE), **settings)
        for contract in (named, hidden)
    )
    assert plain is not None
    assert pseudonymous is not None
    assert [gap.disparity for gap in pseudonymous.disparities] == [
        gap.disparity for gap in plain.disparities
    ]
    pairs = {
        (column, label, hidden_part.where[column])
        for gap, hidden_gap in zip(plain.disparities, pseudonymous.disparities, strict=True)
        for part, hidden_part in zip(gap.groups, hidden_gap.groups, strict=True)
        for column, label in part.where.items()
    }
    assert len({label for column, label, _ in pairs if column == "age"}) == 4
    ages = {shown for column, _, shown in pairs if column == "age"}
    assert ages == {"group 1", "group 2", "group 3", "group 4"}
    assert {(label, shown) for column, label, shown in pairs if column == "sex"} == {
        ("f", "group 1"),
        ("m", "group 2"),
        ("(missing)", "(missing)"),
    }
