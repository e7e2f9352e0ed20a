"""A project's own release gates: functions of a `GateContext`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlchassis.extensions.signatures import call_project, check_parameters

if TYPE_CHECKING:
    from mlchassis.evaluation.gates.context import GateContext, GateResult

GateFunction = Callable[["GateContext"], "GateResult"]
_SIGNATURE = "def {name}(context: GateContext) -> GateResult"


@dataclass(frozen=True, slots=True)
class CustomGate:
    """A gate of a project, as the decorator `gate` makes it."""

    function: GateFunction

    @property
    def signature(self) -> str:
        """The signature that the function must have."""
        return _SIGNATURE.format(name=self.function.__name__)

    def __call__(self, context: "GateContext") -> "GateResult":
        """Return the result for one judgement.

        Raises:
            ProjectError: The function failed.
        """
        result: GateResult = call_project(self.function, context, use="a gate")
        return result


def gate(function: GateFunction) -> CustomGate:
    """Make a function a release gate: a bundle that it rejects is not registered.

    Raises:
        ProjectError: The function takes other arguments.
    """
    name = getattr(function, "__name__", "my_gate")
    check_parameters(function, ("context",), _SIGNATURE.format(name=name), "a gate")
    return CustomGate(function)
