from itertools import count
from pathlib import Path

import numpy as np
import pytest

from ml_service.features import compute_features
from mlchassis.bundle.bundle import load_bundle
from mlchassis.bundle.scorer import Scorer
from mlchassis.evaluation.gates.latency import measure_latency
from mlchassis.features.code import load_feature_code

FEATURES = load_feature_code(compute_features)


@pytest.fixture(scope="module")
def scorer(bundle_path: Path) -> Scorer:
    return Scorer(load_bundle(bundle_path, FEATURES), FEATURES)


def test_one_record_is_timed_in_microseconds(scorer: Scorer) -> None:
    assert measure_latency(scorer, 0.0, count(step=25_000).__next__, lambda _: None) == 25.0


@pytest.mark.parametrize("seed", range(20))
def test_a_busy_machine_does_not_make_the_bundle_slow(scorer: Scorer, seed: int) -> None:
    generator = np.random.default_rng(seed)
    now = 0

    def clock() -> int:
        nonlocal now
        # A third of the answers waits a hundred times as long as it takes.
        now += 100_000 * (100 if generator.random() < 0.33 else 1)
        return now

    assert measure_latency(scorer, 0.0, clock, lambda _: None) == 100.0


def test_a_busy_moment_is_waited_out(scorer: Scorer) -> None:
    now, waited = 0, 0.0

    def clock() -> int:
        nonlocal now
        # Everything takes four times as long until a second has passed.
        now += 100_000 * (4 if waited < 1 else 1)
        return now

    def wait(seconds: float) -> None:
        nonlocal waited
        waited += seconds

    assert measure_latency(scorer, 500.0, clock, wait) == 400.0
    assert waited == 0
    assert measure_latency(scorer, 200.0, clock, wait) == 100.0
    assert 1 <= waited < 5
