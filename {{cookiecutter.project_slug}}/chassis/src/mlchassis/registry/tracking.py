"""MLflow behind one seam: runs, model versions and their aliases. No other module imports it.

MLflow's global tracking URI is not touched: a tracker passes its own to every call.
"""

import functools
import os
import sqlite3
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Concatenate, NoReturn, ParamSpec, TypeVar

import mlchassis
from mlchassis.bundle import scorer
from mlchassis.contract.model import Column, Contract, Kind
from mlchassis.errors import ProjectError
from mlchassis.features.code import FeatureFunction, load_feature_code
from mlchassis.file_sums import digest_files, digest_folder
from mlchassis.masking import mask_text
from mlchassis.paths import Paths
from mlchassis.registry.mlflow_database import create_database, probe_database, update_artifact_uris
from mlchassis.registry.runs import (
    DIGEST_TAG,
    FACTS_TAG,
    MODEL_TAG,
    LoggedRun,
    RunRecord,
    TrialRecord,
)
from mlchassis.registry.tracking_uri import TrackingLocation, resolve_tracking_location
from mlchassis.telemetry import silence_telemetry

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.models import ModelSignature

BUNDLE = "model/data/bundle"
"""Path of the bundle in a run's artifacts: inside the model that MLflow loads."""

_LOADER = "registered_model"
"""The module in a logged model by which MLflow loads it."""

# What the model needs where MLflow loads it. Told outright, since finding it out takes MLflow 10 s.
_REQUIREMENTS = (
    *("mlflow", "numpy", "onnxruntime", "open-data-contract-standard"),
    *("pandas", "pydantic", "pyyaml"),
)
# Without these a dead server costs four minutes, every upload draws a progress bar, and MLflow
# talks of its tables, of pip and of itself. The last two send files through the server: it would
# otherwise name the storage by an address that may exist in its own network alone.
_DEFAULTS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD": "false",
    "MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD": "false",
}

_P = ParamSpec("_P")
_T = TypeVar("_T")


class TrackingError(ProjectError):
    """MLflow cannot be reached, or refuses."""


@dataclass(frozen=True, slots=True)
class Version:
    """A version of the registered model."""

    name: str
    number: str
    run_id: str
    tags: Mapping[str, str]

    @property
    def digest(self) -> str:
        """The digest of its bundle."""
        return self.tags.get(DIGEST_TAG, "")


def connect(paths: Paths, name: str) -> "Tracker":
    """Open the registry of the model `name`; create its database and experiment if missing.

    Raises:
        TrackingError: MLflow cannot be reached, or its database cannot be used.
    """
    location = resolve_tracking_location(paths)
    silence_telemetry()
    os.environ.update({key: value for key, value in _DEFAULTS.items() if key not in os.environ})
    return Tracker(location, name)


