"""Stage `evaluate`: its facts pass the gates for sound models and no other, whatever the seed.

In its world `x` and `y` decide, sex does not, and days have something of their own. Models are
formulas, so that hundreds of judgements take seconds.
"""

import re
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
import pandas as pd
import pytest

from mlchassis.config.params import EvaluateParams, Params, SplitParams
from mlchassis.contract.model import parse_contract
from mlchassis.data.tables import coerce
from mlchassis.errors import ProjectError
from mlchassis.evaluation.behavior import Direction, run_tests
from mlchassis.evaluation.bootstrap import group_rows, paired_difference
from mlchassis.evaluation.evaluate import (
    ScoredSplit,
    break_down,
    count_stale_days,
    describe_decision,
    describe_implausible,
    describe_units,
    hash_scores,
    measure_all,
    measure_contamination,
)
from mlchassis.evaluation.fairness import describe_fairness
from mlchassis.evaluation.gates.context import ChampionFacts, GateContext, GateResult
from mlchassis.evaluation.gates.gates import uncontaminated
from mlchassis.evaluation.gates.judgement import judge
from mlchassis.evaluation.metrics import Floats, metrics_for
from mlchassis.evaluation.plausibility import spell_implausible
from mlchassis.evaluation.results import Contamination, Evaluation, Implausible, Period, Units
from mlchassis.features.encoding import FeatureMatrix
from mlchassis.training.leakage import rank_single_features
from mlchassis.training.parity import compare_scores
from mlchassis.training.threshold import choose_threshold
from mlchassis.training.train import check_leakage

CONTRACT = parse_contract("""
apiVersion: v3.2.0
version: 1.0.0
schema:
  - properties:
      - {name: at, logicalType: timestamp, required: true, tags: [event_time]}
      - {name: x, logicalType: number, required: true, tags: [feature]}
      - {name: y, logicalType: number, required: true, tags: [feature]}
      - {name: shop, logicalType: string, required: true, tags: [feature, slice]}
      - {name: size, logicalType: integer, required: true, tags: [feature, slice]}
      - {name: sex, logicalType: string, required: true, tags: [feature, sensitive]}
      - {name: sold, logicalType: boolean, tags: [target]}
""")
EVALUATE = EvaluateParams(resamples=60, confidence=0.95, calibration_bins=10, min_slice_rows=500)
SPLIT = SplitParams(
    strategy="time",
    validation_days=60,
    test_days=60,
    validation_proportion=0.2,
    test_proportion=0.2,
    group=None,
    min_rows=500,
)
SIZE, DAYS, SEEDS = 6000, 60, 20
BEHAVIOR = (
    Direction(name="x", kind="direction", change={"x": {"add": 1.0}}, score="up", proportion=0.9),
)


@pytest.fixture
def limits(fixed_params: Params) -> Params:
    wide = {"max_regression": 0.01, "max_calibration_error": 0.1}
    judged = fixed_params.judge.model_copy(update=wide)
    return fixed_params.model_copy(update={"judge": judged, "evaluate": EVALUATE})


@dataclass(frozen=True)
class Model:
    """A model as a formula, and what may be wrong with it.

    Attributes:
        of: Weight of x and of y.
        shift: Added to its logits: how far its probabilities are off.
        favors: Added to the logits of men: sex decides.
        blind: The shop in which it guesses.
        learned: Shift of its logits toward the truth on the test split: overfitting.
        swapped: True if its graph swaps x and y.
        tuned_on: The split on which its threshold was chosen.
        seen_until: Of what it says it has seen.
    """

    of: tuple[float, float] = (1.2, 0.8)
    shift: float = 0.0
    favors: float = 0.0
    blind: str = ""
    learned: float = 0.0
    swapped: bool = False
    tuned_on: str = "validation"
    seen_until: str = "2013-06-30T23:00:00+00:00"

    def answer(self, rows: pd.DataFrame, noise: Floats) -> Floats:
        """Probabilities, shape (rows, 2)."""
        first, second = ("y", "x") if self.swapped else ("x", "y")
        logit = self.of[0] * rows[first] + self.of[1] * rows[second] + 0.1 * noise + self.shift
        logit += self.favors * (rows["sex"] == "m").to_numpy(dtype=bool)
        known = np.where(rows["shop"] == self.blind, noise, logit.to_numpy(dtype=float))
        probability = 1 / (1 + np.exp(-known))
        return np.column_stack([1 - probability, probability])


SOUND = Model()


