"""The machinery of an ML service: pipeline, registry, gates and model API.

A project passes its own objects to it (`Project`, `Service`). The names below are the public API;
each is imported when it is first used, so that a service loads nothing that trains.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlchassis.bundle.scorer import Scorer
    from mlchassis.contract.model import Contract
    from mlchassis.errors import ProjectError
    from mlchassis.project import Project
    from mlchassis.serving.service import Service
    from mlchassis.workflow.release import load_champion

__version__ = "0.2.0"

_PLACES = {
    "Contract": "mlchassis.contract.model",
    "Project": "mlchassis.project",
    "ProjectError": "mlchassis.errors",
    "Scorer": "mlchassis.bundle.scorer",
    "Service": "mlchassis.serving.service",
    "load_champion": "mlchassis.workflow.release",
}

__all__ = ["Contract", "Project", "ProjectError", "Scorer", "Service", "load_champion"]


def __getattr__(name: str) -> Any:
    """Import a public name from the module that defines it."""
    if name not in _PLACES:
        raise AttributeError(f"module 'mlchassis' has no attribute '{name}'")
    return getattr(import_module(_PLACES[name]), name)
