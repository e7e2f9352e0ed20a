"""The verb `monitor`: read the log and labels, compare, decide, and write the report."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from mlchassis.bundle.bundle import Bundle, load_deployed, read_pointer
from mlchassis.bundle.daily_counts import DailyReference
from mlchassis.config.params import MonitorParams, Params
from mlchassis.contract.checks import suggest
from mlchassis.contract.model import Contract, load_contract
from mlchassis.errors import ProjectError
from mlchassis.files import write_text
from mlchassis.monitoring.counting import LogCounter, LogCounts
from mlchassis.monitoring.custom import MonitorContext, run_monitors
from mlchassis.monitoring.decision import decide, decide_log
from mlchassis.monitoring.drift.windows import (
    Reference,
    compare_window,
    drop_stray_days,
    list_windows,
)
from mlchassis.monitoring.labels import (
    LabelTable,
    describe_strangers,
    has_labels,
    read_labels,
)
from mlchassis.monitoring.page import render_report
from mlchassis.monitoring.performance import describe_few_labels
from mlchassis.monitoring.prediction_log import LogFacts, read_log
from mlchassis.monitoring.quality import DayQuality, QualityCheck, summarize_quality
from mlchassis.monitoring.results import LogSummary, MonitorReport, Window
from mlchassis.monitoring.skew import SkewCheck, read_raw
from mlchassis.monitoring.source_rows import SourceRows
from mlchassis.project import Workspace
from mlchassis.reports import write_report
from mlchassis.sources.location import SourceMissingError

REPORT = "monitor.json"
PAGE = "monitor.html"


@dataclass(frozen=True, slots=True)
class _Read:
    """The prediction log, read once.

    Attributes:
        periods: Days of each window, the oldest window first.
    """

    summary: LogSummary
    counts: LogCounts
    quality: dict[str, DayQuality]
    periods: list[list[str]]

    @property
    def newest(self) -> list[str]:
        """Days of the newest window."""
        return self.periods[-1] if self.periods else []

    def describe_labels(self, labels: LabelTable) -> str:
        """Return the statement on the labels, or that none of them belongs to a row."""
        losses = self.counts.losses.values()
        if labels.statement or not losses:
            return labels.statement
        return describe_strangers(labels, sum(day.labeled for day in losses))


def monitor(
    paths: Workspace, params: Params, store: Path, log: Path, now: datetime | None = None
) -> MonitorReport:
    """Compare production with the deployed bundle's reference, and write the report.

    Args:
        paths: The project.
        params: Its parameters.
        store: Folder of the deployed bundles.
        log: Folder of the prediction log.
        now: Time of this run, from which the age of the log counts; the present by default.

    Raises:
        ProjectError: Nothing is deployed, or the bundle has no reference.
    """
    bundle, version = _load_deployed(paths, store)
    report = _examine(paths, params, bundle, version, log, now or datetime.now(UTC))
    write(paths, bundle.contract.name, report)
    return report


def _examine(
    paths: Workspace, params: Params, bundle: Bundle, version: str, log: Path, now: datetime
) -> MonitorReport:
    """Compare the log with the bundle's reference and decide."""
    _check_ignored(paths, bundle.contract, params.monitor.ignore)
    reference = _read_reference(bundle)
    labels, skew_check = _read_source(paths, params, bundle)
    counter = LogCounter(bundle, reference, labels.by_key)
    read = _read_log(log, now, counter, skew_check, bundle.contract, params.monitor)
    windows, blocks = _compare(bundle.contract, reference, read, params)
    quality = summarize_quality(read.quality, read.newest)
    skew = skew_check.compare(windows[0].start if windows else "")
    context = MonitorContext(windows, quality, skew, read.summary, bundle, params, log, now)
    custom = run_monitors(paths.project.monitors, context)
    whole = decide_log(read.summary, now, params.monitor)
    status, sentence = decide(windows, quality, skew, custom, labels, whole, params.monitor)
    return MonitorReport(
        status=status,
        sentence=sentence,
        digest=bundle.digest,
        model_version=version,
        log=read.summary,
        quality=quality,
        skew=skew,
        windows=windows,
        blocks=blocks,
        labels=read.describe_labels(labels) or describe_few_labels(windows, params.monitor),
        invalid_labels=labels.invalid,
        ambiguous_labels=labels.ambiguous,
        custom=custom,
    )