def make_rows(
    generator: np.random.Generator, begin: str, days: int, rise: float, hard: str = ""
) -> pd.DataFrame:
    """Draw rows whose outcome is random in the `hard` shop, and follows x and y in the others."""
    day = np.arange(SIZE) % days
    x, y = generator.normal(size=(2, SIZE))
    weather = generator.normal(scale=0.3, size=days)[day]
    chance = 1 / (1 + np.exp(-(1.2 * x + 0.8 * y + weather + rise)))
    (other,) = generator.spawn(1)
    rows = pd.DataFrame(
        {
            "at": pd.Timestamp(begin, tz="UTC") + pd.to_timedelta(day, unit="D"),
            "x": x,
            "y": y,
            "shop": generator.choice(["north", "south", "west"], SIZE, p=[0.5, 0.3, 0.2]),
            "size": generator.integers(1, 4, SIZE),
            "sex": other.choice(["f", "m"], SIZE),
            "sold": generator.random(SIZE) < chance,
        }
    )
    random = rows["shop"] == hard
    rows.loc[random, "sold"] = other.random(int(random.sum())) < 0.5
    return coerce(rows, CONTRACT)


@dataclass
class World:
    """Two splits of rows, and how a model does there.

    Attributes:
        hard: The shop whose outcome nothing predicts.
    """

    seed: int
    hard: str = ""
    splits: dict[str, pd.DataFrame] = field(init=False)

    def __post_init__(self) -> None:
        generator = np.random.default_rng(self.seed)
        # Other days, and more of them are sold in summer: a season is not surprising.
        self.splits = {
            "validation": make_rows(generator, "2013-06-01", 30, 0.0, self.hard),
            "test": make_rows(generator, "2013-07-01", DAYS, 0.15, self.hard),
        }

    def noise(self, name: str, model: str) -> Floats:
        source = np.random.default_rng([self.seed, len(name), len(model)])
        return source.normal(size=SIZE)

    def score_rows(self, name: str, model: Model) -> ScoredSplit:
        rows = self.splits[name]
        target = rows["sold"].to_numpy().astype(float)
        scores = model.answer(rows, self.noise(name, "candidate"))
        if name == "test" and model.learned:
            logit = np.log(scores[:, 1] / scores[:, 0]) + model.learned * (2 * target - 1)
            scores = np.column_stack([1 / (1 + np.exp(logit)), 1 / (1 + np.exp(-logit))])
        prior = np.full((SIZE, 2), [0.5, 0.5])
        linear = Model(of=(1.2, 0.0)).answer(rows, self.noise(name, "linear"))
        baselines = {"prior": prior, "linear": linear}
        groups = group_rows(rows, CONTRACT, SPLIT)
        return ScoredSplit(rows, target, groups, {"candidate": scores, **baselines})

    def threshold(self, model: Model) -> float:
        tuned = self.score_rows(model.tuned_on, model)
        return choose_threshold(tuned.target, tuned.scores["candidate"][:, 1], 1.0, 3.0)

    def judge(self, params: Params, model: Model) -> tuple[GateResult, ...]:
        """The rejecting gates, for a model against a sound champion."""
        validation, test = (self.score_rows(name, model) for name in ("validation", "test"))
        threshold = self.threshold(model)
        champion = SOUND.answer(test.rows, self.noise("test", "champion"))
        gain = paired_difference(
            metrics_for("binary")["roc_auc"],
            test.target,
            test.scores["candidate"],
            champion,
            test.groups,
            resamples=60,
            confidence=0.95,
            seed=1,
        )
        trained = replace(model, swapped=False).answer(test.rows, self.noise("test", "candidate"))
        exported = model.answer(test.rows, self.noise("test", "candidate"))
        measured = measure_all(CONTRACT, test.target, test.scores, test.groups, EVALUATE, 1)
        facts: dict[str, Any] = {
            "digest": "a",
            "task": "binary",
            "rows": len(test.rows),
            "primary_metric": "roc_auc",
            "units": describe_units(test.rows, CONTRACT, params.split),
            "metrics": measured.metrics,
            "baselines": measured.baselines,
            "gains": measured.gains,
            "slices": break_down(CONTRACT, test, params),
            "behavior": run_tests(
                BEHAVIOR, test.rows, CONTRACT, lambda rows: model.answer(rows, np.zeros(len(rows)))
            ),
            "decision": describe_decision(CONTRACT, threshold, validation, test, params),
            "fairness": describe_fairness(
                test.rows,
                CONTRACT,
                lambda rows: model.answer(rows, np.zeros(len(rows))),
                threshold,
                test.groups,
                min_rows=500,
                resamples=60,
                confidence=0.95,
                seed=1,
            ),
            "contamination": measure_contamination(CONTRACT, validation, test, params),
            "seen_until": model.seen_until,
            "test_period": {"from": "2013-07-01T00:00:00+00:00"},
            "staleness_days": count_stale_days("2013-08-31T23:00:00+00:00", "2013-08", "2013-08"),
            "parity": {"max_error": compare_scores(trained, exported).max_error, "limit": 1e-5},
            "bundle_bytes": 900_000,
        }
        against = ChampionFacts("1", "b", CONTRACT, gain, SIZE)
        evaluation = Evaluation.model_validate(facts)
        return judge(GateContext(evaluation, CONTRACT, params, against, 300.0)).rejections