def _translated(
    method: Callable[Concatenate["Tracker", _P], _T],
) -> Callable[Concatenate["Tracker", _P], _T]:
    """Translate errors of MLflow and its libraries into one sentence."""

    @functools.wraps(method)
    def speaking(self: "Tracker", /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        try:
            return method(self, *args, **kwargs)
        # requests' errors are OSErrors.
        except (MlflowException, SQLAlchemyError, sqlite3.Error, OSError) as error:
            _explain(self.location, error)
        # A tracking URI that is none, or whose driver is missing.
        except (ValueError, ImportError) as error:
            _explain(self.location, error)

    return speaking


def _explain(location: TrackingLocation, error: Exception) -> NoReturn:
    detail = str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else repr(error)
    if location.is_server and "Max retries exceeded" in str(error):
        raise TrackingError(
            f"The MLflow server at {location.shown} does not answer; start it, or unset "
            "MLFLOW_TRACKING_URI to use the project's own registry."
        ) from error
    detail = mask_text(detail, location.tracking_uri)[:300]
    raise TrackingError(
        f"MLflow at {location.shown} rejects the request: {detail}; fix that there, or set "
        "MLFLOW_TRACKING_URI to another registry."
    ) from error


class Tracker:
    """Runs and versions of one model at one tracking URI."""

    def __init__(self, location: TrackingLocation, name: str) -> None:
        self.location = location
        self.name = name
        self._open()

    @_translated
    def _open(self) -> None:
        from mlflow import MlflowClient

        if self.location.database is not None:
            artifact_location = str(self.location.artifact_location)
            create_database(self.location.database, artifact_location)
            update_artifact_uris(self.location.database, artifact_location)
        elif not self.location.is_server:
            probe_database(self.location.tracking_uri)
        self._client = MlflowClient(self.location.tracking_uri, self.location.tracking_uri)
        self._experiment = self._experiment_of(self.name)

    @_translated
    def is_finished(self, run_id: str) -> bool:
        """True if the run exists, is not deleted, and was written completely."""
        run = self._find(lambda: self._client.get_run(run_id))
        if run is None or run.info.lifecycle_stage != "active":
            return False
        return bool(run.info.status == "FINISHED")

    @_translated
    def close_dead_runs(self, digest: str) -> None:
        """Mark the runs of a bundle whose process died as killed."""
        for run in self._client.search_runs([self._experiment], f"tags.{DIGEST_TAG} = '{digest}'"):
            if run.info.status == "RUNNING":
                self._client.set_terminated(run.info.run_id, "KILLED")

    @_translated
    def log_run(self, record: RunRecord, remember: Callable[[LoggedRun], None]) -> LoggedRun:
        """Write a new run; it is `FINISHED` only when everything is in it.

        Args:
            record: Content of the run.
            remember: Called before the run is finished.
        """
        run_id = self._begin(self._experiment, record.bundle.digest[:12], record)
        sums = {FACTS_TAG: digest_files({file.name: file for file in record.files.get("", ())})}
        for folder, files in record.files.items():
            for file in files:
                self._client.log_artifact(run_id, str(file), folder or None)
        with TemporaryDirectory() as scratch:
            model = _save_model(Path(scratch, "model"), record, run_id)
            sums[MODEL_TAG] = digest_folder(model)
            self._client.log_artifacts(run_id, str(model), "model")
        for key, value in sums.items():
            self._client.set_tag(run_id, key, value)
        run = LoggedRun(run_id, sums)
        remember(run)
        self._client.set_terminated(run_id)
        return run

    @_translated
    def log_trial(self, name: str, record: TrialRecord) -> None:
        """Write a run without a bundle, into an experiment of its own."""
        experiment = self._experiment_of(f"{self.name}-study")
        self._client.set_terminated(self._begin(experiment, name, record))

    def _begin(self, experiment: str, name: str, record: RunRecord | TrialRecord) -> str:
        from mlflow.entities import Metric, Param

        run = self._client.create_run(experiment, run_name=name, tags=dict(record.tags))
        now = int(time.time() * 1000)
        self._client.log_batch(
            run.info.run_id,
            metrics=[Metric(key, value, now, 0) for key, value in record.metrics.items()],
            params=[Param(key, str(value)) for key, value in record.params.items()],
        )
        return str(run.info.run_id)

    def _experiment_of(self, name: str) -> str:
        experiment = self._client.get_experiment_by_name(name)
        if experiment is not None:
            return str(experiment.experiment_id)
        return str(self._client.create_experiment(name, self.location.artifact_location))

    @_translated
    def attach(self, run_id: str, file: Path, folder: str, tags: Mapping[str, str]) -> None:
        """Add a file to a run, and then the tags that refer to it."""
        self._client.log_artifact(run_id, str(file), folder)
        for key, value in tags.items():
            self._client.set_tag(run_id, key, value)

    @_translated
    def fetch(self, run_id: str, artifact: str, into: Path) -> Path:
        """Download a file or folder of a run's artifacts."""
        return Path(self._client.download_artifacts(run_id, artifact, str(into)))

    @_translated
    def find_version(self, digest: str) -> Version | None:
        """The version of a bundle, whichever number it has."""
        wanted = f"name = '{self.name}' and tags.{DIGEST_TAG} = '{digest}'"
        return next(map(_as_version, self._client.search_model_versions(wanted)), None)

    @_translated
    def read_version(self, number: str) -> Version | None:
        """The version of that number."""
        version = self._find(lambda: self._client.get_model_version(self.name, number))
        return _as_version(version) if version else None

    @_translated
    def read_alias(self, alias: str) -> Version | None:
        """The version that an alias names."""
        model = self._find(lambda: self._client.get_registered_model(self.name))
        number = model.aliases.get(alias) if model else None
        return self.read_version(str(number)) if number else None

    @_translated
    def create_version(self, run_id: str, tags: Mapping[str, str]) -> Version:
        """Register a run's model as the next version, with its tags in one step."""
        if self._find(lambda: self._client.get_registered_model(self.name)) is None:
            self._client.create_registered_model(self.name)
        run = self._client.get_run(run_id)
        source = f"{run.info.artifact_uri}/model"
        return _as_version(
            self._client.create_model_version(self.name, source, run_id, tags=dict(tags))
        )

    @_translated
    def tag_version(self, version: Version, tags: Mapping[str, str]) -> None:
        """Set tags of a version."""
        for key, value in tags.items():
            self._client.set_model_version_tag(self.name, version.number, key, value)

    @_translated
    def set_alias(self, alias: str, version: Version) -> None:
        """Move an alias to a version. `champion` is moved by `promotion.move_champion` alone."""
        self._client.set_registered_model_alias(self.name, alias, version.number)

    def _find(self, read: Callable[[], _T]) -> _T | None:
        from mlflow.exceptions import MlflowException

        try:
            return read()
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise


def _as_version(version: "ModelVersion") -> Version:
    return Version(version.name, str(version.version), str(version.run_id), dict(version.tags))


def _save_model(target: Path, record: RunRecord, run_id: str) -> Path:
    """Write the bundle as a model that MLflow loads, with the code that it needs."""
    from mlflow import pyfunc
    from mlflow.models import Model

    with TemporaryDirectory() as scratch:
        pyfunc.save_model(
            target,
            loader_module=_LOADER,
            data_path=str(record.bundle.path),
            code_paths=_list_code(record.features, Path(scratch)),
            mlflow_model=Model(artifact_path="model", run_id=run_id),
            signature=_signature(record.bundle.contract),
            input_example=_example_frame(record.bundle.contract, record.example),
            pip_requirements=[f"{name}=={metadata.version(name)}" for name in _REQUIREMENTS],
        )
    return target


def _list_code(features: FeatureFunction, scratch: Path) -> list[str]:
    """The code that a model answers with: packages, and the module that MLflow loads it by."""
    own = sys.modules[features.__module__.partition(".")[0]]
    loader = scratch / f"{_LOADER}.py"
    loader.write_text(
        '"""MLflow loader of this model: its bundle, with the features of its training."""\n\n'
        f"from {features.__module__} import {features.__name__}\n"
        f"from {load_feature_code.__module__} import load_feature_code\n"
        f"from {scorer.__name__} import load_pyfunc\n\n\n"
        "def _load_pyfunc(path):\n"
        f"    return load_pyfunc(path, load_feature_code({features.__name__}))\n",
        encoding="utf-8",
    )
    packages = dict.fromkeys([str(Path(mlchassis.__file__).parent), *map(str, own.__path__)])
    return [*packages, str(loader)]


def _example_frame(contract: Contract, records: Sequence[Mapping[str, Any]]) -> "pd.DataFrame":
    """Frame of records with the signature's types.

    Without a type, a column of strings that no record holds becomes one of numbers.
    """
    import pandas as pd

    frame = pd.DataFrame(list(records), columns=[column.name for column in contract.features])
    strings = [column.name for column in contract.features if column.kind == "string"]
    return frame.astype(dict.fromkeys(strings, object))


def _signature(contract: Contract) -> "ModelSignature":
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    answer = ColSpec(_KINDS[contract.target.kind], "prediction")
    probabilities = [ColSpec("double", name) for name in contract.outputs[1:]]
    return ModelSignature(
        Schema([ColSpec(_input_type(c), c.name, c.required) for c in contract.features]),
        Schema([answer, *probabilities]),
    )


def _input_type(column: Column) -> Any:
    """A type under which MLflow lets through all that the contract allows.

    MLflow refuses whole numbers where it expects a double, 1.0 and missing ones where it expects a
    long, and time zones. For such columns it is told to accept anything: the model itself refuses
    what its contract does.
    """
    from mlflow.types.schema import AnyType

    strict = column.kind == "string" or (column.required and column.kind == "boolean")
    anything: Callable[[], Any] = AnyType
    return _KINDS[column.kind] if strict else anything()


_KINDS: Mapping[Kind, str] = {
    "number": "double",
    "integer": "long",
    "boolean": "boolean",
    "string": "string",
    "timestamp": "datetime",
}
