"""Takes the sample problem out of a project: `.sample.yaml` says what belongs to it."""

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import yaml

from mlchassis.adoption.files.journal import Changes
from mlchassis.bundle.bundle import read_bundle
from mlchassis.errors import ProjectError
from mlchassis.paths import Paths
from mlchassis.workspace.outputs import list_files, list_own

LIST = ".sample.yaml"
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
    """True if the project still contains the sample problem."""
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
    gone = dict.fromkeys([*belonging["files"], LIST, *_relative(paths, *_list_deployed(paths))])
    deleted, changed = len(belonging["files"]), len(belonging["lines"])
    return {**texts.changed, own: FEATURES, **gone}, (
        f"sample: {deleted} files deleted (git has them), its lines taken out of {changed} others, "
        "features.py passes every column on; its deployed model is deleted, its runs and its "
        "prediction log stay in var/"
    )


def list_folders(paths: Paths) -> list[Path]:
    """Return the folders that the pipeline alone fills."""
    rows = [paths.raw, paths.accepted, paths.quarantine, paths.splits]
    return [*rows, paths.models, paths.bundle]


def clear_outputs(paths: Paths) -> Changes:
    """Remove what the pipeline made from other rows; DVC's cache keeps it.

    In the reports, files that no verb wrote, or that were edited since, stay.
    """
    made = [*list_files(list_folders(paths)), *list_own(paths, [paths.reports])]
    return dict.fromkeys(_relative(paths, *made, paths.dvc_lock))


def _list_deployed(paths: Paths) -> list[Path]:
    """The files of the store: whole bundles, and the pointer to one of them."""
    found = [paths.store / "current.json"]
    for folder in (paths.store / "bundles").glob("*"):
        try:
            read_bundle(folder)
        except ProjectError:
            continue  # Somebody else's, or changed: it stays.
        sums = folder / "SHA256SUMS"
        lines = sums.read_text(encoding="utf-8").splitlines()
        found += [sums, *(folder / line.partition("  ")[2] for line in lines)]
    return [path for path in found if path.exists()]


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
