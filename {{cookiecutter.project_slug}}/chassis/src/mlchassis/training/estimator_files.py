"""Fitted estimators as files that hold data, not code.

The project's own models become JSON: numbers, strings, and LightGBM's text format, read back into a
closed list of classes. An estimator outside that list can only be pickled. Whoever can write to the
DVC remote could replace either file, so both are compared with the SHA-256 that
`reports/training.json` has, which git keeps, before a byte of them is interpreted.
"""

import hashlib
import io
import json
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, LabelEncoder, OneHotEncoder, StandardScaler

from mlchassis.errors import ProjectError
from mlchassis.extensions.estimators import FittedEstimator
from mlchassis.files import write_bytes
from mlchassis.training.category_encoding import CategoryEncoder, MeanEncoder
from mlchassis.training.estimators.base import FittedPipeline
from mlchassis.training.log_target import LogTargetModel
from mlchassis.training.results import EstimatorFile, TrainingReport
from mlchassis.training.trained_model import TrainedModel

_PLAIN = (type(None), bool, int, float, str)
_ARRAYS = "biufOU"
"""Kinds of NumPy types that JSON holds exactly."""


class StorageError(ProjectError):
    """An estimator's file that must not be loaded."""


class _UnknownTypeError(TypeError):
    """A value that has no form in JSON."""


def save_estimator(estimator: FittedEstimator, folder: Path, name: str) -> EstimatorFile:
    """Write an estimator as `NAME.json`, or as `NAME.joblib` if it has no form in JSON.

    Returns:
        Its file and checksum, for the report of the stage.
    """
    try:
        content = json.dumps(_write(estimator), indent=1).encode()
        suffix = "json"
    except _UnknownTypeError:
        buffer = io.BytesIO()
        joblib.dump(estimator, buffer)
        content = buffer.getvalue()
        suffix = "joblib"
    for old in folder.glob(f"{name}.*"):
        old.unlink()
    file = folder / f"{name}.{suffix}"
    write_bytes(file, content)
    return EstimatorFile(file=file.name, sha256=hashlib.sha256(content).hexdigest())


def load_estimator(folder: Path, name: str, training: TrainingReport) -> FittedEstimator:
    """Read an estimator that training wrote.

    Args:
        folder: Folder of the file.
        name: Name of the estimator: `prior`, `linear` or `candidate`.
        training: The content of `reports/training.json`.

    Raises:
        StorageError: The file is missing, or is not the one that training wrote.
    """
    record = training.estimators.get(name)
    if record is None or record.file not in (f"{name}.json", f"{name}.joblib"):
        raise StorageError(
            f"reports/training.json names no file of the estimator '{name}'; run `make repro` "
            "to write it again."
        )
    try:
        content = (folder / record.file).read_bytes()
    except OSError:
        raise StorageError(
            f"{folder.name}/{record.file} is missing; run `make pull` or `make repro`."
        ) from None
    if hashlib.sha256(content).hexdigest() != record.sha256:
        raise StorageError(
            f"{folder.name}/{record.file} does not match its SHA-256 in reports/training.json, so "
            "it was changed after training; do not load it, find out who can write to the DVC "
            "remote, and run `.venv/bin/dvc repro --force train`."
        )
    # The bytes that were compared, not the file: that could be another one by now.
    if record.file.endswith(".json"):
        estimator: FittedEstimator = _read(json.loads(content))
        return estimator
    pickled: FittedEstimator = joblib.load(io.BytesIO(content))
    return pickled


@dataclass(frozen=True, slots=True)
class _Form:
    """JSON encoding of some types."""

    types: tuple[type, ...]
    write: Callable[[Any], Any]
    read: Callable[[Any], Any]


def _write(value: Any) -> Any:
    if type(value) in _PLAIN:
        return value
    if type(value) is list:
        return [_write(item) for item in value]
    for tag, form in _FORMS.items():
        if isinstance(value, form.types):
            return {tag: form.write(value)}
    if type(value).__name__ == "Booster":
        return {"booster": _write_booster(value)}
    return {"estimator": _write_estimator(value)}


