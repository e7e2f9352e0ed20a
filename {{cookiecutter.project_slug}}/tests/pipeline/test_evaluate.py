"""Stage `evaluate`: its facts pass the gates for sound models, whatever the seed."""

from typing import Any

import numpy as np
import pytest

from {{ cookiecutter.package_name }}.contract import parse_contract
from {{ cookiecutter.package_name }}.gates import Case, ChampionFacts
from {{ cookiecutter.package_name }}.judgement import Judgement, judge
from {{ cookiecutter.package_name }}.modelling.confidence import paired_difference
from {{ cookiecutter.package_name }}.modelling.metrics import Floats, metrics_for
from {{ cookiecutter.package_name }}.params import EvaluateParams, JudgeParams, Params
from {{ cookiecutter.package_name }}.pipeline.evaluate import find_age, measure_all

CONTRACT = parse_contract("""
apiVersion: v3.2.0
version: 1.0.0
schema:
  - properties:
      - {name: area, logicalType: number, tags: [feature]}
      - {name: sold, logicalType: boolean, tags: [target]}
""")
EVALUATE = EvaluateParams(resamples=60, confidence=0.95, calibration_bins=10, min_slice_rows=500)
SIZE, DAYS = 6000, 60


@pytest.fixture
def limits(params: Params) -> Params:
    limits = JudgeParams(
        metric="roc_auc",
        min_gain=0,
        max_regression=0.01,
        max_calibration_error=0.1,
        max_slice_gap=0.5,
        max_age_days=14,
        max_microseconds=5000,
    )
    return params.model_copy(update={"judge": limits, "evaluate": EVALUATE})


def pair(logit: Floats) -> Floats:
    probability = 1 / (1 + np.exp(-logit))
    return np.column_stack([1 - probability, probability])


def judge_model(seed: int, params: Params, *, candidate: float, shift: float = 0.0) -> Judgement:
    """Judges a model that knows so much, against one that knows 1.0; baselines know less.

    Args:
        seed: Of the rows.
        params: The limits.
        candidate: What the candidate knows of what can be known.
        shift: Added to its logits: how far its probabilities are off.
    """
    generator = np.random.default_rng(seed)
    day = np.arange(SIZE) % DAYS
    known, noise = generator.normal(size=(2, SIZE))
    known += generator.normal(scale=0.3, size=DAYS)[day]
    target = (generator.random(SIZE) < pair(1.2 * known)[:, 1]).astype(np.float64)
    scores = {
        "candidate": pair(1.2 * candidate * known + 0.1 * noise + shift),
        "prior": np.full((SIZE, 2), [1 - target.mean(), target.mean()]),
        "linear": pair(0.8 * known + 0.8 * generator.normal(size=SIZE)),
    }
    metric = metrics_for("binary")["roc_auc"]
    champion = pair(1.2 * known + 0.1 * generator.normal(size=SIZE))
    settings = {"resamples": 60, "confidence": 0.95, "seed": 1}
    gain = paired_difference(metric, target, scores["candidate"], champion, day, **settings)
    facts: dict[str, Any] = {
        "digest": "a",
        **measure_all(CONTRACT, target, scores, day, EVALUATE, 1),
        "slices": [],
        "behaviour": [],
        "age_days": find_age("2013-08-31T23:00:00+00:00", "2013-08", "2013-08"),
        "parity": {"max_error": 1e-7, "limit": 1e-5},
        "bundle_bytes": 900_000,
    }
    return judge(Case(facts, "1.0.0", params, ChampionFacts("1", "b", "1.0.0", gain, SIZE), 300.0))


@pytest.mark.parametrize("seed", range(20))
def test_a_sound_model_passes_every_gate(limits: Params, seed: int) -> None:
    assert judge_model(seed, limits, candidate=1.0).refusals == ()


@pytest.mark.parametrize(
    ("candidate", "shift", "refusing"),
    [
        # It knows the opposite of what is true: worse than everything.
        (-1.0, 0.0, {"better than prior", "better than linear", "not worse than champion"}),
        # It ranks well, but its probabilities are too high.
        (1.0, 1.0, {"calibration"}),
    ],
)
def test_a_worse_model_is_refused_by_the_gates_that_look_there(
    limits: Params, candidate: float, shift: float, refusing: set[str]
) -> None:
    judgement = judge_model(3, limits, candidate=candidate, shift=shift)
    names = {gate.name for gate in judgement.refusals}
    assert refusing <= names <= refusing | {"calibration"}


@pytest.mark.parametrize(
    ("newest", "until", "last_month", "days"),
    [
        ("2013-08-31T23:59:00+00:00", "2013-08", "2013-08", 0),
        # The whole of August should be there, but the newest labelled row is of June or July.
        ("2013-07-31T12:00:00+00:00", "2013-08", "2013-08", 31),
        ("2013-06-30T12:00:00+00:00", "2013-08", "2013-06", 62),
        # Nobody said up to when: the last month has only begun to arrive.
        ("2013-08-03T12:00:00+00:00", None, "2013-08", 0),
        ("2013-06-30T12:00:00+00:00", None, "2013-08", 31),
        (None, None, "all", None),
    ],
)
def test_the_age_counts_from_what_should_have_arrived(
    newest: str | None, until: str | None, last_month: str, days: int | None
) -> None:
    assert find_age(newest, until, last_month) == days