@pytest.mark.one_python
@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_sound_model_passes_every_gate(limits: Params, seed: int) -> None:
    assert World(seed).judge(limits, SOUND) == ()


@pytest.mark.one_python
@pytest.mark.parametrize(
    ("challenger", "rejecting", "sentence"),
    [
        # Deliberately worse: it knows the opposite of what is true.
        (Model(of=(-1.2, -0.8)), "better than prior", "worse .* against the baseline 'prior'"),
        (Model(of=(-1.2, -0.8)), "better than linear", "worse .* against the baseline 'linear'"),
        # A little worse, and so beaten by the champion alone.
        (Model(of=(1.2, 0.2)), "not worse than champion", r"worse .* the champion \(version 1\)"),
        # Biased: in one shop it guesses.
        (
            Model(blind="west"),
            "slices",
            r"compares worst in shop west.* worse .* the baseline 'linear' on the same rows",
        ),
        # Biased against a group of people: men are favored, whatever else is true of them.
        (
            Model(favors=1.5),
            "groups: rate",
            r"The rate differs most between sex m \(.* rows\) and sex f .* reach down to 0\.2 \(",
        ),
        (Model(favors=1.5), "groups: calibration", "differs most between sex m"),
        (
            Model(favors=1.5),
            "counterfactual flip rate: sex",
            "get another answer when sex alone is changed",
        ),
        # Trained on the test split.
        (Model(learned=1.0), "contamination", "the model has seen rows of the test split"),
        (
            Model(seen_until="2013-07-15T00:00:00+00:00"),
            "contamination",
            "has seen rows until 2013-07-15.* test split begins at 2013-07-01",
        ),
        # Its threshold was tuned there.
        (Model(tuned_on="test"), "threshold", "never on the test split"),
        # Its probabilities are too high.
        (Model(shift=1.5), "calibration", "expected calibration error"),
        # Its graph takes one column for the other.
        (Model(swapped=True), "parity", "off the trained model by"),
        # More of x makes a sale less likely, it says.
        (Model(of=(-1.2, -0.8)), "behavior: x", r"of 2,000 rows behave \(direction\)"),
    ],
)
def test_a_challenger_that_is_not_sound_is_rejected_with_the_reason(
    limits: Params, challenger: Model, rejecting: str, sentence: str
) -> None:
    for seed in range(2):
        found = {gate.name: gate.sentence for gate in World(seed).judge(limits, challenger)}
        assert rejecting in found, found
        assert re.search(sentence, found[rejecting]), found[rejecting]


@pytest.mark.one_python
@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_slice_that_no_model_predicts_is_no_reason_to_reject(limits: Params, seed: int) -> None:
    world = World(seed, hard="west")
    slices = break_down(CONTRACT, world.score_rows("test", SOUND), limits)
    (west,) = (part for part in slices if part.where == {"shop": "west"})
    assert west.difference.high < -0.15
    assert "slices" not in [gate.name for gate in world.judge(limits, SOUND)]


def test_a_challenger_that_was_given_the_answer_stops_in_training(limits: Params) -> None:
    rows = World(1).splits
    matrices, targets = [], []
    for split in rows.values():
        known = split["sold"].to_numpy().astype(float)
        told = known + np.random.default_rng(5).normal(scale=0.3, size=SIZE)
        columns = np.column_stack([split["x"], told]).astype(np.float32)
        nothing = np.empty((SIZE, 0), dtype=object)
        matrices.append(FeatureMatrix(("x", "refund"), columns, (), nothing))
        targets.append(known)
    alone = rank_single_features(matrices[0], targets[0], matrices[1], targets[1])
    sentence = r"'refund' alone predicts 'sold' with a ROC AUC of 0\.9"
    with pytest.raises(ProjectError, match=sentence):
        check_leakage(alone, CONTRACT, limits.train.max_single_feature_auc)


