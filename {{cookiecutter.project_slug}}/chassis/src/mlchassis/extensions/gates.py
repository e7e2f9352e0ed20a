"""A project's own release gates: functions of a `GateContext`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlchassis.team_code.decorators import takes_no_options
from mlchassis.team_code.errors import call_function
from mlchassis.team_code.signatures import Signature, check_function

if TYPE_CHECKING:
    from mlchassis.evaluation.gates.context import GateContext, GateResult

GateFunction = Callable[["GateContext"], "GateResult"]
GATE = Signature("(context: GateContext) -> GateResult", 1)
DECORATED_GATE = f"@gate above `def my_gate{GATE.text}`"


@dataclass(frozen=True, slots=True)
class CustomGate:
    """A gate of a project, as the decorator `gate` makes it."""

    function: GateFunction

    def __call__(self, context: "GateContext") -> "GateResult":
        """Return the result for one judgement.

        Raises:
            ProjectError: The function failed.
        """
        result: GateResult = call_function(self.function, context, use="a gate")
        return result


@takes_no_options(DECORATED_GATE)
def gate(function: GateFunction) -> CustomGate:
    """Make a function a release gate: a bundle that it rejects is not registered.

    Raises:
        ProjectError: The function takes other arguments.
    """
    name = getattr(function, "__name__", "my_gate")
    check_function(function, "The function of @gate", name, GATE)
    return CustomGate(function)
