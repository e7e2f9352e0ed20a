"""Files are whole or not there."""

import os
import stat
from pathlib import Path

import pytest

from mlchassis.files import make_private, private_umask, replacing


def test_a_file_appears_with_its_content(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "er" / "file"
    with replacing(target) as scratch:
        scratch.write_text("new")
        assert not target.exists()
        assert scratch.parent == target.parent

    assert target.read_text() == "new"
    assert [path.name for path in target.parent.iterdir()] == ["file"]


def test_the_old_content_stays_until_the_new_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_text("old")
    with replacing(target) as scratch:
        scratch.write_text("half")
        assert target.read_text() == "old"
        scratch.write_text("new")

    assert target.read_text() == "new"


def test_a_failure_leaves_the_old_content_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_text("old")

    def write() -> None:
        with replacing(target) as scratch:
            scratch.write_text("half")
            raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        write()
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("file", "old")]


@pytest.mark.parametrize(
    ("umask", "public", "private", "folder"),
    [
        (0o000, 0o666, 0o640, 0o750),
        (0o022, 0o644, 0o640, 0o750),
        (0o027, 0o640, 0o640, 0o750),
        (0o077, 0o600, 0o600, 0o700),
    ],
)
def test_files_honor_the_umask_and_rows_are_private(
    tmp_path: Path, umask: int, public: int, private: int, folder: int
) -> None:
    before = os.umask(umask)
    try:
        for name, closed in (("report", False), ("rows/deep/table", True)):
            with replacing(tmp_path / name, private=closed) as scratch:
                scratch.write_text("new")
                assert mode(scratch) & ~(private if closed else public) == 0
    finally:
        os.umask(before)

    assert mode(tmp_path / "report") == public
    assert mode(tmp_path / "rows/deep/table") == private
    assert [mode(tmp_path / name) for name in ("rows", "rows/deep")] == [folder, folder]


@pytest.mark.parametrize(("umask", "private"), [(0o000, 0o027), (0o022, 0o027), (0o077, 0o077)])
def test_a_private_umask_is_never_wider(umask: int, private: int) -> None:
    before = os.umask(umask)
    try:
        assert private_umask() == private
        assert os.umask(umask) == umask
    finally:
        os.umask(before)


def test_a_folder_that_was_open_is_closed_to_others(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    make_private(tmp_path)
    make_private(tmp_path / "that is not there")
    assert mode(tmp_path) == 0o750


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)
