"""The digest of a folder changes with whatever it holds, and with nothing else."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from mlchassis.file_sums import FolderError, digest_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model" / "code").mkdir(parents=True)
    (tmp_path / "model" / "MLmodel").write_text("loader")
    (tmp_path / "model" / "code" / "a.py").write_text("one")
    return tmp_path / "model"


def move(folder: Path) -> None:
    (folder / "code" / "a.py").rename(folder / "a.py")


CHANGES: list[Callable[[Path], object]] = [
    lambda folder: (folder / "code" / "a.py").write_text("two"),
    lambda folder: (folder / "code" / "b.py").write_text(""),
    lambda folder: (folder / ".hidden").write_text(""),
    lambda folder: (folder / "MLmodel").unlink(),
    move,
]


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_of_a_file_changes_the_digest(
    change: Callable[[Path], object], folder: Path
) -> None:
    before = digest_folder(folder)
    change(folder)
    assert digest_folder(folder) != before


def test_a_copy_has_the_same_digest(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "copy")
    # A store of objects does not keep empty folders.
    (tmp_path / "copy" / "empty").mkdir()
    assert digest_folder(tmp_path / "copy") == digest_folder(folder)


def test_a_name_with_a_line_end_is_not_two_names(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for place in (one, two):
        place.mkdir()
    (one / "a'\n'b").write_text("x")
    (two / "a").write_text("x")
    (two / "b").write_text("x")
    assert digest_folder(one) != digest_folder(two)


@pytest.mark.parametrize("kind", ["link", "link to a folder", "broken link", "pipe"])
def test_what_is_no_file_is_refused(kind: str, folder: Path) -> None:
    odd = folder / "odd"
    if kind == "pipe":
        os.mkfifo(odd)
    else:
        targets = {"link": "MLmodel", "link to a folder": "code", "broken link": "nowhere"}
        odd.symlink_to(targets[kind])
    with pytest.raises(FolderError, match="'odd' is not a file"):
        digest_folder(folder)
