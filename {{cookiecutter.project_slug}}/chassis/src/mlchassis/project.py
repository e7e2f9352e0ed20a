"""The objects that a team passes to the machinery: its source of rows and its features."""

import inspect
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from mlchassis.errors import ProjectError
from mlchassis.features.code import FeatureCode, FeatureFunction, load_feature_code
from mlchassis.paths import Paths

if TYPE_CHECKING:
    from mlchassis.sources.registry import Source


@dataclass(frozen=True, slots=True)
class Project:
    """The composition root of training.

    Attributes:
        features: The function from columns to features.
        source: Reader of rows under `source.kind: custom`; None reads files, S3 or SQL.
    """

    features: FeatureFunction
    source: "Source | None" = None


@dataclass(frozen=True, slots=True)
class Workspace(Paths):
    """A project's folder, with the objects of its code."""

    project: Project

    @property
    def features(self) -> FeatureCode:
        """The project's feature function, with its digest."""
        return load_feature_code(self.project.features)

    @property
    def package(self) -> str:
        """The name of the project's package."""
        return self.project.features.__module__.partition(".")[0]

    @property
    def features_file(self) -> Path:
        """The module that defines the features."""
        return Path(str(inspect.getsourcefile(self.project.features)))


_T = TypeVar("_T")


def load_object(reference: str, kind: type[_T]) -> _T:
    """Import an object of the project's own code.

    Args:
        reference: As "package.module:name".
        kind: The type that it must have.

    Raises:
        ProjectError: There is no such module or name, or it is something else.
    """
    module, _, name = reference.partition(":")
    found = getattr(import_module(module), name, None)
    if not isinstance(found, kind):
        raise ProjectError(
            f"{name} in {module} is {found!r:.100}; write there `{name} = {kind.__name__}(…)`."
        )
    return found
