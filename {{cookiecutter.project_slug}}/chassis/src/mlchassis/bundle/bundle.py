"""A model bundle: the directory that leaves training and is all that a server loads.

    model.onnx      preprocessing and model as one graph
    contract.yaml   what a row is, as the model was trained
    bundle.json     `Metadata`
    SHA256SUMS      one line per file; the SHA-256 of this file is the bundle's digest, its identity

The same data, parameters and code give the same digest: no time, run or commit is inside.
"""

import errno
import hashlib
import json
import os
import re
import stat
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, FiniteFloat, ValidationError

from mlchassis.bundle.column_reference import ColumnReference
from mlchassis.bundle.daily_counts import DailyReference
from mlchassis.bundle.graph_rules import find_violation
from mlchassis.bundle.record import BundleRecord
from mlchassis.config.source_params import TableFormat
from mlchassis.contract.model import ClassLabel, Contract, Task, parse_contract
from mlchassis.errors import ProjectError
from mlchassis.features.code import FeatureCode
from mlchassis.files import write_bytes

FORMAT: Literal[1] = 1
_FILES = ("bundle.json", "contract.yaml", "model.onnx")
_SUMS = "SHA256SUMS"


class BundleError(ProjectError):
    """A bundle that must not be served."""


class OtherBundleError(BundleError):
    """A bundle that is not the one that was asked for; `actual` is its digest."""

    def __init__(self, name: str, expected: str, actual: str) -> None:
        super().__init__(
            f"Bundle {name} has the digest {actual[:12]}, and {expected[:12]} was expected, so it "
            "was replaced; do not serve it, find out who can write there."
        )
        self.actual = actual


class Golden(BundleRecord):
    """A request and the answer that training gave to it.

    Attributes:
        request: A record as a client would send it.
        scores: The trained model's own answer, before export: class probabilities, or one number.
    """

    request: dict[str, Any]
    scores: list[float]


class Metadata(BundleRecord):
    """Model metadata for the service, the gates and the monitors.

    Attributes:
        threshold: Probability of the positive class from which a binary answer is positive.
        features_digest: Digest of the feature code in training.
        data_hash: SHA-256 over the training and validation rows.
        params_hash: SHA-256 over the parameters that shape the model.
        seen_until: Latest event time that the model or its tuning has seen (ISO 8601), where time
            decides which rows those are.
        split: Description of the split; models with an equal one were not trained on each other's
            test rows.
        reference: Values of each feature column of the contract in the training rows.
        monitoring: Reference by day, for `make monitor`; None in a bundle without one.
        formats: Table format of the training data; text and batch files are parsed with it.
        tolerance: Largest error against the golden answers: see `measure_error`.
        unit: The unit of errors near zero: 1 for probabilities, the spread of a number's targets.
    """

    format: Literal[1] = FORMAT
    name: str
    task: Task
    contract_version: str
    classes: list[ClassLabel]
    threshold: FiniteFloat | None
    numeric_features: list[str]
    categorical_features: list[str]
    features_digest: str
    data_hash: str
    params_hash: str
    seen_until: str | None
    split: str | None = None
    validation_metrics: dict[str, float]
    reference: dict[str, ColumnReference]
    monitoring: DailyReference | None = None
    formats: TableFormat = TableFormat()
    # Infinite ones would let every answer pass.
    tolerance: Annotated[FiniteFloat, Field(ge=0)]
    unit: Annotated[FiniteFloat, Field(gt=0)] = 1.0
    golden: Annotated[list[Golden], Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class Bundle:
    """A verified bundle. `model` is the ONNX graph, as bytes that were checked."""

    path: Path
    digest: str
    metadata: Metadata
    contract: Contract
    model: bytes


class Pointer(BundleRecord):
    """The served bundle of a store, with its registry version."""

    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    model_name: str
    model_version: str
    deployed_at: str


def measure_error(
    expected: NDArray[np.float64], actual: NDArray[np.float64], unit: float
) -> NDArray[np.float64]:
    """Return the errors of scores, relative to the score itself or to the unit if that is larger.

    Sums of single precision are exact relative to what is summed, not to a sum near zero.
    """
    return np.abs(actual - expected) / np.maximum(unit, np.abs(expected))


def write_bundle(target: Path, model: bytes, contract_text: str, metadata: Metadata) -> str:
    """Write a bundle beside its place and rename it there, so that nobody sees half of one.

    Returns:
        The bundle's digest.
    """
    contents = {
        "bundle.json": _dump(metadata.model_dump(mode="json")),
        "contract.yaml": contract_text.encode(),
        "model.onnx": model,
    }
    contents[_SUMS] = _sum_files(contents)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".bundle-") as scratch:
        fresh = Path(scratch, "new")
        _write_files(fresh, contents)
        _replace_directory(fresh, target)
    return _sha256(contents[_SUMS])


