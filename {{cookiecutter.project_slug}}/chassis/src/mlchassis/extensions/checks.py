"""Checks of the objects in a project's lists, made when a verb starts."""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, get_args

from mlchassis.config.params import Metric
from mlchassis.errors import ProjectError
from mlchassis.extensions.gates import CustomGate
from mlchassis.extensions.metrics import CustomMetric
from mlchassis.extensions.signatures import describe_place

if TYPE_CHECKING:
    from mlchassis.project import Project

_METRIC = (
    "@metric(tasks=(…), higher_is_better=…, description=…) above "
    "`def my_metric(target: Floats, scores: Floats, weight: Floats) -> float`"
)
_GATE = "@gate above `def my_gate(context: GateContext) -> GateResult`"


def check_extensions(project: "Project") -> None:
    """Reject metrics and gates that the chassis cannot use.

    Raises:
        ProjectError: One of them is of another type, or its name is taken.
    """
    _check_list("metrics", project.metrics, CustomMetric, _METRIC)
    _check_list("gates", project.gates, CustomGate, _GATE)
    _check_names("metrics", [metric.name for metric in project.metrics], get_args(Metric))
    _check_names("gates", [gate.function.__name__ for gate in project.gates], ())


def _check_list(field: str, found: Any, kind: type, advice: str) -> None:
    if not isinstance(found, Sequence) or isinstance(found, str):
        raise ProjectError(
            f"project.py: {field} of Project is {found!r:.100}; write a list, such as {field}=[…]."
        )
    for item in found:
        if not isinstance(item, kind):
            raise ProjectError(
                f"project.py: {field} of Project has {describe_place(item)}; write {advice}."
            )


def _check_names(field: str, names: Sequence[str], taken: Collection[str]) -> None:
    for position, name in enumerate(names):
        if name in taken or name in names[:position]:
            raise ProjectError(
                f"project.py: {field} of Project has the name '{name}', which is taken; choose "
                "another name."
            )
