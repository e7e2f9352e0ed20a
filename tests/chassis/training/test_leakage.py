"""The look for a feature that knows the answer by itself."""

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from mlchassis.contract.model import Contract
from mlchassis.errors import ProjectError
from mlchassis.evaluation.metrics import Floats
from mlchassis.features.encoding import MISSING, Columns, arrange_features
from mlchassis.training.leakage import find_formula, rank_single_features
from mlchassis.training.train import check_leakage

ROWS = 4000
LIMIT = 0.85


def draw(seed: int) -> tuple[dict[str, Floats], Floats]:
    """A delay of which late is a part of the truth, as `dep_delay` is, and clean features."""
    generator = np.random.default_rng(seed)
    arrival = generator.normal(0, 20, ROWS)
    features = {
        "wind": generator.normal(size=ROWS) + arrival / 40,
        "noise": generator.normal(size=ROWS),
        "dep_delay": arrival + generator.normal(0, 6, ROWS),
    }
    return features, (arrival >= 15).astype(float)


def rank(
    train: Columns, truth: Floats, validation: Columns, validation_truth: Floats
) -> dict[str, float]:
    return rank_single_features(
        arrange_features(train), truth, arrange_features(validation), validation_truth
    )


def test_a_delay_known_only_afterwards_is_caught(contract: Contract) -> None:
    alone = rank(*draw(1), *draw(2))

    assert next(iter(alone)) == "dep_delay"
    assert alone["dep_delay"] > 0.95
    with pytest.raises(
        ProjectError, match=r"The feature 'dep_delay' alone predicts .* tag its column"
    ):
        check_leakage(alone, contract, LIMIT)


def test_clean_features_pass(contract: Contract) -> None:
    (train, train_target), (validation, validation_target) = draw(1), draw(2)
    del train["dep_delay"], validation["dep_delay"]
    alone = rank(train, train_target, validation, validation_target)

    assert alone["noise"] == pytest.approx(0.5, abs=0.03)
    check_leakage(alone, contract, LIMIT)


def test_a_monotone_feature_gets_about_the_area_of_its_values() -> None:
    (train, train_target), (validation, validation_target) = draw(1), draw(2)
    alone = rank(train, train_target, validation, validation_target)

    assert alone["wind"] == pytest.approx(
        roc_auc_score(validation_target, validation["wind"]), abs=0.02
    )


def test_it_does_not_matter_whether_high_or_low_values_tell() -> None:
    (train, train_target), (validation, validation_target) = draw(1), draw(2)
    upside_down = rank(
        {name: -values for name, values in train.items()},
        train_target,
        {name: -values for name, values in validation.items()},
        validation_target,
    )

    assert upside_down["dep_delay"] > 0.95


def test_a_value_that_is_missing_only_after_the_event_is_caught() -> None:
    generator = np.random.default_rng(1)
    target = (generator.random(ROWS) < 0.3).astype(float)
    number = np.where(target == 1, np.nan, generator.normal(size=ROWS))
    word = np.where(target == 1, MISSING, generator.choice(["a", "b"], ROWS)).astype(object)
    features = {"number": number, "word": word}
    alone = rank(features, target, features, target)

    assert alone == {"number": pytest.approx(1), "word": pytest.approx(1)}


def test_a_word_never_seen_in_training_tells_nothing() -> None:
    target = np.array([0.0, 1] * 50)
    seen = {"word": np.array([f"seen {k}" for k in range(100)], dtype=object)}
    unseen = {"word": np.array([f"unseen {k}" for k in range(100)], dtype=object)}

    assert rank(seen, target, unseen, target) == {"word": pytest.approx(0.5)}


def test_a_feature_that_is_always_missing_tells_nothing() -> None:
    target = np.array([0.0, 1] * 50)
    empty = {"number": np.full(100, np.nan)}

    assert rank(empty, target, empty, target) == {"number": pytest.approx(0.5)}


def test_a_number_to_predict_is_compared_with_its_median() -> None:
    generator = np.random.default_rng(1)
    price = generator.lognormal(size=ROWS)
    features = {"copy": price * 2, "noise": generator.normal(size=ROWS)}
    alone = rank(features, price, features, price)

    assert alone["copy"] > 0.98
    assert alone["noise"] < 0.6