def load_bundle(path: Path, features: FeatureCode, digest: str | None = None) -> Bundle:
    """Read a bundle to be scored here: verified, and made with the features installed here.

    Raises:
        BundleError: Errors of `read_bundle`, or the bundle was made with another `features.py`.
    """
    bundle = read_bundle(path, digest)
    _check_features(bundle, features)
    return bundle


def read_bundle(path: Path, digest: str | None = None) -> Bundle:
    """Read a bundle and verify every byte of it, whatever code it was made with.

    Args:
        path: Its folder.
        digest: The digest it must have, compared before anything in it is interpreted.

    Raises:
        OtherBundleError: It has another digest.
        BundleError: A file is missing, changed or one too many, or the format is unknown.
    """
    contents = _read_verified(path)
    actual = _sha256(contents[_SUMS])
    if digest is not None and actual != digest:
        raise OtherBundleError(path.name, digest, actual)
    return _parse_bundle(path, contents)


def _check_features(bundle: Bundle, features: FeatureCode) -> None:
    made_with = bundle.metadata.features_digest
    if made_with != features.digest:
        raise BundleError(
            f"Bundle {bundle.path.name} was trained with another features.py (digest "
            f"{made_with[:12]}, here {features.digest[:12]}); serve it with the code "
            "it was trained with, or train again."
        )


def _parse_bundle(path: Path, contents: Mapping[str, bytes]) -> Bundle:
    try:
        metadata = Metadata.model_validate_json(contents["bundle.json"])
    except ValidationError as error:
        detail = error.errors()[0]
        raise BundleError(
            f"Bundle {path.name}: bundle.json is not of format {FORMAT} "
            f"({'.'.join(map(str, detail['loc']))}: {detail['msg']}); export it again."
        ) from None
    violation = find_violation(contents["model.onnx"])
    if violation:
        raise BundleError(
            f"Bundle {path.name}: model.onnx {violation}, so its digest does not say what it "
            "computes; export a model of standard operators with its weights inside."
        )
    contract = parse_contract(
        contents["contract.yaml"].decode(errors="replace"), f"{path.name}/contract.yaml"
    )
    _check_reference(path.name, metadata, contract)
    return Bundle(path, _sha256(contents[_SUMS]), metadata, contract, contents["model.onnx"])


def _check_reference(bundle: str, metadata: Metadata, contract: Contract) -> None:
    """Refuse a reference of numbers for a column of strings, and the reverse."""
    for column in contract.features:
        seen = metadata.reference.get(column.name)
        kind = "numeric" if column.is_numeric else "categorical"
        if seen is not None and seen.kind != kind:
            raise BundleError(
                f"Bundle {bundle}: the reference of '{column.name}' in bundle.json is {seen.kind}, "
                f"and contract.yaml makes the column {kind}; export it again."
            )


def _read_verified(path: Path) -> dict[str, bytes]:
    """The content of each file, where the folder holds those files alone and they match the sums.

    Raises:
        BundleError: They do not.
    """
    try:
        contents = {name: _read_plain(path, name) for name in (_SUMS, *_FILES)}
        names = [entry.name for entry in path.iterdir()]
    except OSError as error:
        if not path.exists():
            raise BundleError(
                f"There is no bundle at {path}; make one with `make repro`, or `make deploy` one."
            ) from None
        missing = Path(error.filename or path).name
        raise BundleError(
            f"Bundle {path.name} at {path} lacks {missing}; deploy it again with `make deploy`."
        ) from None
    extra = sorted(set(names) - contents.keys())
    if extra:
        raise BundleError(
            f"Bundle {path.name} at {path} holds {extra[0]!r:.100}, which no bundle has; move it "
            "away, or deploy the bundle again with `make deploy`."
        )
    _check_sums(path.name, contents)
    return contents


