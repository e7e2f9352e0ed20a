"""The machinery of an ML service: pipeline, registry, gates and model API.

A project passes its own objects to it (`Project`, `Service`). The names below are the public API;
each is imported when it is first used, so that a service loads nothing that trains.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlchassis.bundle.scorer import Scorer
    from mlchassis.config.estimator_params import SearchRange
    from mlchassis.config.section import ParamsSection
    from mlchassis.contract.model import Contract
    from mlchassis.errors import ProjectError
    from mlchassis.evaluation.gates.context import GateContext, GateResult
    from mlchassis.evaluation.results import Evaluation
    from mlchassis.extensions.estimators import Dataset, Estimator, FittedEstimator
    from mlchassis.extensions.gates import gate
    from mlchassis.extensions.metrics import metric
    from mlchassis.extensions.monitors import monitor
    from mlchassis.features.encoding import FeatureMatrix
    from mlchassis.monitoring.custom import MonitorContext
    from mlchassis.monitoring.results import CustomSignal
    from mlchassis.project import Project
    from mlchassis.reporting.sections import ReportContext, ReportSection
    from mlchassis.serving.extension.model_dependency import ModelDep
    from mlchassis.serving.service import Service
    from mlchassis.workflow.release import load_champion

__version__ = "0.2.0"

_PLACES = {
    "Contract": "mlchassis.contract.model",
    "CustomSignal": "mlchassis.monitoring.results",
    "Dataset": "mlchassis.extensions.estimators",
    "Estimator": "mlchassis.extensions.estimators",
    "Evaluation": "mlchassis.evaluation.results",
    "FeatureMatrix": "mlchassis.features.encoding",
    "FittedEstimator": "mlchassis.extensions.estimators",
    "GateContext": "mlchassis.evaluation.gates.context",
    "GateResult": "mlchassis.evaluation.gates.context",
    "ModelDep": "mlchassis.serving.extension.model_dependency",
    "MonitorContext": "mlchassis.monitoring.custom",
    "ParamsSection": "mlchassis.config.section",
    "Project": "mlchassis.project",
    "ProjectError": "mlchassis.errors",
    "ReportContext": "mlchassis.reporting.sections",
    "ReportSection": "mlchassis.reporting.sections",
    "Scorer": "mlchassis.bundle.scorer",
    "SearchRange": "mlchassis.config.estimator_params",
    "Service": "mlchassis.serving.service",
    "gate": "mlchassis.extensions.gates",
    "load_champion": "mlchassis.workflow.release",
    "metric": "mlchassis.extensions.metrics",
    "monitor": "mlchassis.extensions.monitors",
}

__all__ = [
    "Contract",
    "CustomSignal",
    "Dataset",
    "Estimator",
    "Evaluation",
    "FeatureMatrix",
    "FittedEstimator",
    "GateContext",
    "GateResult",
    "ModelDep",
    "MonitorContext",
    "ParamsSection",
    "Project",
    "ProjectError",
    "ReportContext",
    "ReportSection",
    "Scorer",
    "SearchRange",
    "Service",
    "gate",
    "load_champion",
    "metric",
    "monitor",
]


def __getattr__(name: str) -> Any:
    """Import a public name from the module that defines it."""
    if name not in _PLACES:
        raise AttributeError(f"module 'mlchassis' has no attribute '{name}'")
    return getattr(import_module(_PLACES[name]), name)
