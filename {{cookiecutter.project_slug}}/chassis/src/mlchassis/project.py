"""The objects that a team passes to the chassis, and the folder of its project."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mlchassis.features.code import FeatureCode, FeatureFunction, load_feature_code
from mlchassis.paths import Paths

if TYPE_CHECKING:
    from mlchassis.config.params import Params
    from mlchassis.extensions.estimators import Estimator
    from mlchassis.extensions.gates import CustomGate
    from mlchassis.extensions.metrics import CustomMetric
    from mlchassis.extensions.monitors import CustomMonitor
    from mlchassis.reporting.sections import ReportContext, ReportSection
    from mlchassis.sources.registry import Source

Stage = Callable[["Workspace", "Params"], str]
"""The project's folder and parameters, to one line about what the stage did."""


@dataclass(frozen=True, slots=True)
class Project:
    """The composition root of training.

    Attributes:
        features: The function from columns to features.
        source: Reader of rows under `source.kind: custom`; None reads files, S3 or SQL.
        metrics: Functions with the decorator `metric`: `judge.metric` may name one.
        gates: Functions with the decorator `gate`, for the judgement.
        monitors: Functions with the decorator `monitor`, for `make monitor`.
        estimators: Kinds of models beside the built-in ones, for `train.candidate.kind`.
        report_sections: Own sections of the model report and the model card.
        stages: Own commands by name, for stages of `dvc.yaml` and for studies beside it.
    """

    features: FeatureFunction
    source: "Source | None" = None
    metrics: "Sequence[CustomMetric]" = ()
    gates: "Sequence[CustomGate]" = ()
    monitors: "Sequence[CustomMonitor]" = ()
    estimators: "Sequence[Estimator]" = ()
    report_sections: "Sequence[Callable[[ReportContext], ReportSection]]" = ()
    stages: Mapping[str, Stage] = field(default_factory=dict)


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
