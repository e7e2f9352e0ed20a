"""Takes the sample problem out of a project: `sample.yaml` says what belongs to it."""

import re
import shutil
from pathlib import Path

import yaml

from ..errors import ProjectError
from ..paths import Paths

LIST = "sample.yaml"
_LINE = re.compile(r"^.*(?:#|<!--) sample-only(?: -->)? *\n", re.MULTILINE)
_BLOCK = re.compile(r"^.*sample-only: begin.*\n(?:.*\n)*?.*sample-only: end.*\n", re.MULTILINE)

FEATURES = '''"""Columns to features: the file to edit first.

One pure function serves a million rows in training and a single row in the API. It sees the
contract's feature columns as NumPy arrays (numbers as float64 with NaN for missing, strings as
objects with `(missing)`), and returns named features: float arrays become numeric features, object
arrays categorical ones. It imports NumPy alone. A bundle carries the digest of this file and is
refused under any other, so a change here means: train again.
"""

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray


def compute_features(columns: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Derives the model's features from the contract's columns.

    Args:
        columns: Every feature column of the contract, each of shape (rows,).

    Returns:
        Named features, each of shape (rows,), in the order in which the model takes them.
    """
    # Every column as it is. Add ratios, differences and cycles here: a model finds them hardly.
    return dict(columns)
'''


def is_sample_here(root: Path) -> bool:
    """Whether the project still carries the sample problem."""
    return (root / LIST).exists()


def remove_sample(paths: Paths, features: Path, table: str) -> str:
    """Deletes the sample's files, lines and wording, and all that was made from its data.

    Args:
        paths: The project.
        features: The module `features.py`.
        table: A plain word for the table that comes instead.

    Returns:
        What was done, in a line.
    """
    belonging = yaml.safe_load((paths.root / LIST).read_text(encoding="utf-8"))
    for name in (*belonging["files"], LIST):
        _delete(paths.root / name)
    for name in belonging["lines"]:
        _drop_lines(paths.root / name)
    for sentence, names in belonging["wording"].items():
        for name in names:
            _replace_text(paths.root / name, sentence, f"Predicts a column of the table {table}.")
    for copy, name in belonging["copies"].items():
        shutil.copyfile(paths.root / name, paths.root / copy)
    for name in belonging["packages"]:
        _drop_package(paths.root / "requirements", name)
    features.write_text(FEATURES, encoding="utf-8")
    for folder in (paths.store, paths.predictions):
        _delete(folder)
    deleted, changed = len(belonging["files"]), len(belonging["lines"])
    return (
        f"sample: {deleted} files deleted (git has them), its lines taken out of {changed} others, "
        "features.py passes every column on; its deployed model and its prediction log are "
        "deleted, its runs stay in the registry in var/"
    )


def clear_outputs(paths: Paths) -> None:
    """Removes what the pipeline made from other rows, and nothing else; DVC's cache keeps it."""
    rows = (paths.raw, paths.accepted, paths.quarantine, paths.splits)
    for path in (*rows, paths.models, paths.bundle, paths.reports, paths.dvc_lock):
        _delete(path)


def _drop_lines(path: Path) -> None:
    if not path.exists():
        return
    text = path.read_text(encoding="utf-8")
    left = _LINE.sub("", _BLOCK.sub("", text)).rstrip("\n") + "\n"
    path.write_text(left, encoding="utf-8")


def _replace_text(path: Path, old: str, new: str) -> None:
    if path.exists():
        path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")


def _drop_package(requirements: Path, name: str) -> None:
    """Takes a pinned package and its hashes out of the compiled requirements."""
    pin = re.compile(rf"^{re.escape(name)}==.*\n(?: .*\n)*", re.MULTILINE)
    for path in requirements.glob("*.txt"):
        text = path.read_text(encoding="utf-8")
        path.write_text(pin.sub("", text), encoding="utf-8")


def _delete(path: Path) -> None:
    try:
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    except OSError as error:
        raise ProjectError(f"{path} cannot be deleted ({error}); do it by hand.") from None
