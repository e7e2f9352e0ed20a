"""Files are whole or not there."""

import stat
from pathlib import Path

import pytest

from {{ cookiecutter.package_name }}.files import replacing


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


def test_another_user_can_read_what_is_written(tmp_path: Path) -> None:
    with replacing(tmp_path / "file") as scratch:
        scratch.write_text("new")

    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o644
