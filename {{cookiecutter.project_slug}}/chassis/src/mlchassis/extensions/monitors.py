"""A project's own monitors: functions of a `MonitorContext`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlchassis.team_code.decorators import takes_no_options
from mlchassis.team_code.errors import call_function
from mlchassis.team_code.signatures import Signature, check_function

if TYPE_CHECKING:
    from mlchassis.monitoring.custom import MonitorContext
    from mlchassis.monitoring.results import CustomSignal

MonitorFunction = Callable[["MonitorContext"], "CustomSignal"]
MONITOR = Signature("(context: MonitorContext) -> CustomSignal", 1)
DECORATED_MONITOR = f"@monitor above `def my_monitor{MONITOR.text}`"


@dataclass(frozen=True, slots=True)
class CustomMonitor:
    """A monitor of a project, as the decorator `monitor` makes it."""

    function: MonitorFunction

    def __call__(self, context: "MonitorContext") -> "CustomSignal":
        """Return the result for one run of `make monitor`.

        Raises:
            ProjectError: The function failed.
        """
        result: CustomSignal = call_function(self.function, context, use="a monitor")
        return result


@takes_no_options(DECORATED_MONITOR)
def monitor(function: MonitorFunction) -> CustomMonitor:
    """Make a function a monitor: its status counts as those of the built-in signals.

    Raises:
        ProjectError: The function takes other arguments.
    """
    name = getattr(function, "__name__", "my_monitor")
    check_function(function, "The function of @monitor", name, MONITOR)
    return CustomMonitor(function)