def test_the_confusion_is_of_the_test_window_at_the_bundles_threshold(limits: Params) -> None:
    world = World(2)
    validation, test = (world.score_rows(name, SOUND) for name in ("validation", "test"))
    threshold = world.threshold(SOUND)
    found = describe_decision(CONTRACT, threshold, validation, test, limits)
    assert found is not None
    (true_no, alarms), (misses, hits) = found.confusion
    assert found.classes == ["false", "true"]
    called = test.scores["candidate"][:, 1] >= threshold
    assert (hits, alarms) == (
        (called & (test.target == 1)).sum(),
        (called & (test.target == 0)).sum(),
    )
    assert true_no + alarms + misses + hits == SIZE
    measured = found.measured
    assert measured["precision"].value == pytest.approx(hits / (hits + alarms))
    assert measured["recall"].value == pytest.approx(hits / (hits + misses))
    assert measured["cost"].value == pytest.approx((alarms + 3 * misses) / SIZE)
    assert all(m.low < m.value < m.high for m in measured.values())


@pytest.mark.parametrize(
    ("newest", "as_of", "last_month", "days"),
    [
        ("2013-08-31T23:59:00+00:00", "2013-08", "2013-08", 0),
        # The whole of August should be there, but the newest labeled row is of June or July.
        ("2013-07-31T12:00:00+00:00", "2013-08", "2013-08", 31),
        ("2013-06-30T12:00:00+00:00", "2013-08", "2013-06", 62),
        # Nobody said up to when: the last month has only begun to arrive.
        ("2013-08-03T12:00:00+00:00", None, "2013-08", 0),
        ("2013-06-30T12:00:00+00:00", None, "2013-08", 31),
        (None, None, "all", None),
    ],
)
def test_the_age_counts_from_what_should_have_arrived(
    newest: str | None, as_of: str | None, last_month: str, days: int | None
) -> None:
    assert count_stale_days(newest, as_of, last_month) == days


def look_too_good(seed: int, model: Model, limits: Params) -> Implausible | None:
    """Describe a quality on the test split that is implausibly high."""
    test = World(seed).score_rows("test", model)
    return describe_implausible(
        CONTRACT,
        {"test": test},
        lambda rows: model.answer(rows, np.zeros(len(rows))),
        limits,
    )


@pytest.mark.parametrize("seed", range(SEEDS))
def test_an_honest_model_is_not_too_good(limits: Params, seed: int) -> None:
    assert look_too_good(seed, SOUND, limits) is None


@pytest.mark.parametrize("seed", range(3))
def test_a_model_that_knows_the_answers_is_too_good(limits: Params, seed: int) -> None:
    found = look_too_good(seed, Model(learned=6.0), limits)
    assert found is not None
    assert found.metric == "roc_auc"
    # By what it sees, x carries most; y is half as strong, and the others decide nothing.
    assert found.columns == ["x", "y"]
    sentence = spell_implausible(Implausible.model_validate(found))
    assert sentence.startswith("roc_auc 1.000 is implausibly high")
    assert "'x', 'y' carry most" in sentence


def make_patients(seed: int, name: str, patients: int = 60, rows: int = 25) -> ScoredSplit:
    """Draw visits of patients; how well the candidate knows a patient is the patient's own."""
    draw = np.random.default_rng([seed, len(name)])
    who = np.repeat(np.arange(patients), rows)
    x, part = draw.normal(size=patients * rows), draw.normal(scale=2, size=patients)[who]
    target = (draw.random(len(who)) < 1 / (1 + np.exp(-x - part))).astype(float)
    guess = 1 / (1 + np.exp(-x - part - draw.normal(scale=2.5, size=patients)[who]))
    linear = 1 / (1 + np.exp(-x))
    scores = {
        model: np.column_stack([1 - p, p])
        for model, p in (
            ("candidate", guess),
            ("prior", np.full(len(who), 0.5)),
            ("linear", linear),
        )
    }
    table = pd.DataFrame({"who": [f"{name}{k}" for k in who], "sold": target == 1})
    return ScoredSplit(table, target, np.asarray(who), scores)


