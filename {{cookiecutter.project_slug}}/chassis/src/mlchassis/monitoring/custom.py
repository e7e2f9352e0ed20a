"""Input of a project's own monitors, and the call of each."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from mlchassis.bundle.bundle import Bundle
from mlchassis.config.custom_params import read_custom_limit
from mlchassis.config.params import Params
from mlchassis.errors import ProjectError
from mlchassis.extensions.monitors import MONITOR, CustomMonitor
from mlchassis.monitoring.prediction_log import LogFacts, LoggedRow, read_log
from mlchassis.monitoring.results import CustomSignal, LogSummary, Quality, Skew, Window
from mlchassis.team_code.signatures import describe


@dataclass(frozen=True, slots=True)
class MonitorContext:
    """Facts about production.

    Attributes:
        windows: Newest windows of the log with their drift and performance, the oldest first.
        quality: Contract check of the newest window's rows.
        skew: Comparison of logged rows with their raw data.
        log: Lines of the prediction log.
        bundle: The deployed bundle, with its contract.
        params: The parameters.
        folder: Folder of the prediction log.
        now: Time at which the monitor started.
    """

    windows: Sequence[Window]
    quality: Quality
    skew: Skew
    log: LogSummary
    bundle: Bundle
    params: Params
    folder: Path
    now: datetime

    def read_newest(self) -> Iterator[LoggedRow]:
        """Read the rows of the newest window from the log, whichever model answered them."""
        if not self.windows:
            return
        newest = self.windows[-1]
        for chunk in read_log(self.folder, self.bundle.contract, self.now, LogFacts()):
            yield from (row for row in chunk if newest.start <= row.day <= newest.end)

    def limit(self, name: str) -> float:
        """Return a limit of the project's own monitors: `monitor.custom.NAME` in params.yaml.

        Raises:
            ProjectError: It is not there.
        """
        return read_custom_limit(self.params.monitor.custom, "monitor", name, "a monitor")


def run_monitors(monitors: Sequence[CustomMonitor], context: MonitorContext) -> list[CustomSignal]:
    """Return the result of each monitor of the project.

    Raises:
        ProjectError: One of them failed, or returned something else than a signal.
    """
    return [_run_monitor(monitor, context) for monitor in monitors]


def _run_monitor(monitor: CustomMonitor, context: MonitorContext) -> CustomSignal:
    signal = monitor(context)
    if not isinstance(signal, CustomSignal):
        raise ProjectError(
            f"{describe(monitor.function)} returned {type(signal).__name__} as a monitor; write "
            f"`def my_monitor{MONITOR.text}`, and return CustomSignal(name=…, status=…, "
            "sentence=…)."
        )
    return signal
