"""The page of the monitor: timelines of each signal, drifting columns, and what was read."""

from collections.abc import Iterator, Sequence

from mlchassis.formatting import refine, spell_limited, spell_number
from mlchassis.html.blocks import Bars, Block, Lead, Section, Table, Text, Timeline, TimelinePoint
from mlchassis.html.rendering import render_page
from mlchassis.monitoring.results import (
    STATISTICS,
    DriftTest,
    MonitorReport,
    Performance,
    Skew,
    Window,
)

_RANKED = 15
_DRAWN = 6


def render_report(name: str, report: MonitorReport) -> str:
    """Render a report as an HTML page without any address outside."""
    return render_page(f"{name}: monitor", _lead(name, report), list(_list_sections(report)))


def _lead(name: str, report: MonitorReport) -> Lead:
    newest = report.windows[-1] if report.windows else None
    tiles = [(f"{report.log.rows:,}", "rows in the prediction log")]
    if newest is not None:
        tiles.append((f"{newest.rows:,}", f"rows from {newest.start} to {newest.end}"))
        alarms = len(newest.alarms) + len(newest.related_alarms)
        tiles.append((str(alarms), "drift tests above their limit in these days"))
        if newest.performance is not None:
            maturity = f"{newest.performance.maturity:.0%}"
            tiles.append((maturity, "of these days' responses have a label"))
    words = [
        report.sentence,
        f"Deployed: version {report.model_version}, bundle {report.digest[:12]}.",
    ]
    return Lead(f"{name}: production", report.status, report.status == "ok", words, tiles)


def _list_sections(report: MonitorReport) -> Iterator[Section]:
    enough = [window for window in report.windows if window.enough]
    yield Section("Performance", list(_describe_performance(report)))
    if enough:
        yield Section("Drift", list(_describe_drift(report, enough)))
        yield Section("Related columns", list(_describe_related(enough[-1])))
        yield Section("Newest window", list(_describe_newest(enough[-1])))
    yield Section("Training/serving skew", list(_describe_skew(report.skew)))
    if report.custom:
        rows = [(signal.name, signal.status, signal.sentence) for signal in report.custom]
        yield Section("Custom monitors", [Table(("monitor", "status", "result"), rows)])
    yield Section("Prediction log", list(_describe_log(report)))


def _describe_performance(report: MonitorReport) -> Iterator[Block]:
    yield Text(
        "Mean loss of the deployed model's responses: Brier score of classes, absolute error of "
        "numbers; smaller is better. The dashed line is the limit, a red dot is above it."
    )
    if report.labels:
        yield Text(report.labels)
    measured = [(w, w.performance) for w in report.windows if w.performance is not None]
    if not measured:
        yield Text("No window has enough rows.")
        return
    yield Timeline(
        "Realized",
        [TimelinePoint(w.end[5:], p.value, p.limit, p.low, p.high) for w, p in measured],
        "From labels; the whisker is the interval of 95 %.",
    )
    yield Timeline(
        "Estimated before labels",
        [TimelinePoint(w.end[5:], p.estimated, p.estimated_limit) for w, p in measured],
        "From the responses alone. It does not see concept drift: equal rows, other outcomes.",
    )
    header = ("window", "answered", "labels in", "realized", "limit", "estimated", "limit")
    yield Table(header, [(f"{w.start} to {w.end}", *_spell_performance(p)) for w, p in measured])


def _spell_performance(performance: Performance) -> tuple[str, ...]:
    return (
        f"{performance.answered:,}",
        f"{performance.maturity:.0%}",
        *spell_limited(performance.value, performance.limit),
        *spell_limited(performance.estimated, performance.estimated_limit),
    )


def _describe_drift(report: MonitorReport, windows: Sequence[Window]) -> Iterator[Block]:
    yield Text(
        "Distance of each column from the most similar days of the reference. Limits come from "
        f"windows drawn from the reference, which has {report.blocks:,} windows of this length; "
        "they count all columns together."
    )
    ranked = sorted(windows[-1].tests, key=lambda test: -test.ratio)
    bars = [
        (_name(test), test.ratio, f"{test.ratio:{refine('.2f', test.ratio, 1.0)}}")
        for test in ranked[:_RANKED]
    ]
    yield Bars("Columns by distance", bars, "In units of the limit; above 1 is an alarm.")
    for test in ranked[:_DRAWN]:
        yield _draw_test(test, windows)


