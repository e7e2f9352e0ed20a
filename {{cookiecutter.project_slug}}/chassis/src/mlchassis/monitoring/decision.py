"""Decision of the monitor: one status and one sentence from all windows."""

from collections.abc import Sequence
from datetime import UTC, date, datetime

from scipy.special import betaincinv

from mlchassis.config.params import MonitorParams
from mlchassis.formatting import refine, spell_limited
from mlchassis.monitoring.labels import LabelTable
from mlchassis.monitoring.performance import describe_few_labels
from mlchassis.monitoring.prediction_log import find_day
from mlchassis.monitoring.results import (
    SEVERITY,
    CustomSignal,
    DriftTest,
    LogSummary,
    Quality,
    Skew,
    Status,
    Window,
)
from mlchassis.printable import show_value

_NAMED = 3
_CONFIDENCE = 0.95

Decision = tuple[Status, str]


def decide(
    windows: Sequence[Window],
    quality: Quality,
    skew: Skew,
    custom: Sequence[CustomSignal],
    labels: LabelTable,
    log: Decision | None,
    params: MonitorParams,
) -> Decision:
    """Return the most severe status with its reason.

    Args:
        windows: Newest windows, the oldest first.
        quality: Contract check of the newest window.
        skew: Comparison of logged rows with their raw data.
        custom: Results of the project's own monitors.
        labels: Outcomes that have arrived.
        log: Decision on the log as a whole; None without one.
        params: Settings of the monitor.
    """
    # Of equal ones the first counts: the windows of a silent service are not its present.
    decisions = [
        *([log] if log is not None else []),
        *_decide_signals(windows, params),
        _decide_quality(quality, params),
        _decide_skew(skew, params),
        _decide_labels(labels),
        *((signal.status, f"{signal.name}: {signal.sentence}") for signal in custom),
    ]
    return max(decisions, key=lambda decision: SEVERITY.index(decision[0]))


def decide_log(log: LogSummary, now: datetime, params: MonitorParams) -> Decision | None:
    """Decide on a log that ends long ago or has no usable row; None if neither is so.

    Args:
        log: Its lines.
        now: Time of this run.
        params: Settings of the monitor.
    """
    unread = log.torn + log.foreign
    if unread and not log.rows:
        return "watch", (
            f"None of the {unread:,} lines in the prediction log can be read: {log.torn:,} are cut "
            f"short, {log.foreign:,} of another format; point SERVICE_LOG_DIRECTORY at the log of "
            "this service."
        )
    if log.rows and log.undated == log.rows:
        return "watch", (
            f"None of the {log.rows:,} rows in the prediction log has a plausible event time, so "
            "they are in no window; send the column of the event time with each request."
        )
    return _decide_silence(log.newest, now, params)


def _decide_silence(newest: str, now: datetime, params: MonitorParams) -> Decision | None:
    day = find_day(newest)
    limit = params.max_silent_days
    if not day or limit is None:
        return None
    silent = (now.astimezone(UTC).date() - date.fromisoformat(day)).days
    if silent <= limit:
        return None
    return "watch", (
        f"The newest response in the prediction log is of {day}, {silent} days ago, above "
        f"monitor.max_silent_days ({limit}): check that the service gets requests and logs them "
        "here; the newest windows end then."
    )


def _decide_labels(labels: LabelTable) -> Decision:
    if labels.invalid or labels.ambiguous:
        return "watch", labels.statement
    return "ok", "All labels are allowed by the contract."


def _decide_quality(quality: Quality, params: MonitorParams) -> Decision:
    if quality.lacking:
        names = ", ".join(f"'{name}'" for name in quality.lacking[:_NAMED])
        return "broken", f"Logged rows lack {names}, which the contract has."
    if quality.proportion > params.max_invalid:
        reason, _ = next(iter(quality.reasons.items()))
        digits = refine(".1%", quality.proportion, params.max_invalid)
        sentence = (
            f"{quality.proportion:{digits}} of the newest rows break the contract, above "
            f"monitor.max_invalid ({params.max_invalid:{digits}}); most common: {reason}"
        )
        if _find_low_end(quality.invalid, quality.rows) > params.max_invalid:
            return "broken", f"{sentence}."
        return "watch", (
            f"{sentence}. These are {quality.invalid:,} of {quality.rows:,} rows, too few to be "
            "sure."
        )
    return "ok", "All logged rows satisfy the contract."


