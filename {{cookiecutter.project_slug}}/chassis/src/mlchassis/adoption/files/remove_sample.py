"""Removal of the sample problem from a project: `.sample.yaml` lists what belongs to it."""

import re
import tomllib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import tomlkit
import yaml

from mlchassis.adoption.files.journal import Changes
from mlchassis.adoption.files.project_module import remove_source
from mlchassis.bundle.bundle import read_bundle
from mlchassis.config.yaml_edit import remove_items
from mlchassis.errors import ProjectError
from mlchassis.paths import Paths
from mlchassis.workspace.outputs import list_files, list_own

LIST = ".sample.yaml"

FEATURES = '''"""Columns to features: the file to edit first.

One pure function serves a million rows in training and a single row in the API. It sees the
contract's feature columns as NumPy arrays (numbers as float64 with NaN for missing, strings as
objects with `(missing)`), and returns named features: float arrays become numeric features, object
arrays categorical ones. It imports NumPy alone. A bundle carries the digest of this file and is
rejected under any other, so a change here means: train again.
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


@dataclass(frozen=True, slots=True)
class Sample:
    """Content of `.sample.yaml`.

    Attributes:
        files: Files to delete, from the project's folder.
        paragraphs: Paragraph to remove, by file.
        descriptions: Files that hold a text to replace, by that text.
        behavior: Names of tests in behavior.yaml.
        packages: Dependencies that the sample alone needs.
    """

    files: tuple[str, ...]
    paragraphs: Mapping[str, str]
    descriptions: Mapping[str, tuple[str, ...]]
    behavior: frozenset[str]
    packages: frozenset[str]


def is_sample_here(root: Path) -> bool:
    """True if the project still contains the sample problem."""
    return (root / LIST).exists()


def read_sample(root: Path) -> Sample:
    """Read the list of what belongs to the sample."""
    listed = yaml.safe_load((root / LIST).read_text(encoding="utf-8"))
    return Sample(
        files=tuple(listed["files"]),
        paragraphs=listed["paragraphs"],
        descriptions={text: tuple(names) for text, names in listed["descriptions"].items()},
        behavior=frozenset(listed["behavior"]),
        packages=frozenset(listed["packages"]),
    )


def remove_sample(paths: Paths, sample: Sample, features: Path, table: str) -> tuple[Changes, str]:
    """Remove the sample's files, its traces in other files, and all that was made from its data.

    Args:
        paths: The project.
        sample: Content of `.sample.yaml`.
        features: The module `features.py`.
        table: A plain word for the table that comes instead.

    Returns:
        What is to be done, and the same in a line for people.
    """
    texts = _Texts(paths.root)
    _edit_texts(texts, sample, table)
    _remove_packages(texts, sample.packages)
    module = features.with_name("project.py").relative_to(paths.root).as_posix()
    texts.edit(module, remove_source)
    edited = sorted(name for name in texts.changed if not name.startswith("requirements/"))
    deployed = _relative(paths, *_list_deployed(paths))
    deleted = dict.fromkeys([*sample.files, LIST, *deployed])
    own = features.relative_to(paths.root).as_posix()
    return {**texts.changed, own: FEATURES, **deleted}, (
        f"sample: {len(sample.files)} files deleted (git has them), its parts removed from "
        f"{', '.join(edited)}; features.py passes every column on; its deployed model is deleted, "
        "its runs and its prediction log stay in var/"
    )


def _edit_texts(texts: "_Texts", sample: Sample, table: str) -> None:
    """Remove the sample's paragraphs, descriptions and behavioral tests."""
    for name, paragraph in sample.paragraphs.items():
        texts.edit(name, partial(_replace, f"\n{paragraph}\n", ""))
    description = f"Predicts a column of the table {table}."
    for old, names in sample.descriptions.items():
        for name in names:
            texts.edit(name, partial(_replace, old, description))

    def is_of_sample(test: object) -> bool:
        return isinstance(test, dict) and test.get("name") in sample.behavior

    texts.edit("behavior.yaml", lambda text: remove_items(text, ["tests"], is_of_sample))


def _replace(old: str, new: str, text: str) -> str:
    return text.replace(old, new)


def _remove_packages(texts: "_Texts", packages: Collection[str]) -> None:
    """Remove dependencies from pyproject.toml, the pinned requirements and their description."""
    names = "|".join(map(re.escape, sorted(packages)))
    pin = re.compile(rf"^(?:{names})==.*\n(?: .*\n)*", re.MULTILINE)
    row = re.compile(rf"^\| (?:{names}) \|.*\n", re.MULTILINE)
    texts.edit("pyproject.toml", lambda text: remove_dependencies(text, packages))
    texts.edit("docs/dependencies.md", lambda text: row.sub("", text))
    for path in sorted((texts.root / "requirements").glob("*.txt")):
        texts.edit(f"requirements/{path.name}", lambda text: pin.sub("", text))
    project = texts.read("pyproject.toml")
    groups = tomllib.loads(project).get("dependency-groups", {}) if project else {}
    base = texts.read("requirements/base.txt")
    if base is not None and groups.get("data") == []:
        # The packages that came with the sample's go too.
        texts.edit("requirements/data.txt", lambda _: base)


def remove_dependencies(text: str, packages: Collection[str]) -> str:
    """Remove packages from the dependency groups of a pyproject.toml.

    Args:
        text: Of the file; its layout and its other comments stay.
        packages: Names of the packages.
    """
    document = tomlkit.parse(text)
    for group in document.get("dependency-groups", {}).values():
        for entry in list(group):
            if isinstance(entry, str) and re.split(r"[^\w-]", entry)[0] in packages:
                group.remove(entry)
    return tomlkit.dumps(document)


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
    files = [paths.store / "current.json"]
    for folder in (paths.store / "bundles").glob("*"):
        try:
            read_bundle(folder)
        except ProjectError:
            continue  # Somebody else's, or changed: it stays.
        sums = folder / "SHA256SUMS"
        lines = sums.read_text(encoding="utf-8").splitlines()
        files += [sums, *(folder / line.partition("  ")[2] for line in lines)]
    return [path for path in files if path.exists()]


def _relative(paths: Paths, *files: Path) -> list[str]:
    return [str(path.relative_to(paths.root)) for path in files]


class _Texts:
    """Texts of files with the edits so far; a file that is not there is left out."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.changed: dict[str, str] = {}

    def read(self, name: str) -> str | None:
        if name in self.changed:
            return self.changed[name]
        path = self.root / name
        return path.read_text(encoding="utf-8") if path.exists() else None

    def edit(self, name: str, edit: Callable[[str], str]) -> None:
        text = self.read(name)
        changed = None if text is None else edit(text)
        if changed is not None and changed != text:
            self.changed[name] = changed
