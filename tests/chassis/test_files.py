"""Files are whole or not there."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from mlchassis.files import clear_scratch, make_private, private_umask, replacing, write_text


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


KILLED_AT = {
    # The kernel ends the process after the 100,000th byte, which only a file itself can show.
    "half-way": (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)); "
        "resource.setrlimit(resource.RLIMIT_CORE, (0, 0)); "
        "signal.signal(signal.SIGXFSZ, signal.SIG_DFL)"
    ),
    "before the rename": (
        "sys.addaudithook(lambda event, _: "
        "event == 'os.rename' and os.kill(os.getpid(), signal.SIGKILL))"
    ),
}


@pytest.mark.parametrize("moment", KILLED_AT)
def test_a_kill_while_a_text_is_written_leaves_the_old_one(tmp_path: Path, moment: str) -> None:
    target = tmp_path / "file"
    target.write_text("old")
    program = (
        f"import os, signal, sys; from pathlib import Path; {KILLED_AT[moment]}; "
        "from mlchassis.files import write_text; write_text(Path(sys.argv[1]), 'new' * 100_000)"
    )
    child = subprocess.run(
        [sys.executable, "-B", "-c", program, str(target)], capture_output=True, check=False
    )
    assert -child.returncode in (signal.SIGXFSZ, signal.SIGKILL), child.stderr
    assert target.read_text() == "old"
    clear_scratch(tmp_path)
    assert list(tmp_path.iterdir()) == [target]


def test_a_text_is_replaced_whole(tmp_path: Path) -> None:
    target = tmp_path / "file"
    write_text(target, "old")
    write_text(target, "new, with ü")
    assert target.read_text(encoding="utf-8") == "new, with ü"
    assert list(tmp_path.iterdir()) == [target]


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
