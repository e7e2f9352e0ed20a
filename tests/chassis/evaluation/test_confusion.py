"""The confusion behind the probabilities, with its intervals."""

import json

import numpy as np
import pytest

from mlchassis.config.params import Resampling
from mlchassis.evaluation.confusion import Costs, decide, describe_confusion, excess_cost

SETTINGS: Resampling = {"resamples": 200, "confidence": 0.95, "seed": 1}
COSTS = Costs(1.0, 3.0)
CLASSES = ["late", "never", "soon"]


def test_every_proportion_of_the_confusion_has_its_interval() -> None:
    draw = np.random.default_rng(1)
    target = draw.choice(3, 3000, p=[0.5, 0.3, 0.2])
    chosen = np.where(draw.random(3000) < 0.7, target, draw.choice(3, 3000))
    found = describe_confusion(
        target.astype(float), chosen, CLASSES, COSTS, np.arange(3000), **SETTINGS
    )
    for true in range(3):
        line = found.confusion[true]
        assert line == [int(((target == true) & (chosen == k)).sum()) for k in range(3)]
        for answered, spread in enumerate(found.proportions[true]):
            assert spread is not None
            assert spread.value == pytest.approx(line[answered] / sum(line))
            # The interval of a proportion of n independent rows: two standard errors to each side.
            error = np.sqrt(spread.value * (1 - spread.value) / sum(line))
            assert spread.high - spread.low == pytest.approx(4 * error, rel=0.3)
    recall = found.measured["recall of never"].value
    assert recall == pytest.approx(found.confusion[1][1] / (target == 1).sum())
    precision = found.measured["precision of never"].value
    assert precision == pytest.approx(found.confusion[1][1] / (chosen == 1).sum())


def test_an_answer_is_positive_from_the_threshold_on_and_else_the_most_likely() -> None:
    scores = np.array([[0.7, 0.3], [0.6, 0.4], [0.4, 0.6]])
    assert decide(scores, 0.4).tolist() == [0, 1, 1]
    assert decide(scores, None).tolist() == [0, 0, 1]


def test_where_no_error_is_needed_any_error_is_all_too_dear() -> None:
    target, probability = np.array([0.0, 0.0, 1.0, 1.0]), np.array([0.1, 0.2, 0.8, 0.9])
    assert excess_cost(target, probability, 0.5, COSTS) == 0
    assert excess_cost(target, probability, 0.15, COSTS) == 1


@pytest.mark.parametrize("names", [["no", "yes"], CLASSES])
def test_what_cannot_be_divided_is_left_out_and_the_facts_can_be_written(
    names: list[str],
) -> None:
    # Nothing is ever called positive, and the last of three classes is nowhere.
    target, chosen = np.array([0.0, 1, 0, 1] * 50), np.zeros(200, dtype=np.intp)
    found = describe_confusion(target, chosen, names, COSTS, np.arange(200) // 10, **SETTINGS)
    json.dumps(found.model_dump(), allow_nan=False)
    if len(names) == 2:
        assert found.measured.keys() == {"recall", "cost"}
    else:
        assert found.measured.keys() == {
            "precision of late",
            "recall of late",
            "recall of never",
        }
        assert found.proportions[2] == [None, None, None]


def test_of_many_classes_the_counts_are_enough() -> None:
    target = np.arange(400.0) % 20
    names = [f"class {k}" for k in range(20)]
    found = describe_confusion(
        target, target.astype(np.intp), names, COSTS, np.arange(400), **SETTINGS
    )
    assert found.proportions == []
    assert len(found.measured) == 40


@pytest.mark.parametrize("days", [1, 10])
def test_a_proportion_of_all_rows_or_of_none_is_not_certain(days: int) -> None:
    target = np.array([1.0] * 13 + [0.0] * 87)
    chosen = np.array([1] * 3 + [0] * 97)
    found = describe_confusion(
        target, chosen, ["no", "yes"], COSTS, np.arange(100) // days, **SETTINGS
    )
    # The exact interval of 3 hits in 3 rows, and of none in 87.
    precision = found.measured["precision"]
    assert (precision.value, precision.high) == (1, 1)
    assert precision.low == pytest.approx(0.0250 ** (1 / 3))
    alarms = found.proportions[0][1]
    assert alarms is not None
    assert (alarms.value, alarms.low) == (0, 0)
    assert alarms.high == pytest.approx(1 - 0.025 ** (1 / 87))
