"""Content of `dvc.yaml`: the stages of the pipeline with their dependencies and outputs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from mlchassis.errors import ProjectError, describe_yaml_error


class _Part(BaseModel):
    # A team may write there all that DVC knows, which is more than is read here.
    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")


class PipelineOutput(_Part):
    """A file or folder that a stage writes.

    Attributes:
        path: Relative to the project.
        cache: True if DVC keeps it, false if git does.
        persist: True if DVC leaves it in place before the stage runs.
    """

    path: str
    cache: bool = True
    persist: bool = False

    @model_validator(mode="before")
    @classmethod
    def _read_entry(cls, entry: Any) -> Any:
        """Accept what DVC does: a path, or a mapping from the path to its settings."""
        if not isinstance(entry, dict) or len(entry) != 1:
            return {"path": entry}
        (path, settings), *_ = entry.items()
        known = settings if isinstance(settings, dict) else {}
        # A setting may also be a name in params.yaml, such as ${keep}.
        return {
            "path": path,
            "cache": known.get("cache") is not False,
            "persist": known.get("persist") is True,
        }


class PipelineStage(_Part):
    """A stage; one for each item of a list (`foreach`) names its files under `do`, not here.

    Attributes:
        params: Names in params.yaml; mappings from another file to the names in it.
    """

    deps: list[str] = []
    params: list[str | dict[str, Any]] = []
    outs: list[PipelineOutput] = []
    metrics: list[PipelineOutput] = []
    plots: list[PipelineOutput] = []

    @property
    def outputs(self) -> list[PipelineOutput]:
        """Everything that the stage writes."""
        return [*self.outs, *self.metrics, *self.plots]


class Pipeline(_Part):
    """The stages by name."""

    stages: Mapping[str, PipelineStage]


def read_pipeline(path: Path) -> Pipeline:
    """Read a `dvc.yaml`.

    Raises:
        ProjectError: It is not text, is not YAML, has no stages, or a stage in it is malformed.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        raise ProjectError(
            f"{path.name} is not text in UTF-8; save it again with that encoding."
        ) from None
    # A date or number that is none, or nesting without end, is not a YAMLError.
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ProjectError(
            f"{path.name} is not valid YAML: {describe_yaml_error(error)}; correct it there."
        ) from None
    if not isinstance(document, dict) or not isinstance(document.get("stages"), dict):
        raise ProjectError(f"{path.name} has no stages; restore it from git.")
    try:
        return Pipeline.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ProjectError(
            f"{path.name}: '{place}' is {first['input']!r:.60}: {first['msg'].lower()}; correct it "
            "or restore the file from git."
        ) from None