def _find_low_end(count: int, rows: int) -> float:
    """Return the lower end of a proportion's one-sided interval (Clopper & Pearson 1934)."""
    return float(betaincinv(count, rows - count + 1, 1 - _CONFIDENCE))


def _decide_skew(skew: Skew, params: MonitorParams) -> Decision:
    """Decide without a vote: features that differ are a fact, not a matter of chance."""
    if skew.violations:
        return "broken", f"Schema skew: {skew.violations[0]}"
    if not skew.rows or skew.mismatched / skew.rows <= params.max_skew:
        return "ok", "Logged rows have the features of their raw data."
    named = ", ".join(
        f"'{found.feature}' ({found.rows:,} rows, such as that with the key "
        f"{show_value(found.example)})"
        for found in skew.features[:_NAMED]
    )
    return "retrain", (
        f"Value skew: {skew.mismatched:,} of {skew.rows:,} logged rows have other features than "
        f"their raw data: {named}."
    )


def _decide_signals(windows: Sequence[Window], params: MonitorParams) -> list[Decision]:
    """Decide on performance, drift and the estimate; first whether there are enough rows."""
    if not windows:
        sentence = "The prediction log is empty, so nothing can be shown"
        return [("watch", f"{sentence}; send rows to the service first.")]
    newest = windows[-1]
    if not newest.enough:
        few = f"Too few rows: the newest window has {newest.rows:,} of {params.min_rows:,}."
        return [("watch", few)]
    fine = f"No signal exceeds its limit in {newest.start} to {newest.end}."
    return [
        ("ok", " ".join(filter(None, (fine, describe_few_labels(windows, params))))),
        _decide_performance(windows, params),
        _decide_drift(windows, params),
        _decide_estimate(newest),
    ]


def _decide_performance(windows: Sequence[Window], params: MonitorParams) -> Decision:
    """Decide on the newest window that has labels: they arrive late."""
    judged = [
        (window, window.performance)
        for window in windows
        if window.performance is not None and window.performance.value is not None
    ]
    alarms = [performance.alarm for _, performance in judged]
    if not any(alarms):
        return "ok", "The realized performance is within its limit."
    window, performance = [pair for pair in judged if pair[1].alarm][-1]
    value, limit = spell_limited(performance.value, performance.limit)
    sentence = (
        f"The mean loss is {value} in {window.start} to {window.end}, above its limit {limit}"
    )
    return _vote(alarms, sentence, params)


def _decide_drift(windows: Sequence[Window], params: MonitorParams) -> Decision:
    alarms = [window.drifts for window in windows]
    if not any(alarms):
        return "ok", "No column drifts."
    last = [w for w, alarm in zip(windows, alarms, strict=True) if alarm][-1]
    found = [
        *(describe_test(test) for test in last.alarms[:_NAMED]),
        *(test.sentence for test in last.related_alarms[:_NAMED]),
    ]
    names = ", ".join(found)
    return _vote(alarms, f"Drift in {last.start} to {last.end}: {names}", params)


def _vote(alarms: Sequence[bool], sentence: str, params: MonitorParams) -> Decision:
    """Ask for retraining only if enough windows and the newest agree."""
    count = sum(alarms)
    if alarms[-1] and count >= params.agreeing:
        return "retrain", f"{sentence}; {count} of {len(alarms)} windows agree."
    return "watch", f"{sentence}; {count} of {len(alarms)} windows, {params.agreeing} must agree."


def _decide_estimate(newest: Window) -> Decision:
    performance = newest.performance
    if performance is None or not performance.expects_alarm:
        return "ok", "The estimated performance is within its limit."
    value, limit = spell_limited(performance.estimated, performance.estimated_limit)
    return "watch", (
        f"The estimated mean loss is {value} in {newest.start} to {newest.end}, above its limit "
        f"{limit}; labels will tell."
    )


def describe_test(test: DriftTest) -> str:
    """Return a test as a part of a sentence."""
    what = "missing values of " if test.statistic == "missing" else ""
    digits = refine(".3g", test.value, test.limit)
    return f"{what}'{test.column}' ({test.value:{digits}}, limit {test.limit:{digits}})"