def test_patients_that_differ_do_not_make_an_honest_model_too_good(limits: Params) -> None:
    """Resampling by patient rejects no seed; resampling by row rejects some."""
    split = SPLIT.model_copy(update={"strategy": "group", "group": "who"})
    params = limits.model_copy(update={"split": split})
    rejected = {"patient": 0, "row": 0}
    for seed in range(SEEDS):
        validation, test = (make_patients(seed, name) for name in ("validation", "test"))
        for unit in rejected:
            first, second = (
                replace(w, groups=np.arange(len(w.target))) if unit == "row" else w
                for w in (validation, test)
            )
            found = measure_contamination(CONTRACT, first, second, params)
            limit = params.judge.max_contamination * max(found.validation_gain_over_prior, 0.0)
            rejected[unit] += found.low > limit
    assert rejected["patient"] == 0
    assert rejected["row"] >= 2


def describe_patients(contamination: Contamination, params: Params) -> GateContext:
    """A context with only the facts that the gate on contamination reads."""
    evaluation: Any = SimpleNamespace(
        contamination=contamination,
        test_period=Period(),
        seen_until=None,
        units=Units(unit="who", count=150, interval="bootstrap"),
    )
    return GateContext(evaluation, CONTRACT, params, None, 300.0)


@pytest.mark.parametrize("seed", range(3))
def test_a_model_that_has_met_the_patients_of_the_test_window_is_rejected(
    limits: Params, seed: int
) -> None:
    """In validation the patients are new to it; those of the test split it knows one by one."""
    split = SPLIT.model_copy(update={"strategy": "group", "group": "who"})
    params = limits.model_copy(update={"split": split})
    validation, test = (make_patients(seed, name, patients=150) for name in ("validation", "test"))
    mean = pd.Series(test.target).groupby(test.groups).transform("mean").clip(0.02, 0.98).to_numpy()
    known = (
        test.scores["linear"][:, 1]
        * mean
        / (test.scores["linear"][:, 1] * mean + (1 - test.scores["linear"][:, 1]) * (1 - mean))
    )
    met = replace(test, scores={**test.scores, "candidate": np.column_stack([1 - known, known])})
    contamination = measure_contamination(CONTRACT, validation, met, params)
    (gate,) = uncontaminated(describe_patients(contamination, params))
    assert gate.verdict == "rejected"
    assert "Either the model has seen rows of the test split" in gate.sentence
    contamination = measure_contamination(CONTRACT, validation, test, params)
    (honest,) = uncontaminated(describe_patients(contamination, params))
    assert honest.verdict == "passed"


@pytest.mark.parametrize(
    ("knows", "data"), [("validation test", "test"), ("validation", "validation"), ("", None)]
)
def test_a_leak_that_shows_on_the_validation_data_alone_is_reported(
    limits: Params, knows: str, data: str | None
) -> None:
    draw = np.random.default_rng(1)

    def ask(rows: pd.DataFrame) -> Floats:
        return Model(of=(1.2, 0.0)).answer(rows, np.zeros(len(rows)))

    def make_split(noise: float) -> ScoredSplit:
        sold = draw.random(900) < 0.4
        rows = pd.DataFrame({"x": sold + draw.normal(0, noise, 900), "y": draw.normal(size=900)})
        rows = rows.assign(shop="a", size=1, sex="f")
        return ScoredSplit(rows, sold.astype(float), np.arange(900), {"candidate": ask(rows)})

    splits: dict[Literal["validation", "test"], ScoredSplit] = {
        "test": make_split(0.1 if "test" in knows else 2.0),
        "validation": make_split(0.1 if "validation" in knows else 2.0),
    }
    found = describe_implausible(CONTRACT, splits, ask, limits)
    assert (found and found.data) == data
    assert found is None or found.columns == ["x"]


def test_answers_in_a_small_unit_have_hashes_of_their_own() -> None:
    answers = np.array([[1.0], [2.0], [3.0]]) * 1e-8
    assert hash_scores(answers) != hash_scores(answers * 1.01)
    assert hash_scores(answers) == hash_scores(answers * (1 + 1e-15))


def test_an_accuracy_of_all_rows_is_not_certain() -> None:
    contract = parse_contract("""
apiVersion: v3.2.0
version: 1.0.0
schema:
  - properties:
      - {name: x, logicalType: number, tags: [feature]}
      - name: kind
        logicalType: string
        tags: [target]
        enum: [{value: carp}, {value: eel}, {value: pike}]
""")
    target = np.array([0.0, 1, 2] * 15)
    scores = {"candidate": np.eye(3)[target.astype(int)]}
    accuracy = measure_all(contract, target, scores, np.arange(45), EVALUATE, 1).metrics["accuracy"]
    assert (accuracy.value, accuracy.high) == (1, 1)
    assert accuracy.low == pytest.approx(0.025 ** (1 / 45))
