"""The script pull-request.sh when it is run again: a real repository, a stand-in for gh."""

import os
import subprocess
from pathlib import Path

import pytest

from bake import PAYLOAD

SCRIPT = PAYLOAD / ".github" / "scripts" / "pull-request.sh"
GH = """#!/bin/sh
echo "$*" >>"$CALLS"
case "$1 $2" in
"pr list") test ! -e "$OPEN" || echo 3 ;;
"pr create") test ! -e "$REFUSE" || { echo "not permitted to create pull requests" >&2; exit 1; } ;;
esac
"""
PATCH = """--- a/file
+++ b/file
@@ -1 +1 @@
-old
+{new}
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


def run_job(
    origin: Path, name: str, *more: str, day: int = 1, new: str = "new"
) -> subprocess.CompletedProcess[str]:
    """Open a pull request from a fresh clone, as the job of a workflow does."""
    folder = origin.parent / name
    git(origin.parent, "clone", "--quiet", "--depth=1", f"file://{origin}", name)
    (folder / "build").mkdir()
    (folder / "build" / "changes.patch").write_text(PATCH.format(new=new))
    (folder / "build" / "body.md").write_text(new)
    programs = origin.parent / "programs"
    programs.mkdir(exist_ok=True)
    (programs / "gh").write_text(GH)
    (programs / "gh").chmod(0o755)
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    now = f"2026-01-{day:02d}T00:00:00Z"
    files = {name.upper(): str(origin.parent / name) for name in ("refuse", "open", "calls")}
    variables = {"PATH": path, **files}
    variables |= {"GIT_AUTHOR_DATE": now, "GIT_COMMITTER_DATE": now}
    return subprocess.run(
        ["sh", str(SCRIPT), "retrain/7", "Retrain", *more],
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
    (origin.parent / "open").touch()
    for name in ("again", "closed"):
        again = run_job(origin, name)
        assert again.returncode != 0
        assert "retrain/7 has a commit that no workflow made" in again.stderr
        assert git(origin, "rev-parse", "retrain/7") == added
        (origin.parent / "open").unlink(missing_ok=True)


def test_an_open_pull_request_is_updated(origin: Path) -> None:
    assert run_job(origin, "first").returncode == 0
    (origin.parent / "open").touch()
    again = run_job(origin, "again", day=8, new="newer")
    assert again.returncode == 0, again.stderr
    assert git(origin, "show", "retrain/7:file") == "newer"
    assert git(origin, "rev-list", "--count", "main..retrain/7") == "1"
    *_, last = (origin.parent / "calls").read_text().splitlines()
    assert last.startswith("api repos/{owner}/{repo}/pulls/3 --silent --method PATCH ")
    assert last.endswith("title=Retrain --field body=@build/body.md")


def test_an_open_pull_request_is_left_alone_where_that_is_asked_for(origin: Path) -> None:
    assert run_job(origin, "first", "keep").returncode == 0
    (origin.parent / "open").touch()
    assert run_job(origin, "again", "keep", new="newer").returncode == 0
    assert git(origin, "show", "retrain/7:file") == "new"
