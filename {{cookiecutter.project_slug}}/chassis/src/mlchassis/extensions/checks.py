"""Checks of the objects in a project's lists, made when a verb starts."""

import re
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, get_args

from mlchassis.config.custom_params import ParamsSection
from mlchassis.config.params import Metric, TrainParams
from mlchassis.errors import ProjectError
from mlchassis.extensions.estimators import FIT_ARGUMENTS, FIT_SIGNATURE
from mlchassis.extensions.gates import CustomGate
from mlchassis.extensions.metrics import CustomMetric
from mlchassis.extensions.signatures import check_parameters, describe_place

if TYPE_CHECKING:
    from mlchassis.project import Project

_METRIC = (
    "@metric(tasks=(…), higher_is_better=…, description=…) above "
    "`def my_metric(target: Floats, scores: Floats, weight: Floats) -> float`"
)
_GATE = "@gate above `def my_gate(context: GateContext) -> GateResult`"


def check_extensions(project: "Project") -> None:
    """Reject metrics, gates and estimators that the chassis cannot use.

    Raises:
        ProjectError: One of them is of another type, or its name is taken.
    """
    _check_list("metrics", project.metrics, CustomMetric, _METRIC)
    _check_list("gates", project.gates, CustomGate, _GATE)
    _check_list("estimators", project.estimators, object, "")
    for estimator in project.estimators:
        _check_estimator(estimator)
    kinds = [estimator.name for estimator in project.estimators]
    _check_names("estimators", kinds, {"trees", *TrainParams.model_fields})
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


def _check_estimator(found: Any) -> None:
    """Reject an object that is no `Estimator`: a class, or one without name, Params or fit."""
    place = describe_place(found)
    if isinstance(found, type):
        raise ProjectError(
            f"project.py: estimators of Project has the class {place}; write an instance: "
            f"{found.__name__}()."
        )
    name = getattr(found, "name", None)
    if not isinstance(name, str) or not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise ProjectError(
            f'{place} has the name {name!r:.60}; write `name = "my_model"` in small letters.'
        )
    section = getattr(found, "Params", None)
    if not isinstance(section, type) or not issubclass(section, ParamsSection):
        raise ProjectError(
            f"{place} has no parameters; write `class Params(ParamsSection)` in it, with a field "
            "for each parameter."
        )
    check_parameters(getattr(found, "fit", None), FIT_ARGUMENTS, FIT_SIGNATURE, "an estimator")


def _check_names(field: str, names: Sequence[str], taken: Collection[str]) -> None:
    for position, name in enumerate(names):
        if name in taken or name in names[:position]:
            raise ProjectError(
                f"project.py: {field} of Project has the name '{name}', which is taken; choose "
                "another name."
            )
