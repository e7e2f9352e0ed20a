import subprocess
from pathlib import Path

import pytest

from mlchassis.errors import ProjectError
from mlchassis.paths import Paths
from mlchassis.registry.provenance import read_commit, read_data_hash


def test_a_folder_without_a_commit_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(ProjectError, match="has no git commit"):
        read_commit(tmp_path)
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    with pytest.raises(ProjectError, match="has no git commit"):
        read_commit(tmp_path)


def test_a_machine_without_git_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ProjectError, match="git is not on PATH"):
        read_commit(tmp_path)


def test_the_data_hash_is_dvcs(tmp_path: Path) -> None:
    lock = tmp_path / "dvc.lock"
    with pytest.raises(ProjectError, match=r"dvc\.lock is missing"):
        read_data_hash(Paths(tmp_path))
    lock.write_text("schema: '2.0'\nstages: {ingest: {outs: [{path: data/raw, md5: 12ab.dir}]}}\n")
    assert read_data_hash(Paths(tmp_path)) == "12ab.dir"
    lock.write_text("schema: '2.0'\nstages: {ingest: {outs: [{path: data/other, md5: 12ab}]}}\n")
    with pytest.raises(ProjectError, match="does not say what data/raw held"):
        read_data_hash(Paths(tmp_path))


LOCK = """\
schema: '2.0'
stages:
  ingest:
    cmd: python -m orders ingest
    outs:
    - path: data/raw
      md5: 12ab.dir
"""


def test_a_dvc_lock_that_was_cut_short_anywhere_says_what_mends_it(tmp_path: Path) -> None:
    for kept in range(LOCK.index("12ab")):
        (tmp_path / "dvc.lock").write_text(LOCK[:kept])
        with pytest.raises(ProjectError, match=r"^dvc\.lock (is cut|does not say).*; .*repro`"):
            read_data_hash(Paths(tmp_path))


@pytest.mark.parametrize(
    "broken",
    [b"\0" * 64, b"\xff\xfe", f"<<<<<<< HEAD\n{LOCK}".encode()],
    ids=["zeros", "no UTF-8", "conflict"],
)
def test_a_dvc_lock_that_cannot_be_read_says_what_mends_it(tmp_path: Path, broken: bytes) -> None:
    (tmp_path / "dvc.lock").write_bytes(broken)
    with pytest.raises(ProjectError, match=r"is cut short or broken; `make repro` fixes it\.$"):
        read_data_hash(Paths(tmp_path))
