"""The model API. The names below are for a project's own service.py."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlchassis.serving.extension.model_dependency import ModelDep
    from mlchassis.serving.service import Service

_PLACES = {
    "ModelDep": "mlchassis.serving.extension.model_dependency",
    "Service": "mlchassis.serving.service",
}

__all__ = ["ModelDep", "Service"]


def __getattr__(name: str) -> Any:
    """Import a public name from the module that defines it."""
    if name not in _PLACES:
        raise AttributeError(f"module 'mlchassis.serving' has no attribute '{name}'")
    return getattr(import_module(_PLACES[name]), name)
