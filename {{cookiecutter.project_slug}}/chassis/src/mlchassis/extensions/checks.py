"""Checks of the objects that a project passes, made when a verb starts."""

import re
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, get_args

from mlchassis.config.params import Metric, TrainParams
from mlchassis.config.section import ParamsSection
from mlchassis.errors import ProjectError
from mlchassis.extensions.estimators import FIT
from mlchassis.extensions.gates import DECORATED_GATE, CustomGate
from mlchassis.extensions.metrics import DECORATED_METRIC, CustomMetric
from mlchassis.extensions.monitors import DECORATED_MONITOR, CustomMonitor
from mlchassis.extensions.stages import check_stages
from mlchassis.features.code import FEATURE_SIGNATURE, load_feature_code
from mlchassis.team_code.signatures import Signature, check_function, check_list, describe

if TYPE_CHECKING:
    from mlchassis.project import Project

_SOURCE = Signature("(options, root) -> pandas.DataFrame", 2)
_SECTION = Signature("(context: ReportContext) -> ReportSection", 1)


def check_project(project: "Project", file: str, verbs: Collection[str]) -> None:
    """Reject a project with an object that the chassis cannot use.

    Args:
        project: The team's objects.
        file: The file in which they are passed.
        verbs: The built-in commands, whose names no own stage may have.

    Raises:
        ProjectError: An object has another type or signature, or its name is taken.
    """
    check_function(project.features, f"{file}: features", "features", FEATURE_SIGNATURE)
    load_feature_code(project.features)
    if project.source is not None:
        check_function(project.source, f"{file}: source", "source", _SOURCE)
    check_list(project.report_sections, f"{file}: report_sections")
    for position, section in enumerate(project.report_sections):
        check_function(section, f"{file}: report_sections[{position}]", "section", _SECTION)
    check_stages(project.stages, file, verbs)
    _check_list(f"{file}: metrics", project.metrics, CustomMetric, DECORATED_METRIC)
    _check_list(f"{file}: gates", project.gates, CustomGate, DECORATED_GATE)
    _check_list(f"{file}: monitors", project.monitors, CustomMonitor, DECORATED_MONITOR)
    _check_list(f"{file}: estimators", project.estimators, object, "")
    for position, estimator in enumerate(project.estimators):
        _check_estimator(estimator, f"{file}: estimators[{position}]")
    _check_all_names(project, file)


def _check_all_names(project: "Project", file: str) -> None:
    kinds = [estimator.name for estimator in project.estimators]
    _check_names(f"{file}: estimators", kinds, {"prior", *TrainParams.model_fields})
    metrics = [metric.name for metric in project.metrics]
    _check_names(f"{file}: metrics", metrics, get_args(Metric))
    _check_names(f"{file}: gates", [gate.function.__name__ for gate in project.gates], ())
    monitors = [monitor.function.__name__ for monitor in project.monitors]
    _check_names(f"{file}: monitors", monitors, ())


def _check_list(place: str, value: Any, kind: type, advice: str) -> None:
    check_list(value, place)
    for position, item in enumerate(value):
        if not isinstance(item, kind):
            raise ProjectError(f"{place}[{position}] is {describe(item)}; write {advice}.")


def _check_estimator(value: Any, place: str) -> None:
    """Reject an object that is not an `Estimator`: a class, or one without name, Params or fit."""
    if isinstance(value, type):
        raise ProjectError(
            f"{place} is the class {describe(value)}; pass an instance: {value.__name__}()."
        )
    kind = describe(type(value))
    name = getattr(value, "name", None)
    if not isinstance(name, str) or not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise ProjectError(
            f"{place}, {kind}, has the name {name!r:.60}; write "
            '`name = "my_model"` in small letters.'
        )
    section = getattr(value, "Params", None)
    if not isinstance(section, type) or not issubclass(section, ParamsSection):
        raise ProjectError(
            f"{kind} has no parameters; write `class Params(ParamsSection)` in it, with a field "
            "for each parameter."
        )
    check_function(getattr(value, "fit", None), f"{place}.fit", "fit", FIT)


def _check_names(place: str, names: Sequence[str], taken: Collection[str]) -> None:
    for position, name in enumerate(names):
        if name in taken or name in names[:position]:
            raise ProjectError(
                f"{place}[{position}] has the name '{name}', which is taken; choose another name."
            )
