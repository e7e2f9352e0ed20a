import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from mlchassis.config.params import Resampling
from mlchassis.evaluation.metrics import Floats, Metric, Statistic, metrics_for, proportion
from mlchassis.evaluation.results import SliceResult
from mlchassis.evaluation.slices import Slice, find_slices, measure_slices, simultaneous

SETTINGS: Resampling = {"resamples": 60, "confidence": 0.95, "seed": 1}
DAYS = 60


def draw(seed: int, size: int = 6000) -> tuple[pd.DataFrame, Floats, Floats, NDArray[np.intp]]:
    """A model that is right about equally often everywhere, on days that differ."""
    generator = np.random.default_rng(seed)
    rows = pd.DataFrame(
        {
            "shop": generator.choice(list("ABCDEF"), size),
            "floor": generator.choice(["up", "down"], size),
        }
    )
    day = np.arange(size) % DAYS
    truth = generator.normal(size=size) + generator.normal(scale=0.5, size=DAYS)[day]
    target = (truth + generator.normal(size=size) > 0).astype(np.float64)
    probability = 1 / (1 + np.exp(-truth))
    return rows, target, np.column_stack([1 - probability, probability]), day


def measure(seed: int, spoil: str | None = None) -> tuple[list[SliceResult], float]:
    """The slices' facts beside those of a simpler model, and the model's gain over chance."""
    rows, target, scores, day = draw(seed)
    simple = scores + np.random.default_rng(seed).normal(scale=0.1, size=scores.shape)
    if spoil:
        there = np.flatnonzero(rows["shop"] == spoil)
        scores[there] = np.random.default_rng(seed).permutation(scores[there])
    metric = metrics_for("binary")["roc_auc"]
    slices = find_slices(rows, ["shop", "floor"], min_rows=300)
    answers = {"candidate": scores, "linear": simple}
    found = measure_slices(slices, metric, target, answers, day, **SETTINGS)
    return found, metric.prepare(target, scores)(np.ones(len(target))) - 0.5


def test_values_and_pairs_with_enough_rows_are_slices() -> None:
    rows = pd.DataFrame({"a": ["x"] * 60 + ["y"] * 30 + [None] * 10, "b": ["p", "q"] * 50})
    found = [(part.where, len(part.rows)) for part in find_slices(rows, ["a", "b"], min_rows=15)]
    assert found == [
        ({"a": "x"}, 60),
        ({"a": "y"}, 30),
        ({"b": "p"}, 50),
        ({"b": "q"}, 50),
        ({"a": "x", "b": "p"}, 30),
        ({"a": "x", "b": "q"}, 30),
        ({"a": "y", "b": "p"}, 15),
        ({"a": "y", "b": "q"}, 15),
    ]
    missing = find_slices(rows, ["a"], min_rows=10)[0]
    assert (missing.where, len(missing.rows)) == ({"a": "(missing)"}, 10)


def test_a_pair_that_is_one_of_its_columns_is_no_slice_of_its_own() -> None:
    rows = pd.DataFrame({"a": ["x"] * 50 + ["y"] * 50, "b": ["p"] * 50 + ["q"] * 50})
    assert [part.where for part in find_slices(rows, ["a", "b"], 10)] == [{"a": "x"}, {"a": "y"}]


def test_many_numbers_are_cut_into_quarters() -> None:
    rows = pd.DataFrame({"age": pd.array([*range(99), None], dtype="Int64")})
    assert [len(part.rows) for part in find_slices(rows, ["age"], min_rows=20)] == [25, 25, 24, 25]


def test_whatever_holds_all_rows_or_lacks_a_class_is_left_out() -> None:
    rows, target, scores, day = draw(1)
    assert find_slices(rows.assign(same="s"), ["same"], 10) == []
    alone = Slice({"shop": "none"}, np.flatnonzero(target == 1))
    metric = metrics_for("binary")["roc_auc"]
    assert measure_slices([alone], metric, target, {"candidate": scores}, day, **SETTINGS) == []


def test_a_slice_is_measured_like_a_table_of_its_own() -> None:
    rows, target, scores, day = draw(1)
    metric = metrics_for("binary")["log_loss"]
    part = find_slices(rows, ["shop"], 300)[2]
    answers = {"candidate": scores, "prior": np.full_like(scores, 0.5)}
    (facts,) = measure_slices([part], metric, target, answers, day, **SETTINGS)
    alone = metric.prepare(target[part.rows], scores[part.rows])(np.ones(len(part.rows)))
    whole = metric.prepare(target, scores)(np.ones(len(target)))
    assert facts.value.value == pytest.approx(alone)
    # A loss that is larger than the whole's is worse: a difference below 0.
    difference = facts.difference
    prior = facts.baselines["prior"]
    assert difference.value == pytest.approx(whole - alone)
    assert difference.low < difference.value < difference.high
    assert prior.value == pytest.approx(np.log(2))
    assert prior.gain.value == pytest.approx(np.log(2) - alone)
    assert prior.gain.low < prior.gain.value < prior.gain.high


def test_a_baseline_without_a_value_in_a_slice_is_left_out_there() -> None:
    rows, target, scores, day = draw(1)

    def precision(truth: Floats, probability: Floats, groups: NDArray[np.intp]) -> Statistic:
        called = probability[:, 1] > 0.5
        return proportion(called & (truth == 1), called, groups)

    answers = {"candidate": scores, "prior": np.full_like(scores, 0.5)}
    part = find_slices(rows, ["shop"], 300)[0]
    metric = Metric(precision, higher_is_better=True)
    (facts,) = measure_slices([part], metric, target, answers, day, **SETTINGS)
    assert facts.baselines == {}


@pytest.mark.one_python
@pytest.mark.parametrize("seed", range(20))
def test_a_model_that_is_equally_good_everywhere_is_not_accused(seed: int) -> None:
    found, gain = measure(seed)
    assert len(found) == 6 + 2 + 12
    assert all(part.baselines["linear"].gain.high >= -0.25 * gain for part in found)


@pytest.mark.one_python
@pytest.mark.parametrize("seed", range(5))
def test_a_slice_whose_answers_are_shuffled_is_found(seed: int) -> None:
    found, gain = measure(seed, spoil="C")
    worst = min(found, key=lambda part: part.baselines["linear"].gain.high)
    assert worst.where["shop"] == "C"
    assert worst.baselines["linear"].gain.high < -0.25 * gain


def test_intervals_hold_for_all_at_once() -> None:
    generator = np.random.default_rng(4)
    inside = 0
    for _ in range(200):
        values = generator.normal(size=30)
        draws = values + generator.normal(size=(300, 30))
        intervals = simultaneous(values, draws, 0.95, [1000] * 30)
        inside += all(interval.low <= 0 <= interval.high for interval in intervals)
    # Of single 95 % intervals all 30 would hold in 0.95³⁰ = 21 % of the cases.
    assert 0.9 <= inside / 200 <= 0.99
