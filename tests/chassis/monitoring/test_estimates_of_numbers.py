"""Estimated performance of a model that predicts numbers, before labels arrive."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

from mlchassis.bundle.bundle import Bundle, load_bundle
from mlchassis.bundle.daily_counts import DailyReference
from mlchassis.config.params import MonitorParams
from mlchassis.contract.model import Contract, parse_contract
from mlchassis.data.tables import coerce
from mlchassis.features.code import FeatureCode
from mlchassis.monitoring.counting import LogCounter
from mlchassis.monitoring.drift.windows import Reference, compare_window, list_windows
from mlchassis.monitoring.prediction_log import LogFacts, read_log
from mlchassis.monitoring.results import Performance
from mlchassis.testing.bundle import make_bundle
from mlchassis.training.daily_reference.counts import describe_days

CONTRACT = """
apiVersion: v3.2.0
version: 1.0.0
schema:
  - properties:
      - {name: ride_id, logicalType: string, required: true, tags: [key]}
      - {name: started_at, logicalType: timestamp, required: true, tags: [event_time]}
      - {name: distance, logicalType: number, required: true, tags: [feature]}
      - {name: district, logicalType: string, required: true, tags: [feature]}
      - {name: driver, logicalType: string, tags: [feature, pii]}
      - {name: minutes, logicalType: number, tags: [target]}
"""
START = datetime(2024, 1, 1, tzinfo=UTC)
ROWS_PER_DAY = 200
NOISE = {"suburb": 1.0, "center": 6.0}


class Ride(NamedTuple):
    """Columns of a ride that the service logs."""

    ride_id: str
    started_at: datetime
    distance: float
    district: str | int


Measure = Callable[..., Performance]


def draw_rides(days: int, seed: int, center: float = 0.2, factor: float = 1.0) -> pd.DataFrame:
    """Rides whose duration is less certain in the center, which the prediction does not show."""
    draw = np.random.default_rng(seed)
    count = days * ROWS_PER_DAY
    day = np.repeat(np.arange(days), ROWS_PER_DAY)
    distance = draw.uniform(1, 10, count)
    district = np.where(draw.random(count) < center, "center", "suburb")
    noise = draw.normal(0, 1, count) * pd.Series(district).map(NOISE).to_numpy()
    return pd.DataFrame(
        {
            "ride_id": [f"R-{seed}-{number}" for number in range(count)],
            "started_at": [START + timedelta(days=int(number), hours=8) for number in day],
            "distance": distance,
            "district": district,
            "driver": "Somebody",
            "minutes": factor * 3 * distance + noise,
        }
    )


@pytest.fixture(scope="module")
def contract() -> Contract:
    return parse_contract(CONTRACT)


@pytest.fixture(scope="module")
def reference(contract: Contract) -> DailyReference:
    """Reference of 60 days, of which the last 40 were held out."""
    rows = coerce(draw_rides(60, seed=1), contract)
    held_out = rows[20 * ROWS_PER_DAY :].reset_index(drop=True)
    scores = 3 * held_out["distance"].to_numpy(dtype=float)[:, np.newaxis]
    return describe_days(contract, rows, held_out, scores)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    features = FeatureCode(lambda columns: {"distance": columns["distance"]}, "0" * 64)
    folder = tmp_path_factory.mktemp("rides") / "bundle"
    return load_bundle(make_bundle(folder, CONTRACT, features), features)


@pytest.fixture
def measure(bundle: Bundle, reference: DailyReference, tmp_path: Path) -> Measure:
    """Function that logs rides, and measures the performance of their window."""

    def run(rows: pd.DataFrame, reference: DailyReference = reference) -> Performance:
        lines = [
            json.dumps(
                {
                    "format": 1,
                    "time": "2024-06-01T00:00:00+00:00",
                    "request_id": "0" * 32,
                    "row": 0,
                    "key": ride.ride_id,
                    "event_time": ride.started_at.isoformat(),
                    "inputs": {"distance": ride.distance, "district": ride.district},
                    "prediction": 3 * ride.distance,
                    "probabilities": None,
                    "digest": bundle.digest,
                    "model_version": "1",
                    "contract_version": "1.0.0",
                }
            )
            for ride in map(Ride._make, rows[list(Ride._fields)].itertuples(index=False))
        ]
        (tmp_path / "a.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        labels = dict(zip(rows["ride_id"], rows["minutes"], strict=True))
        counter = LogCounter(bundle, reference, labels)
        now = datetime(2024, 6, 1, tzinfo=UTC)
        for chunk in read_log(tmp_path, bundle.contract, now, LogFacts()):
            counter.add(chunk)
        params = MonitorParams(draws=400)
        days = list_windows(list(counter.counts.rows), params)[-1]
        compared = Reference.read(reference, ["driver"])
        window, _ = compare_window(days, counter.counts, compared, params, seed=1)
        assert window.performance is not None
        return window.performance

    return run


def test_rows_like_those_of_the_reference_are_expected_to_be_as_good(measure: Measure) -> None:
    found = measure(draw_rides(7, seed=2))
    assert not found.expects_alarm
    assert found.estimated == pytest.approx(found.value, rel=0.1)


def test_the_estimate_follows_a_feature_that_the_prediction_does_not_show(
    measure: Measure, reference: DailyReference
) -> None:
    harder = draw_rides(7, seed=3, center=0.6)
    found = measure(harder)
    assert found.value is not None
    assert found.value > 1.5 * found.reference
    assert found.estimated == pytest.approx(found.value, rel=0.1)
    assert found.expects_alarm
    # The number alone, as in bundles of older versions, shows nothing of it.
    older = reference.model_copy(update={"effects": None, "estimated_loss": None})
    blind = measure(harder, older)
    assert blind.estimated == pytest.approx(found.reference, rel=0.1)
    assert not blind.expects_alarm


def test_a_small_rise_is_noticed_by_the_limit_of_estimates(measure: Measure) -> None:
    found = measure(draw_rides(7, seed=4, center=0.3))
    assert found.expects_alarm
    assert found.estimated_limit is not None
    assert found.limit is not None
    # Realized losses vary more than their estimates, so their limit is wider.
    assert found.estimated_limit < found.limit


def test_concept_drift_is_not_seen_by_the_estimate(measure: Measure) -> None:
    found = measure(draw_rides(7, seed=5, factor=1.3))
    assert found.alarm
    assert not found.expects_alarm
    assert found.estimated == pytest.approx(found.reference, rel=0.1)


def test_effects_have_no_column_of_persons(reference: DailyReference) -> None:
    assert reference.effects is not None
    assert sorted(reference.effects.features) == ["distance", "district"]
    assert DailyReference.model_validate_json(reference.model_dump_json()) == reference


def test_a_value_that_is_not_logged_counts_as_missing(
    measure: Measure, reference: DailyReference
) -> None:
    found = measure(draw_rides(7, seed=6).assign(district=7))
    assert reference.effects is not None
    assert found.estimated is not None
    assert found.estimated == pytest.approx(found.reference, rel=0.4)
