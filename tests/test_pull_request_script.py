"""The script pull-request.sh when it is run again: a real repository, a stand-in for gh."""

import os
import subprocess
from pathlib import Path

import pytest

from bake import PAYLOAD

SCRIPT = PAYLOAD / ".github" / "scripts" / "pull-request.sh"
GH = """#!/bin/sh
case "$1 $2" in
"pr create") test ! -e "$REFUSE" || { echo "not permitted to create pull requests" >&2; exit 1; } ;;
esac
"""
PATCH = """--- a/file
+++ b/file
@@ -1 +1 @@
-old
+new
"""


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder."""
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    """A repository with one file."""
    work = tmp_path / "work"
    work.mkdir()
    git(work, "init", "--quiet", "--initial-branch=main")
    (work / "file").write_text("old\n")
    git(work, "add", "file")
    git(work, "commit", "--quiet", "--message=Begin")
    git(tmp_path, "clone", "--quiet", "--bare", str(work), "origin.git")
    return tmp_path / "origin.git"


def run_job(origin: Path, name: str, day: int = 1) -> subprocess.CompletedProcess[str]:
    """Open a pull request from a fresh clone, as the job of a workflow does."""
    folder = origin.parent / name
    git(origin.parent, "clone", "--quiet", "--depth=1", f"file://{origin}", name)
    (folder / "build").mkdir()
    (folder / "build" / "changes.patch").write_text(PATCH)
    programs = origin.parent / "programs"
    programs.mkdir(exist_ok=True)
    (programs / "gh").write_text(GH)
    (programs / "gh").chmod(0o755)
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    now = f"2026-01-{day:02d}T00:00:00Z"
    variables = {"PATH": path, "REFUSE": str(origin.parent / "refuse")}
    variables |= {"GIT_AUTHOR_DATE": now, "GIT_COMMITTER_DATE": now}
    return subprocess.run(
        ["sh", str(SCRIPT), "retrain/7", "Retrain"],
        cwd=folder,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_job_that_pushed_its_branch_and_failed_can_be_run_again(origin: Path) -> None:
    refuse = origin.parent / "refuse"
    refuse.touch()
    assert "not permitted" in run_job(origin, "first").stderr
    pushed = git(origin, "rev-parse", "retrain/7")
    refuse.unlink()
    again = run_job(origin, "again", day=2)
    assert again.returncode == 0, again.stderr
    assert git(origin, "rev-parse", "retrain/7") == pushed


def test_a_commit_that_somebody_added_to_the_branch_is_kept(origin: Path) -> None:
    (origin.parent / "refuse").touch()
    run_job(origin, "first")
    git(origin.parent, "clone", "--quiet", "--branch=retrain/7", str(origin), "colleague")
    colleague = origin.parent / "colleague"
    (colleague / "file").write_text("newer\n")
    git(colleague, "commit", "--quiet", "--all", "--message=Go on")
    git(colleague, "push", "--quiet")
    added = git(colleague, "rev-parse", "HEAD")
    assert run_job(origin, "again").returncode != 0
    assert git(origin, "rev-parse", "retrain/7") == added