def _draw_test(test: DriftTest, windows: Sequence[Window]) -> Timeline:
    wanted = (test.column, test.statistic)
    points = []
    for window in windows:
        result = {(other.column, other.statistic): other for other in window.tests}.get(wanted)
        if result is None:
            points.append(TimelinePoint(window.end[5:], None))
        else:
            points.append(TimelinePoint(window.end[5:], result.value, result.limit))
    return Timeline(_name(test), points)


def _name(test: DriftTest) -> str:
    return test.column if test.statistic == STATISTICS[0] else f"{test.column}: missing"


def _describe_related(window: Window) -> Iterator[Block]:
    yield Text(
        "Residuals of numbers that other columns predict, and combinations of two columns' values, "
        "compared with the most similar days of the reference. A change is seen here though each "
        "column alone looks ordinary."
    )
    if not window.related:
        yield Text("The reference has no related columns, or the window too few rows of them.")
        return
    for test in window.related_alarms:
        yield Text(f"{test.sentence}.")
    header = ("columns", "distance", "limit", "unusual rows", "in the reference")
    yield Table(
        header,
        [
            (
                " and ".join(test.columns),
                *spell_limited(test.value, test.limit),
                f"{test.unusual:.1%}",
                f"{test.unusual_before:.1%}",
            )
            for test in sorted(window.related, key=lambda test: -test.ratio)
        ],
    )


def _describe_newest(window: Window) -> Iterator[Block]:
    earlier = window.season.distances if window.season else []
    season = {measured.column: measured.value for measured in earlier}
    yield Text(
        f"Rows from {window.start} to {window.end} against the whole reference. "
        + (
            f"Last year: the same weeks, {window.season.start} to {window.season.end}."
            if window.season
            else "The reference has no rows of the same weeks a year earlier."
        )
    )
    distances = ("KS", "Jensen-Shannon", "Wasserstein (SD)", "PSI")
    header = ("column", *distances, "missing", "before", "last year")
    yield Table(
        header,
        [
            (
                measured.column,
                _spell(measured.ks),
                _spell(measured.jensen_shannon),
                _spell(measured.wasserstein),
                _spell(measured.psi),
                f"{measured.missing:.1%}",
                f"{measured.missing_before:.1%}",
                _spell(season.get(measured.column)),
            )
            for measured in window.distances
        ],
    )


def _describe_skew(skew: Skew) -> Iterator[Block]:
    if skew.statement:
        yield Text(skew.statement)
    for violation in skew.violations:
        yield Text(violation)
    if skew.rows and not skew.violations:
        yield Text(
            f"The features of {skew.rows:,} logged rows were recomputed from the raw data; "
            f"{skew.mismatched:,} rows differ."
        )
    if skew.features:
        rows = [(found.feature, f"{found.rows:,}", found.example) for found in skew.features]
        yield Table(("feature", "rows that differ", "key of one of them"), rows)


def _describe_log(report: MonitorReport) -> Iterator[Block]:
    log = report.log
    versions = ", ".join(f"{count:,} of {version}" for version, count in log.versions.items())
    yield Table(
        ("lines", "count"),
        [
            ("rows", f"{log.rows:,}"),
            ("rows by contract version", versions or "none"),
            ("cut short", f"{log.torn:,}"),
            ("of another format", f"{log.foreign:,}"),
            ("without a plausible event time", f"{log.undated:,}"),
            ("newest response", log.newest or "none"),
            ("newest rows that break the contract", f"{report.quality.invalid:,}"),
        ],
    )
    if report.quality.reasons:
        reasons = [(reason, f"{count:,}") for reason, count in report.quality.reasons.items()]
        yield Table(("violated rule", "rows"), reasons)
    if report.quality.lacking:
        yield Text(f"Columns that these rows lack: {', '.join(report.quality.lacking)}.")


def _spell(value: float | None) -> str:
    return "" if value is None else spell_number(float(f"{value:.3g}"))