@pytest.mark.parametrize("most", [0.0, 10.0])
@pytest.mark.parametrize("values", ["many", "two"])
def test_a_copy_of_a_number_that_most_rows_share_is_caught(most: float, values: str) -> None:
    """A grade that most rows have in full, or a bill that most rows do not have to pay."""
    generator = np.random.default_rng(1)
    others = generator.uniform(1, 9, ROWS) if values == "many" else np.full(ROWS, 5.0)
    target = np.where(generator.random(ROWS) < 0.7, most, others)
    features = {"copy": target * 2, "noise": generator.normal(size=ROWS)}
    alone = rank(features, target, features, target)

    assert alone["copy"] > 0.98
    assert alone["noise"] < 0.6


def test_a_split_with_one_outcome_alone_is_no_ground_for_a_suspicion() -> None:
    target = np.array([0.0, 1] * 50)
    features = {"number": np.arange(100.0)}

    assert rank(features, target, features, np.zeros(100)) == {"number": 0.5}


@pytest.mark.parametrize("position", range(5))
def test_a_column_that_marks_one_class_of_several_is_caught_wherever_it_stands(
    position: int,
) -> None:
    generator = np.random.default_rng(1)
    target = generator.integers(5, size=ROWS).astype(float)
    features = {
        "marks": (target == position).astype(float),
        "noise": generator.normal(size=ROWS),
    }
    matrix = arrange_features(features)
    alone = rank_single_features(matrix, target, matrix, target, classes=5)

    assert alone["marks"] == pytest.approx(1)
    assert alone["noise"] < 0.6


def test_a_class_of_few_rows_is_no_ground_for_a_suspicion() -> None:
    for seed in range(20):
        generator = np.random.default_rng(seed)
        target = np.where(np.arange(ROWS) % 500 == 0, 2.0, generator.integers(2, size=ROWS))
        parts = [
            arrange_features({f"n{k}": generator.normal(size=ROWS) for k in range(20)})
            for _ in range(2)
        ]
        alone = rank_single_features(parts[0], target, parts[1], target, classes=3)
        assert max(alone.values()) < 0.6


def draw_operands(seed: int) -> dict[str, Floats]:
    generator = np.random.default_rng(seed)
    names = ("a", "b", "c", *(f"n{k}" for k in range(10)))
    return {name: generator.gamma(2, 10, 1000).round(2) + 0.01 for name in names}


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        (lambda c: c["a"] + c["b"], {"a", "b"}),
        (lambda c: c["a"] - c["b"], {"a", "b"}),
        (lambda c: c["b"] * c["a"], {"a", "b"}),
        (lambda c: (c["a"] / c["b"]).round(3), {"a", "b"}),
        (lambda c: (c["a"] + c["b"] + c["c"]) / 3, {"a", "b", "c"}),
        (lambda c: c["a"] + c["b"] - c["c"], {"a", "b", "c"}),
    ],
)
def test_columns_that_give_a_number_are_found(formula: Any, expected: set[str]) -> None:
    columns = draw_operands(1)
    assert set(find_formula(columns, formula(columns), numbers=True)) == expected


@pytest.mark.parametrize(
    "formula",
    [
        lambda c: c["a"] - c["b"] > 15,
        lambda c: c["a"] + c["b"] > 60,
        lambda c: c["a"] / c["b"] > 2,
    ],
)
def test_columns_that_decide_a_yes_or_no_are_found(formula: Any) -> None:
    columns = draw_operands(2)
    target = formula(columns).astype(float)
    assert set(find_formula(columns, target, numbers=False)) == {"a", "b"}


@pytest.mark.parametrize("seed", range(20))
def test_a_target_with_a_part_of_its_own_is_no_formula(seed: int) -> None:
    columns, generator = draw_operands(seed), np.random.default_rng(seed)
    number = columns["a"] + columns["b"] + generator.normal(scale=2, size=1000)
    assert find_formula(columns, number, numbers=True) == []
    assert find_formula(columns, (number > 40).astype(float), numbers=False) == []
