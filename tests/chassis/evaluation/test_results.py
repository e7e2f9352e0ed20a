"""The shape of an evaluation, validated when it is read."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlchassis.errors import ProjectError
from mlchassis.evaluation.results import load_evaluation
from mlchassis.reports import write_report

INTERVAL = {"value": 0.7, "low": 0.6, "high": 0.8}
FACTS: dict[str, Any] = {
    "digest": "a" * 64,
    "task": "binary",
    "rows": 1200,
    "primary_metric": "roc_auc",
    "metrics": {"roc_auc": INTERVAL},
    "baselines": {"prior": {"roc_auc": INTERVAL}},
    "gains": {"prior": {"roc_auc": INTERVAL}},
    "slices": [
        {
            "where": {"shop": "x"},
            "rows": 600,
            "value": INTERVAL,
            "difference": INTERVAL,
            "baselines": {"prior": {"value": 0.5, "gain": INTERVAL}},
        }
    ],
    "behavior": [{"name": "rain", "kind": "direction", "rows": 9, "proportion": 1.0, "limit": 0.9}],
    "fairness": None,
    "decision": None,
    "units": {"unit": "day", "count": 40, "interval": "bootstrap"},
    "contamination": {**INTERVAL, "baseline": "prior", "validation_gain_over_prior": 0.2},
    "test_period": {"rows": 1200},
    "seen_until": None,
    "staleness_days": 3,
    "parity": {"max_error": 1e-7, "limit": 1e-5},
    "bundle_bytes": 10_000,
}


def test_an_evaluation_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "evaluation.json"
    write_report(path, {**FACTS, "own": 1})
    evaluation = load_evaluation(path)
    assert evaluation.as_report() == {**FACTS, "own": 1}
    assert evaluation.metrics["roc_auc"].interval.low == 0.6


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda f: f.pop("metrics"), "metrics"),
        (lambda f: f["metrics"].update(roc_auc=0.9), "metrics.roc_auc"),
        (lambda f: f["metrics"]["roc_auc"].pop("low"), "metrics.roc_auc.low"),
        (
            lambda f: f["slices"][0]["baselines"]["prior"]["gain"].update(high="0.5"),
            "slices.0.baselines.prior.gain.high",
        ),
        (lambda f: f.update(task="ranking"), "task"),
        (lambda f: f["behavior"][0].update(proportion=None), "behavior.0.proportion"),
        (lambda f: f.update(rows=True), "rows"),
    ],
)
def test_an_edited_evaluation_is_rejected_with_the_place(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], place: str
) -> None:
    # Through JSON, since equal parts of FACTS are one object.
    facts = json.loads(json.dumps(FACTS))
    change(facts)
    path = tmp_path / "evaluation.json"
    write_report(path, facts)
    with pytest.raises(ProjectError) as error:
        load_evaluation(path)
    assert str(error.value).startswith(f"evaluation.json: {place}: ")
    assert str(error.value).endswith("delete it and run `make repro`.")
