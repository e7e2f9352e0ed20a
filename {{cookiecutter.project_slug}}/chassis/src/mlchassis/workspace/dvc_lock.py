"""Content of `dvc.lock`: inputs, parameters and outputs of every stage in DVC's last run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from mlchassis.errors import ProjectError


class _Part(BaseModel):
    # DVC's own: it may write more than is read here.
    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")


class LockedFile(_Part):
    """A file or folder that a stage read or wrote.

    Attributes:
        path: Relative to the project, for what lies in it.
        md5: MD5 of the content, or of a folder's listing (`….dir`); None where DVC has another
            hash of it.
    """

    path: str
    md5: str | None = None


class LockedStage(_Part):
    """A stage.

    Attributes:
        params: Values by file and by key, whose parts are joined by dots.
    """

    deps: list[LockedFile] = []
    outs: list[LockedFile] = []
    params: Mapping[str, Mapping[str, Any]] = {}


class DvcLock(_Part):
    """The stages by name."""

    stages: Mapping[str, LockedStage] = {}


def read_dvc_lock(path: Path) -> DvcLock:
    """Read a `dvc.lock`.

    Raises:
        ProjectError: It is missing, cut short or broken.
    """
    try:
        return DvcLock.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise ProjectError("dvc.lock is missing; run `make repro`, which writes it.") from None
    except (yaml.YAMLError, UnicodeError, ValidationError):
        raise ProjectError("dvc.lock is cut short or broken; `make repro` fixes it.") from None
