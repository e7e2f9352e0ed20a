"""A copy of the project in a folder of its own: the simulation changes nothing else."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from mlchassis.config.source_params import FilesParams
from mlchassis.config.yaml_edit import set_source, set_values
from mlchassis.files import make_folder, write_text
from mlchassis.paths import Paths
from mlchassis.project import Workspace
from mlchassis.telemetry import silence_telemetry
from mlchassis.workspace.dvc_yaml import read_pipeline
from mlchassis.workspace.outputs import read_outputs
from mlchassis.workspace.repository import ensure_repository

SOURCE = "source"
"""Folder of the delivered rows, in the copy."""
_FILES = (
    "contract.yaml", "params.yaml", "behavior.yaml", "dvc.yaml", "pyproject.toml", ".gitignore",
    ".dvcignore", "src", "chassis", "requirements",
)  # fmt: skip
_CACHES = shutil.ignore_patterns("__pycache__", "*.egg-info", ".*_cache")
_DVC_CONFIG = """[core]
    analytics = false
    check_update = false
[cache]
    dir = cache
"""
"""Settings of DVC: its cache is in the copy, whatever the machine's settings name."""
_FOREIGN = ("MLFLOW_", "SERVICE_", "SOURCE_", "AWS_", "DVC_")
"""Prefixes of variables that point to a registry, a service, data or a cache outside."""


@contextmanager
def isolated_environment() -> Iterator[None]:
    """Unset the variables that would lead the simulation out of its folder."""
    kept = dict(os.environ)
    for name in kept:
        if name.startswith(_FOREIGN):
            del os.environ[name]
    silence_telemetry()
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(kept)


def copy_project(own: Workspace, root: Path, as_of: str) -> Workspace:
    """Copy what the pipeline depends on into an empty folder.

    Args:
        own: The project.
        root: The folder; what a former simulation left in it is deleted.
        as_of: Last month that the first model sees.
    """
    shutil.rmtree(root, ignore_errors=True)
    make_folder(root, private=True)
    for name in dict.fromkeys((*_FILES, *_list_dependencies(own))):
        _copy(own.root / name, root / name)
    write_text(root / ".dvc" / "config", _DVC_CONFIG)
    workspace = Workspace(root, own.project)
    _change_params(workspace, as_of)
    ensure_repository(root)
    return workspace


def _list_dependencies(own: Paths) -> list[str]:
    """Return the files of the project that its stages read."""
    stages = read_pipeline(own.root / "dvc.yaml").stages
    outputs = read_outputs(own)
    listed = [name for stage in stages.values() for name in stage.deps]
    made = [name for name in listed if _is_output(own.root / name, outputs)]
    return [name for name in listed if name not in made and not Path(name).is_absolute()]


def _is_output(path: Path, outputs: list[Path]) -> bool:
    return any(path == output or output in path.parents for output in outputs)


def _copy(source: Path, target: Path) -> None:
    if target.exists():
        return
    if source.is_dir():
        shutil.copytree(source, target, ignore=_CACHES)
    elif source.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


def _change_params(workspace: Workspace, as_of: str) -> None:
    """Read delivered rows in place of the source, and labels from them."""
    text = workspace.params.read_text(encoding="utf-8")
    text = set_source(text, FilesParams(kind="files", path=SOURCE))
    text = set_values(text, {"ingest.as_of": (as_of, None)})
    if (yaml.safe_load(text).get("monitor") or {}).get("labels") is not None:
        text = set_values(text, {"monitor.labels": (None, None)})
    write_text(workspace.params, text)
