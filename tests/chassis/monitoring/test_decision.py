"""One status and one sentence from all windows."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from mlchassis.config.params import MonitorParams
from mlchassis.monitoring.decision import decide, decide_log
from mlchassis.monitoring.labels import LabelTable
from mlchassis.monitoring.results import (
    EXIT_CODES,
    CustomSignal,
    DriftTest,
    FeatureSkew,
    LogSummary,
    Performance,
    Quality,
    RelatedTest,
    Skew,
    Window,
)

LABELS = LabelTable()
PARAMS = MonitorParams()
NOW = datetime(2024, 1, 15, 0, 30, tzinfo=UTC)
RECENT = None
MATCHING = Skew(rows=10_000)
GOOD = Quality(rows=1000, invalid=0, reasons={}, lacking=[])


def make_window(
    day: int,
    *,
    drift: bool = False,
    loss: float | None = 0.2,
    estimated: float = 0.2,
    enough: bool = True,
    labeled: int | None = None,
) -> Window:
    if labeled is None:
        labeled = 0 if loss is None else 1000
    performance = Performance(
        answered=1000,
        labeled=labeled,
        value=loss,
        low=loss,
        high=loss,
        limit=None if loss is None else 0.25,
        estimated=estimated,
        estimated_limit=0.25,
        reference=0.2,
    )
    test = DriftTest(
        column="size", statistic="distribution", value=0.3 if drift else 0.01, limit=0.1
    )
    return Window(
        start=f"2024-01-{day:02d}",
        end=f"2024-01-{day + 6:02d}",
        rows=1000,
        enough=enough,
        tests=[test],
        performance=performance,
    )


def decide_drift(*alarms: bool) -> str:
    windows = [make_window(1 + 7 * place, drift=alarm) for place, alarm in enumerate(alarms)]
    return decide(windows, GOOD, MATCHING, [], LABELS, RECENT, PARAMS)[0]


def test_windows_without_an_alarm_are_ok() -> None:
    status, sentence = decide(
        [make_window(1), make_window(8)], GOOD, MATCHING, [], LABELS, RECENT, PARAMS
    )
    assert (status, sentence) == ("ok", "No signal exceeds its limit in 2024-01-08 to 2024-01-14.")


@pytest.mark.parametrize(
    ("alarms", "status"),
    [
        ((False, False, True), "watch"),
        ((True, True, False), "watch"),
        ((True, False, True), "retrain"),
        ((False, True, True), "retrain"),
        ((True, True, True), "retrain"),
    ],
)
def test_enough_windows_and_the_newest_must_agree(alarms: tuple[bool, ...], status: str) -> None:
    assert decide_drift(*alarms) == status


def test_worse_performance_asks_for_retraining_when_labels_are_in() -> None:
    # The newest window has no labels yet: the newest one with labels decides.
    windows = [make_window(1, loss=0.3), make_window(8, loss=0.3), make_window(15, loss=None)]
    status, sentence = decide(windows, GOOD, MATCHING, [], LABELS, RECENT, PARAMS)
    assert status == "retrain"
    assert "mean loss is 0.3 in 2024-01-08 to 2024-01-14, above its limit 0.25" in sentence


def test_a_loss_just_above_its_limit_does_not_look_equal_to_it() -> None:
    windows = [make_window(1, loss=0.250004), make_window(8, loss=0.250004)]
    _, sentence = decide(windows, GOOD, MATCHING, [], LABELS, RECENT, PARAMS)
    assert "mean loss is 0.250004 in 2024-01-08 to 2024-01-14, above its limit 0.25" in sentence


def test_few_labels_are_named_unless_a_window_has_enough() -> None:
    late = [make_window(1, loss=None, labeled=20), make_window(8, loss=None, labeled=10)]
    status, sentence = decide(late, GOOD, MATCHING, [], LABELS, RECENT, PARAMS)
    assert status == "ok"
    assert sentence == (
        "No signal exceeds its limit in 2024-01-08 to 2024-01-14. Too few labels for the realized "
        "performance: 20 of 1,000 responses in 2024-01-01 to 2024-01-07 have one; a window needs "
        "500 (monitor.min_rows) and 50% of its responses (monitor.min_labeled)."
    )
    mature = [make_window(1), make_window(8, loss=None, labeled=10)]
    for windows in (mature, [make_window(8, loss=None)]):
        assert "labels" not in decide(windows, GOOD, MATCHING, [], LABELS, RECENT, PARAMS)[1]


def test_a_worse_estimate_alone_is_watched() -> None:
    status, sentence = decide(
        [make_window(1, loss=None, estimated=0.3)], GOOD, MATCHING, [], LABELS, RECENT, PARAMS
    )
    assert status == "watch"
    assert "labels will tell" in sentence


def test_too_few_rows_are_watched() -> None:
    status, sentence = decide(
        [make_window(1, enough=False)], GOOD, MATCHING, [], LABELS, RECENT, PARAMS
    )
    assert status == "watch"
    assert sentence.startswith("Too few rows")


def test_an_empty_log_is_watched_with_what_to_do() -> None:
    status, sentence = decide([], GOOD, MATCHING, [], LABELS, RECENT, PARAMS)
    assert status == "watch"
    assert sentence.endswith("; send rows to the service first.")


def test_a_lacking_column_is_broken() -> None:
    lacking = GOOD.model_copy(update={"lacking": ["size"]})
    status, sentence = decide(
        [make_window(1, drift=True)] * 3, lacking, MATCHING, [], LABELS, RECENT, PARAMS
    )
    assert (status, sentence) == ("broken", "Logged rows lack 'size', which the contract has.")


def test_many_invalid_rows_are_broken_and_few_are_not() -> None:
    many = GOOD.model_copy(update={"invalid": 20, "reasons": {"size: is required": 20}})
    few = GOOD.model_copy(update={"invalid": 5, "reasons": {"size: is required": 5}})
    assert decide([make_window(1)], many, MATCHING, [], LABELS, RECENT, PARAMS)[0] == "broken"
    assert decide([make_window(1)], few, MATCHING, [], LABELS, RECENT, PARAMS)[0] == "ok"


@pytest.mark.parametrize(
    ("invalid", "rows", "status"), [(1, 50, "watch"), (1, 5, "broken"), (3, 50, "broken")]
)
def test_invalid_rows_of_a_small_window_are_broken_only_if_it_is_sure(
    invalid: int, rows: int, status: str
) -> None:
    reasons = {"size: is required": invalid}
    quality = GOOD.model_copy(update={"invalid": invalid, "rows": rows, "reasons": reasons})
    found, sentence = decide([make_window(1)], quality, MATCHING, [], LABELS, RECENT, PARAMS)
    assert found == status
    assert ("1 of 50 rows, too few to be sure" in sentence) is (status == "watch")


def test_one_row_with_another_feature_asks_for_retraining() -> None:
    found = FeatureSkew(feature="price", rows=1, example="K-7")
    skew = Skew(rows=10_000, mismatched=1, features=[found])
    status, sentence = decide([make_window(1)], GOOD, skew, [], LABELS, RECENT, PARAMS)
    assert status == "retrain"
    assert sentence == (
        "Value skew: 1 of 10,000 logged rows have other features than their raw data: 'price' "
        "(1 rows, such as that with the key 'K-7')."
    )
    tolerant = PARAMS.model_copy(update={"max_skew": 0.0001})
    assert decide([make_window(1)], GOOD, skew, [], LABELS, RECENT, tolerant)[0] == "ok"
    more = skew.model_copy(update={"mismatched": 2})
    assert decide([make_window(1)], GOOD, more, [], LABELS, RECENT, tolerant)[0] == "retrain"


def test_schema_skew_is_broken_and_an_unchecked_one_is_not() -> None:
    broken = Skew(rows=10, violations=["3 of 10 logged rows lack the column 'price'."])
    assert decide([make_window(1)], GOOD, broken, [], LABELS, RECENT, PARAMS) == (
        "broken",
        "Schema skew: 3 of 10 logged rows lack the column 'price'.",
    )
    unknown = Skew(statement="The source is not on this machine.")
    assert decide([make_window(1)], GOOD, unknown, [], LABELS, RECENT, PARAMS)[0] == "ok"


def test_an_own_monitor_decides_too() -> None:
    signal = CustomSignal(name="revenue", status="retrain", sentence="It halved.")
    assert decide([make_window(1)], GOOD, MATCHING, [signal], LABELS, RECENT, PARAMS) == (
        "retrain",
        "revenue: It halved.",
    )


def test_exit_codes_tell_a_decision_from_a_crash() -> None:
    assert EXIT_CODES == {"ok": 0, "watch": 10, "retrain": 20, "broken": 30}


def relate(window: Window, *, alarm: bool) -> Window:
    test = RelatedTest(
        columns=("size", "shop"),
        value=0.3 if alarm else 0.01,
        limit=0.1,
        unusual=0.25,
        unusual_before=0.01,
    )
    return window.model_copy(update={"related": [test]})


@pytest.mark.parametrize(
    ("alarms", "status"),
    [((False, False), "ok"), ((True, False), "watch"), ((True, True), "retrain")],
)
def test_related_columns_vote_like_drift(alarms: tuple[bool, ...], status: str) -> None:
    windows = [relate(make_window(1 + 7 * k), alarm=alarm) for k, alarm in enumerate(alarms)]
    found, sentence = decide(windows, GOOD, MATCHING, [], LABELS, RECENT, PARAMS)
    assert found == status
    assert ("'size' no longer fits 'shop' (unusual together in 25.0%" in sentence) == any(alarms)


def test_a_column_that_drifts_and_related_ones_agree() -> None:
    windows = [make_window(1, drift=True), relate(make_window(8), alarm=True)]
    status, _ = decide(windows, GOOD, MATCHING, [], LABELS, RECENT, PARAMS)
    assert status == "retrain"


def make_log(newest: str = "", rows: int = 1, **counts: int) -> LogSummary:
    lines = {"torn": 0, "foreign": 0, "undated": 0, **counts}
    return LogSummary(rows=rows, versions={}, newest=newest, **lines)


@pytest.mark.parametrize(
    ("log", "sentence"),
    [
        (
            make_log(rows=1400, undated=1400, newest="2024-01-14T00:00:00+00:00"),
            (
                "None of the 1,400 rows in the prediction log has a plausible event time, so they "
                "are in no window; send the column of the event time with each request."
            ),
        ),
        (
            make_log(rows=0, torn=1, foreign=1400),
            (
                "None of the 1,401 lines in the prediction log can be read: 1 are cut short, 1,400 "
                "of another format; point SERVICE_LOG_DIRECTORY at the log of this service."
            ),
        ),
    ],
)
def test_a_log_without_a_usable_row_is_not_called_empty(log: LogSummary, sentence: str) -> None:
    decision = decide_log(log, NOW, PARAMS)
    assert decision == ("watch", sentence)
    assert decide([], GOOD, MATCHING, [], LABELS, decision, PARAMS) == decision


def test_an_empty_log_has_no_decision_of_its_own() -> None:
    assert decide_log(make_log(rows=0), NOW, PARAMS) is None


def test_a_silent_service_is_watched_with_its_last_day_and_the_setting() -> None:
    silence = decide_log(make_log("2024-01-07T23:59:59.5+00:00"), NOW, PARAMS)
    assert silence is not None
    status, sentence = silence
    assert status == "watch"
    assert sentence == (
        "The newest response in the prediction log is of 2024-01-07, 8 days ago, above "
        "monitor.max_silent_days (7): check that the service gets requests and logs them here; "
        "the newest windows end then."
    )
    few = [make_window(1, enough=False)]
    assert decide(few, GOOD, MATCHING, [], LABELS, silence, PARAMS) == silence
    alarms = [make_window(1, drift=True), make_window(8, drift=True)]
    assert decide(alarms, GOOD, MATCHING, [], LABELS, silence, PARAMS)[0] == "retrain"


@pytest.mark.parametrize(
    ("newest", "now", "limit", "silent"),
    [
        ("2024-01-08T00:00:00+00:00", NOW, 7, False),
        ("2024-01-08T00:00:00+00:00", NOW, 6, True),
        # The same moment in another zone is of another day there.
        ("2024-01-08T01:00:00+02:00", NOW, 7, True),
        ("2024-01-07T23:00:00+00:00", NOW.astimezone(timezone(-timedelta(hours=8))), 7, True),
        # The clock of another host may be ahead.
        ("2024-02-01T00:00:00+00:00", NOW, 1, False),
        ("2013-01-01T00:00:00+00:00", NOW, None, False),
        ("", NOW, 1, False),
        ("yesterday", NOW, 1, False),
    ],
)
def test_the_age_of_the_log_counts_in_days_of_utc(
    newest: str, now: datetime, limit: int | None, silent: bool
) -> None:
    params = MonitorParams(max_silent_days=limit)
    assert (decide_log(make_log(newest), now, params) is not None) == silent