def _read(document: Any) -> Any:
    if type(document) in _PLAIN:
        return document
    if isinstance(document, list):
        return [_read(item) for item in document]
    ((tag, content),) = document.items()
    if tag == "booster":
        return _read_booster(content)
    if tag == "estimator":
        return _read_estimator(content)
    return _FORMS[tag].read(content)


def _write_dictionary(value: dict[Any, Any]) -> list[Any]:
    """Return pairs: keys may be other values than strings."""
    if type(value) not in (dict, OrderedDict, defaultdict):
        raise _UnknownTypeError(type(value))
    return [[_write(key), _write(item)] for key, item in value.items()]


def _write_array(value: np.ndarray[Any, Any]) -> dict[str, Any]:
    if value.dtype.kind not in _ARRAYS:
        raise _UnknownTypeError(value.dtype)
    items = [_write(item) for item in value.ravel().tolist()]
    return {"dtype": value.dtype.str, "shape": list(value.shape), "items": items}


def _read_array(document: Any) -> Any:
    items = [_read(item) for item in document["items"]]
    flat = np.empty(len(items), dtype=document["dtype"])
    flat[:] = items
    return flat.reshape(document["shape"])


def _write_type(value: type) -> str:
    if not issubclass(value, np.number):
        raise _UnknownTypeError(value)
    return np.dtype(value).str


_FORMS: Mapping[str, _Form] = {
    "tuple": _Form(
        (tuple,),
        lambda value: [_write(item) for item in value],
        lambda document: tuple(_read(item) for item in document),
    ),
    "dictionary": _Form(
        (dict,),
        _write_dictionary,
        lambda document: {_read(key): _read(item) for key, item in document},
    ),
    "slice": _Form(
        (slice,),
        lambda value: [value.start, value.stop, value.step],
        lambda document: slice(*document),
    ),
    "array": _Form((np.ndarray,), _write_array, _read_array),
    "scalar": _Form(
        (np.generic,),
        lambda value: _write_array(np.asarray(value)),
        lambda document: _read_array(document)[()],
    ),
    "dtype": _Form((np.dtype,), lambda value: value.str, np.dtype),
    "type": _Form((type,), _write_type, lambda document: np.dtype(document).type),
}


def _write_booster(value: Any) -> dict[str, Any]:
    return {
        "text": value.model_to_string(num_iteration=-1).splitlines(keepends=True),
        "best_iteration": value.best_iteration,
    }


def _read_booster(document: Any) -> Any:
    import lightgbm

    booster = lightgbm.Booster(model_str="".join(document["text"]))
    booster.best_iteration = document["best_iteration"]
    return booster


_CLASSES: Mapping[str, type] = {
    kind.__name__: kind
    for kind in (
        CategoryEncoder,
        ColumnTransformer,
        DummyClassifier,
        DummyRegressor,
        FittedPipeline,
        FunctionTransformer,
        LabelEncoder,
        LogTargetModel,
        LogisticRegression,
        MeanEncoder,
        OneHotEncoder,
        Pipeline,
        Ridge,
        SimpleImputer,
        StandardScaler,
        TrainedModel,
    )
}
_LIGHTGBM = ("LGBMClassifier", "LGBMRegressor")


def _find_class(name: str) -> type | None:
    """Return a class of the closed list; LightGBM is imported only where it was used."""
    if name in _LIGHTGBM:
        import lightgbm

        kind: type = getattr(lightgbm, name)
        return kind
    return _CLASSES.get(name)


def _write_estimator(value: Any) -> dict[str, Any]:
    name = type(value).__name__
    if _find_class(name) is not type(value):
        raise _UnknownTypeError(type(value))
    return {"class": name, "state": {key: _write(item) for key, item in vars(value).items()}}


def _read_estimator(document: Any) -> Any:
    kind: Any = _find_class(document["class"])
    if kind is None:
        raise StorageError(
            f"The estimator's file holds a class that this project does not write "
            f"({document['class']!r:.60}); run `.venv/bin/dvc repro --force train`."
        )
    estimator = kind.__new__(kind)
    vars(estimator).update({key: _read(item) for key, item in document["state"].items()})
    return estimator
