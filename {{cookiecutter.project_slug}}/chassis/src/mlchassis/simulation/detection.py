"""First signal of a fault: when it was noticed, and how many wrong answers had gone out."""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta

from mlchassis.config.params import MonitorParams
from mlchassis.simulation.faults import FaultSwitch
from mlchassis.simulation.results import FaultResult, RetrainingResult, WindowResult

Signal = tuple[str, str]
"""Day, and the sentence."""
_STALE = "data recency"
"""Gate that rejects a model if the newest rows are missing."""


def describe_fault(
    fault: FaultSwitch,
    windows: Sequence[WindowResult],
    retrainings: Sequence[RetrainingResult],
    params: MonitorParams,
) -> FaultResult:
    """Return the first signal of a fault, and the answers that had gone out until then.

    A signal counts if the fault can cause it: drift of another column, for instance, does not.
    """
    later = [window for window in windows if window.end >= fault.day.isoformat()]
    signals = [signal for window in later for signal in _list_signals(fault, window, params)]
    signals += [_describe_retraining(each) for each in retrainings if _reveals(fault, each)]
    noticed, sentence = min(signals, default=(None, ""), key=lambda signal: str(signal[0]))
    until = [window for window in later if noticed is None or _ends_before(window, noticed)]
    return FaultResult(
        name=fault.name,
        day=fault.day.isoformat(),
        column=fault.column,
        noticed=noticed,
        signal=sentence,
        answered=sum(window.requests.answered for window in until),
        wrong=sum(window.requests.wrong for window in until),
        wrong_without_faults=sum(window.requests.wrong_without_faults for window in until),
    )


def _ends_before(window: WindowResult, day: str) -> bool:
    return window.end < day


def _follow(window: WindowResult) -> str:
    """Return the day after a window, on which its monitor runs."""
    return (date.fromisoformat(window.end) + timedelta(days=1)).isoformat()


def _list_signals(
    fault: FaultSwitch, window: WindowResult, params: MonitorParams
) -> Iterator[Signal]:
    """Yield the signals of one window."""
    requests = window.requests
    day = _follow(window)
    if requests.rejected > params.max_invalid * requests.sent:
        yield day, f"service: {requests.rejected:,} of {requests.sent:,} rows rejected (422)"
    if requests.unanswered:
        yield day, f"clients: {requests.unanswered:,} of {requests.sent:,} rows without a response"
    if window.status == "broken":
        yield day, f"monitor: broken. {window.sentence}"
    if window.skewed:
        yield day, f"monitor: {window.status}, training/serving skew. {window.sentence}"
    for drift in _list_drift(fault.column, window):
        yield day, f"monitor: {window.status}, {drift}"
    if fault.name == "concept-change" and window.performance_alarm:
        yield day, f"monitor: {window.status}, realized performance. {window.sentence}"


def _list_drift(column: str | None, window: WindowResult) -> Iterator[str]:
    """Yield the drift of a column, alone and with those that are related to it."""
    if column in window.drift:
        yield f"drift of '{column}'"
    for first, second in window.related:
        if column in (first, second):
            yield f"'{first}' no longer fits '{second}'"


def _reveals(fault: FaultSwitch, retraining: RetrainingResult) -> bool:
    """Return whether a retraining shows the fault: a stage stops, or rows are missing."""
    if retraining.day <= fault.day.isoformat():
        return False
    if retraining.outcome == "failed":
        return True
    if fault.name != "late-partition":
        return False
    return retraining.outcome == "nothing_new" or _STALE in retraining.sentence


def _describe_retraining(retraining: RetrainingResult) -> Signal:
    return retraining.day, f"retraining: {retraining.outcome}. {retraining.sentence}"