def _read_log(
    log: Path,
    now: datetime,
    counter: LogCounter,
    skew: SkewCheck,
    contract: Contract,
    params: MonitorParams,
) -> _Read:
    """Count and check every row of the log, and divide its days into windows."""
    facts = LogFacts()
    quality = QualityCheck(contract)
    for chunk in read_log(log, contract, now, facts):
        counter.add(chunk)
        quality.add(chunk)
        skew.add(chunk)
    rows = counter.counts.rows
    days = drop_stray_days(rows, now, params.min_rows)
    facts.undated += sum(rows.values()) - sum(rows[day] for day in days)
    summary = LogSummary.model_validate(asdict(facts))
    return _Read(summary, counter.counts, quality.days, list_windows(days, params))


def _compare(
    contract: Contract, reference: DailyReference, read: _Read, params: Params
) -> tuple[list[Window], int]:
    """Compare all windows; return them and the number of such windows in the reference."""
    left_out = [*(column.name for column in contract.pii), *params.monitor.ignore]
    compared = Reference.read(reference, left_out)
    results = [
        compare_window(days, read.counts, compared, params.monitor, params.seed)
        for days in read.periods
    ]
    return [window for window, _ in results], max((blocks for _, blocks in results), default=0)


def _load_deployed(paths: Workspace, store: Path) -> tuple[Bundle, str]:
    pointer = read_pointer(store)
    if pointer is None:
        raise ProjectError(f"Nothing is deployed in {store}; run `make deploy`.")
    return load_deployed(store, pointer.digest, paths.features), pointer.model_version


def _check_ignored(paths: Workspace, deployed: Contract, ignored: Sequence[str]) -> None:
    """Reject names in `monitor.ignore` of which no contract has a column.

    The project's contract may be ahead of the deployed one, or behind it.

    Raises:
        ProjectError: There is such a name.
    """
    contracts = [deployed, *([load_contract(paths.contract)] if paths.contract.exists() else [])]
    known = {column.name for contract in contracts for column in contract.columns}
    for name in ignored:
        if name not in known:
            raise ProjectError(
                f"monitor.ignore in params.yaml names '{name}', which is not a column of the "
                f"contract{suggest(name, sorted(known))}."
            )


def _read_reference(bundle: Bundle) -> DailyReference:
    if bundle.metadata.monitoring is None:
        raise ProjectError(
            f"Bundle {bundle.digest[:12]} has no reference for monitoring, since an older chassis "
            "made it; run `make run` to train and deploy a new one."
        )
    return bundle.metadata.monitoring


def _read_source(paths: Workspace, params: Params, bundle: Bundle) -> tuple[LabelTable, SkewCheck]:
    """Return the labels and the check against raw data; the source is read once for both."""
    source = SourceRows(paths, params, bundle.contract)
    labels = _read_labels(source)
    return labels, SkewCheck(bundle, paths.features, read_raw(source), params.monitor.skew_rows)


def _read_labels(source: SourceRows) -> LabelTable:
    """Return the labels, with a statement where there are none.

    Raises:
        ProjectError: The table that `monitor.labels` names cannot be read.
    """
    if not has_labels(source.contract):
        statement = "The contract has no key that is logged, so labels cannot be joined."
        return LabelTable(statement=statement)
    try:
        labels = read_labels(source)
    except SourceMissingError as missing:
        if source.params.monitor.labels is not None:
            raise
        statement = f"The source, which has the labels, is not on this machine ({missing})"
        return LabelTable(statement=statement)
    if labels.by_key or labels.statement:
        return labels
    return LabelTable(statement="The table of labels has no outcome yet.")


def write(paths: Workspace, name: str, report: MonitorReport) -> Sequence[Path]:
    """Write the report as JSON and as a page."""
    facts = paths.reports / REPORT
    page = paths.reports / PAGE
    write_report(facts, report.model_dump(mode="json"))
    write_text(page, render_report(name, report))
    return facts, page
