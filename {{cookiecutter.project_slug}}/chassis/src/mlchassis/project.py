"""The objects that a team passes to the chassis, and the folder of its project."""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from mlchassis.errors import ProjectError
from mlchassis.features.code import FeatureCode, FeatureFunction, load_feature_code
from mlchassis.paths import Paths

if TYPE_CHECKING:
    from mlchassis.config.params import Params
    from mlchassis.extensions.estimators import Estimator
    from mlchassis.extensions.gates import CustomGate
    from mlchassis.extensions.metrics import CustomMetric
    from mlchassis.sources.registry import Source


@dataclass(frozen=True, slots=True)
class Project:
    """The composition root of training.

    Attributes:
        features: The function from columns to features.
        source: Reader of rows under `source.kind: custom`; None reads files, S3 or SQL.
        metrics: Functions with the decorator `metric`: `judge.metric` may name one.
        gates: Functions with the decorator `gate`, for the judgement.
        estimators: Kinds of models beside the built-in ones, for `train.candidate.kind`.
    """

    features: FeatureFunction
    source: "Source | None" = None
    metrics: "Sequence[CustomMetric]" = ()
    gates: "Sequence[CustomGate]" = ()
    estimators: "Sequence[Estimator]" = ()


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


def choose_params_model(paths: Paths) -> "type[Params]":
    """Return the model of params.yaml: in a workspace, with the names that its project adds."""
    from mlchassis.config.custom_params import extend_params
    from mlchassis.config.params import Params

    if not isinstance(paths, Workspace):
        return Params
    sections = {estimator.name: estimator.Params for estimator in paths.project.estimators}
    return extend_params([metric.name for metric in paths.project.metrics], sections)


def read_params(paths: Paths) -> "Params":
    """Read and check params.yaml.

    Raises:
        ParamsError: The file is missing, or a key or a value in it is wrong.
    """
    from mlchassis.config.params import load_params

    return load_params(paths.params, choose_params_model(paths))


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
