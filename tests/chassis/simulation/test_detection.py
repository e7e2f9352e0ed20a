"""First signal of a fault."""

from datetime import date
from typing import Any

import pytest

from mlchassis.config.params import MonitorParams
from mlchassis.simulation.detection import describe_fault
from mlchassis.simulation.faults import FaultSwitch
from mlchassis.simulation.results import FaultResult, RetrainingResult, WindowResult

REQUESTS = {"sent": 700, "rejected": 0, "unanswered": 0, "wrong": 90, "wrong_without_faults": 80}


def make_window(start: str, end: str, **changes: Any) -> WindowResult:
    facts = {
        "start": start,
        "end": end,
        "versions": ["1"],
        "requests": REQUESTS,
        "scores": {"champion": 0.7, "never_retrained": 0.7, "fresh": 0.7},
        "status": "ok",
        "sentence": "No signal exceeds its limit.",
        "drift": [],
        "related": [],
        "skewed": False,
        "performance_alarm": False,
    }
    return WindowResult.model_validate(facts | changes)


def describe(
    name: str, *retrainings: RetrainingResult, column: str | None = "size", **changes: Any
) -> FaultResult:
    """A fault on the third day of the second of three weeks; the changes are in the third."""
    windows = [
        make_window("2024-03-01", "2024-03-07"),
        make_window("2024-03-08", "2024-03-14"),
        make_window("2024-03-15", "2024-03-21", **changes),
    ]
    fault = FaultSwitch(name, date(2024, 3, 10), column)
    return describe_fault(fault, windows, retrainings, MonitorParams())


def make_retraining(outcome: str, sentence: str) -> RetrainingResult:
    facts = {"day": "2024-03-15", "as_of": "2024-02", "outcome": outcome, "sentence": sentence}
    return RetrainingResult.model_validate(facts)


def test_without_a_signal_all_answers_count() -> None:
    result = describe("unit-change")
    assert (result.noticed, result.signal) == (None, "")
    assert (result.answered, result.wrong, result.wrong_without_faults) == (1400, 180, 160)


@pytest.mark.parametrize(
    ("changes", "signal"),
    [
        ({"drift": ["size"]}, "drift of 'size'"),
        ({"related": [("price", "size")]}, "'price' no longer fits 'size'"),
        ({"status": "broken"}, "monitor: broken"),
        ({"skewed": True}, "training/serving skew"),
        ({"requests": {**REQUESTS, "rejected": 8}}, "8 of 700 rows rejected"),
        ({"requests": {**REQUESTS, "unanswered": 1}}, "1 of 700 rows without a response"),
    ],
)
def test_the_first_signal_is_that_of_the_window(changes: dict[str, Any], signal: str) -> None:
    result = describe("unit-change", **changes)
    assert result.noticed == "2024-03-22"
    assert signal in result.signal
    assert result.answered >= 1392


def test_signals_that_the_fault_cannot_cause_do_not_count() -> None:
    assert describe("unit-change", drift=["price"]).noticed is None
    assert describe("unit-change", related=[("price", "weight")]).noticed is None
    assert describe("unit-change", performance_alarm=True).noticed is None
    assert describe("unit-change", requests={**REQUESTS, "rejected": 7}).noticed is None
    assert describe("concept-change", performance_alarm=True).noticed == "2024-03-22"


def test_a_stage_that_stops_is_a_signal_and_a_rejection_is_none() -> None:
    stopped = make_retraining("failed", "'size' jumps.")
    result = describe("unit-change", stopped, drift=["size"])
    assert (result.noticed, result.signal) == ("2024-03-15", "retraining: failed. 'size' jumps.")
    assert result.answered == 700
    assert describe("unit-change", make_retraining("rejected", "calibration")).noticed is None


def test_missing_rows_show_by_a_retraining_without_them() -> None:
    for outcome, sentence in (("nothing_new", "No month."), ("rejected", "data recency: 16 days")):
        result = describe("late-partition", make_retraining(outcome, sentence), column=None)
        assert result.noticed == "2024-03-15"
    rejected = make_retraining("rejected", "calibration: 0.1")
    assert describe("late-partition", rejected, column=None).noticed is None
