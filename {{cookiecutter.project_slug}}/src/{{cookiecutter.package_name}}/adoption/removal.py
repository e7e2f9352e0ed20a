"""Takes the sample problem out of a project: `sample.yaml` says what belongs to it."""

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import yaml

from ..paths import Paths
from .changes import Changes

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


def remove_sample(paths: Paths, features: Path, table: str) -> tuple[Changes, str]:
    """Takes the sample's files, lines and wording away, and all that was made from its data.

    Args:
        paths: The project.
        features: The module `features.py`.
        table: A plain word for the table that comes instead.

    Returns:
        What is to be done, and the same in a line for people.
    """
    belonging = yaml.safe_load((paths.root / LIST).read_text(encoding="utf-8"))
    texts = _Texts(paths.root)
    for name in belonging["lines"]:
        texts.edit(name, lambda text: _LINE.sub("", _BLOCK.sub("", text)).rstrip("\n") + "\n")
    for sentence, names in belonging["wording"].items():
        said = f"Predicts a column of the table {table}."
        for name in names:
            texts.edit(name, partial(_replace, sentence, said))
    for copy, name in belonging["copies"].items():
        texts.changed[copy] = texts.read(name)
    pins = "|".join(map(re.escape, belonging["packages"]))
    pin = re.compile(rf"^(?:{pins})==.*\n(?: .*\n)*", re.MULTILINE)
    for path in sorted((paths.root / "requirements").glob("*.txt")):
        texts.edit(f"requirements/{path.name}", partial(pin.sub, ""))
    own = str(features.relative_to(paths.root))
    gone = dict.fromkeys(
        [*belonging["files"], LIST, *_relative(paths, paths.store, paths.predictions)]
    )
    deleted, changed = len(belonging["files"]), len(belonging["lines"])
    return {**texts.changed, own: FEATURES, **gone}, (
        f"sample: {deleted} files deleted (git has them), its lines taken out of {changed} others, "
        "features.py passes every column on; its deployed model and its prediction log are "
        "deleted, its runs stay in the registry in var/"
    )


def clear_outputs(paths: Paths) -> Changes:
    """Removes what the pipeline made from other rows, and nothing else; DVC's cache keeps it."""
    rows = (paths.raw, paths.accepted, paths.quarantine, paths.splits)
    made = (*rows, paths.models, paths.bundle, paths.reports, paths.dvc_lock)
    return dict.fromkeys(_relative(paths, *made))


def _relative(paths: Paths, *places: Path) -> list[str]:
    return [str(place.relative_to(paths.root)) for place in places]


def _replace(old: str, new: str, text: str) -> str:
    return text.replace(old, new)


class _Texts:
    """Files as they will be, edit upon edit; one that is not there stays away."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.changed: Changes = {}

    def read(self, name: str) -> str | None:
        if name not in self.changed and (self._root / name).exists():
            return (self._root / name).read_text(encoding="utf-8")
        return self.changed.get(name)

    def edit(self, name: str, edit: Callable[[str], str]) -> None:
        text = self.read(name)
        if text is not None:
            self.changed[name] = edit(text)