def _read_plain(path: Path, name: str) -> bytes:
    """The content of a regular file: examined and read through one descriptor."""
    try:
        # Without waiting, a pipe that nobody writes to is opened, and refused, too.
        descriptor = os.open(path / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _no_plain_file(path, name) from None
        raise
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise _no_plain_file(path, name)
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read()
    finally:
        os.close(descriptor)


def _no_plain_file(path: Path, name: str) -> BundleError:
    return BundleError(
        f"Bundle {path.name} at {path}: {name} is a link or a folder, not a file; deploy the "
        "bundle again, or let DVC copy files (`dvc config cache.type reflink,copy`)."
    )


def _check_sums(bundle: str, contents: Mapping[str, bytes]) -> None:
    lines = contents[_SUMS].decode(errors="replace").splitlines()
    expected = {name: sum_ for sum_, _, name in (line.partition("  ") for line in lines)}
    for name in _FILES:
        if expected.get(name) != _sha256(contents[name]):
            raise BundleError(
                f"Bundle {bundle}: {name} does not match its SHA-256 in {_SUMS}, so it was "
                "changed after export; do not serve it, deploy it again with `make deploy`."
            )
    if contents[_SUMS] != _sum_files(contents):
        raise BundleError(
            f"Bundle {bundle}: {_SUMS} holds more than a line for each of {', '.join(_FILES)}; "
            "export it again."
        )


def _sum_files(contents: Mapping[str, bytes]) -> bytes:
    return "".join(f"{_sha256(contents[name])}  {name}\n" for name in _FILES).encode()


def _write_files(folder: Path, contents: Mapping[str, bytes]) -> None:
    folder.mkdir()
    for name in (*_FILES, _SUMS):
        (folder / name).write_bytes(contents[name])


def deploy_bundle(
    source: Path, store: Path, model_name: str, model_version: str, features: FeatureCode
) -> Pointer:
    """Copy a verified bundle into a store, then point the store at it.

    Raises:
        BundleError: The bundle is not whole; the store then serves what it served before.
    """
    contents = _read_verified(source)
    bundle = _parse_bundle(source, contents)
    _check_features(bundle, features)
    place = store / "bundles" / bundle.digest
    if not _is_whole(place, bundle.digest, features):
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent, prefix=".incoming-") as scratch:
            fresh = Path(scratch, "new")
            # The bytes that were verified, whatever lies at the source by now.
            _write_files(fresh, contents)
            _replace_directory(fresh, place)
    pointer = Pointer(
        digest=bundle.digest,
        model_name=model_name,
        model_version=model_version,
        deployed_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    write_bytes(store / "current.json", _dump(pointer.model_dump()))
    return pointer


def load_deployed(store: Path, digest: str, features: FeatureCode) -> Bundle:
    """Read a bundle of a store by its digest.

    Raises:
        BundleError: It is not there, must not be served, or is another one.
    """
    # A line of a log says it too, and a folder's name is not proof of what lies there.
    if not re.fullmatch("[0-9a-f]{64}", digest):
        raise BundleError(
            f"{digest!a:.80} is not a digest of a bundle, so nothing in {store} is looked for; see "
            "where it comes from."
        )
    try:
        return load_bundle(store / "bundles" / digest, features, digest)
    except OtherBundleError as error:
        raise BundleError(
            f"Bundle {digest[:12]} has the digest {error.actual[:12]}, so it is not the one that "
            "was deployed; deploy it again with `make deploy`."
        ) from None


def read_pointer(store: Path) -> Pointer | None:
    """Return the pointer of the store, or None if nothing was deployed.

    Raises:
        BundleError: The pointer is there but cannot be read.
    """
    try:
        return Pointer.model_validate_json((store / "current.json").read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError:
        raise BundleError(
            f"{store / 'current.json'} is not a pointer to a bundle; run `make deploy` to write it "
            "again."
        ) from None


def _is_whole(place: Path, digest: str, features: FeatureCode) -> bool:
    try:
        load_bundle(place, features, digest)
    except BundleError:
        return False
    return True


def _replace_directory(fresh: Path, target: Path) -> None:
    if target.exists():
        # A directory cannot be replaced in one step: move the old one into the scratch folder,
        # which is deleted afterwards.
        target.rename(fresh.with_name("old"))
    fresh.rename(target)


def _dump(document: Any) -> bytes:
    return (json.dumps(document, indent=1, ensure_ascii=False, sort_keys=True) + "\n").encode()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
