"""The repository of a project: its own, or the larger one that the project is in."""

import os
import subprocess
from pathlib import Path

import pytest

from mlchassis.adoption.files.journal import check_committed
from mlchassis.errors import ProjectError
from mlchassis.paths import Paths
from mlchassis.registry.provenance import read_commit
from mlchassis.registry.reproduce import _check_out, _seek_files
from mlchassis.workspace.repository import ensure_repository, find_repository


@pytest.fixture(autouse=True)
def _stranger(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which git knows nobody."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(home.parent))


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def commits(folder: Path) -> list[str]:
    return git(folder, "log", "--format=%s").splitlines()


def make_repository(folder: Path) -> None:
    (folder / "file").write_text("content")
    ensure_repository(folder)


def test_a_plain_folder_becomes_a_repository_with_a_first_commit(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("content")

    assert ensure_repository(tmp_path) == "git: made this folder a repository, with a first commit"
    assert commits(tmp_path) == ["Generate the project"]
    assert git(tmp_path, "status", "--porcelain") == ""
    assert git(tmp_path, "ls-files") == "file"
    assert git(tmp_path, "symbolic-ref", "HEAD") == "refs/heads/main"


def test_an_empty_repository_gets_a_first_commit(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    (tmp_path / "file").write_text("content")

    assert ensure_repository(tmp_path) == "git: this repository was empty, with a first commit"
    assert commits(tmp_path) == ["Generate the project"]


def test_a_repository_with_commits_is_left_as_it_is(tmp_path: Path) -> None:
    make_repository(tmp_path)
    (tmp_path / "work").write_text("not yet committed")

    assert ensure_repository(tmp_path) == ""
    assert git(tmp_path, "status", "--porcelain") == "?? work"
    assert len(commits(tmp_path)) == 1


def make_inner(top: Path) -> Path:
    inner = top / "projects" / "größe 'inner'"
    inner.mkdir(parents=True)
    (inner / "params.yaml").write_text("seed: 1")
    return inner


def test_a_project_is_committed_to_the_repository_around_it_alone(tmp_path: Path) -> None:
    make_repository(tmp_path)
    (tmp_path / "staged").write_text("work of another project")
    git(tmp_path, "add", "staged")
    inner = make_inner(tmp_path)

    assert ensure_repository(inner).startswith(
        f"git: committed the project to the repository around it, {tmp_path}"
    )
    assert not (inner / ".git").exists()
    assert git(inner, "show", "--format=", "--name-only", "-z").strip("\0") == (
        "projects/größe 'inner'/params.yaml"
    )
    assert git(tmp_path, "diff", "--cached", "--name-only") == "staged"
    assert read_commit(inner) == git(tmp_path, "rev-parse", "HEAD")
    assert ensure_repository(inner) == ""


def test_a_repository_around_it_without_any_commit_gets_the_project_alone(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    (tmp_path / "staged").write_text("work of another project")
    git(tmp_path, "add", "staged")
    inner = make_inner(tmp_path)
    ensure_repository(inner)

    assert not (inner / ".git").exists()
    assert git(inner, "ls-files") == "params.yaml"
    assert commits(tmp_path) == ["Generate the project"]
    assert git(tmp_path, "diff", "--cached", "--name-only") == "staged"


def test_a_project_that_is_committed_around_it_is_left_as_it_is(tmp_path: Path) -> None:
    make_repository(tmp_path)
    inner = make_inner(tmp_path)
    me = ("-c", "user.name=Somebody", "-c", "user.email=somebody@localhost")
    git(tmp_path, "add", "--all")
    git(tmp_path, *me, "commit", "-qm", "Add a project")
    (inner / "params.yaml").write_text("seed: 2")

    assert ensure_repository(inner) == ""
    assert commits(tmp_path) == ["Add a project", "Generate the project"]
    with pytest.raises(ProjectError, match=r"1 change is not committed \(such as params\.yaml\)"):
        check_committed(Paths(inner), force=False)


def test_a_folder_that_the_repository_around_it_ignores_becomes_one_of_its_own(
    tmp_path: Path,
) -> None:
    make_repository(tmp_path)
    (tmp_path / ".gitignore").write_text("/projects/\n")
    inner = make_inner(tmp_path)
    ensure_repository(inner)

    assert git(inner, "rev-parse", "--show-toplevel") == str(inner)
    assert git(inner, "ls-files") == "params.yaml"


@pytest.mark.parametrize("line", ["*.yaml", "*.lock", ".dvc/", "reports/"])
def test_a_repository_that_ignores_files_of_the_project_is_refused(
    tmp_path: Path, line: str
) -> None:
    make_repository(tmp_path)
    (tmp_path / ".gitignore").write_text(f"{line}\n")
    inner = make_inner(tmp_path)

    with pytest.raises(ProjectError, match=r"^git ignores .* shows the line that says so"):
        ensure_repository(inner)
    assert not (inner / ".git").exists()


def test_settings_of_the_machine_do_not_stop_the_first_commit(tmp_path: Path) -> None:
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    for name in ("pre-commit", "prepare-commit-msg", "commit-msg", "post-commit", "post-checkout"):
        (hooks / name).write_text(f"#!/bin/sh\ntouch '{tmp_path}/ran'; exit 1\n")
        (hooks / name).chmod(0o755)
    settings = {
        "core.hooksPath": str(hooks),
        "commit.gpgSign": "true",
        "user.signingKey": "nobody has it",
        "init.defaultBranch": "trunk",
        "user.useConfigOnly": "true",
    }
    for name, value in settings.items():
        git(tmp_path, "config", "--global", name, value)
    project = tmp_path / "project"
    project.mkdir()
    make_repository(project)

    assert commits(project) == ["Generate the project"]
    assert git(project, "symbolic-ref", "HEAD") == "refs/heads/main"
    assert not (tmp_path / "ran").exists()


def test_a_git_hook_that_starts_a_verb_points_to_no_other_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, project = tmp_path / "other", tmp_path / "project"
    for folder in (other, project):
        folder.mkdir()
        make_repository(folder)
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))

    assert find_repository(project) == project


def test_a_repository_of_another_user_is_named_with_what_helps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_repository(tmp_path)
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")

    with pytest.raises(ProjectError, match=r"git does not trust .*safe\.directory"):
        ensure_repository(tmp_path)


def test_a_commit_of_a_larger_repository_is_checked_out_for_its_project_alone(
    tmp_path: Path,
) -> None:
    top = tmp_path / "top"
    (top / "other" / "large").mkdir(parents=True)
    (top / "other" / "large" / "file").write_text("large")
    make_repository(top)
    before = git(top, "rev-parse", "HEAD")
    inner = make_inner(top)
    ensure_repository(inner)
    clone = tmp_path / "clone"
    copy = _check_out(inner, git(top, "rev-parse", "HEAD"), clone)

    assert copy == clone / inner.relative_to(top)
    assert (copy / "params.yaml").read_text() == "seed: 1"
    assert not (clone / "other" / "large").exists()
    # A version that was made before its project was committed is made of the commit that followed.
    lock = tmp_path / "dvc.lock"
    lock.write_text("stages: {}")
    earlier = tmp_path / "earlier"
    copy = _check_out(inner, before, earlier)
    assert not (copy / "params.yaml").exists()
    _seek_files(earlier, copy, before, lock)
    assert (copy / "params.yaml").exists()


def test_a_known_author_signs_the_first_commit(tmp_path: Path) -> None:
    git(tmp_path, "config", "--global", "user.name", "Ada")
    git(tmp_path, "config", "--global", "user.email", "ada@localhost")
    make_repository(tmp_path)

    assert git(tmp_path, "log", "--format=%an %ae") == "Ada ada@localhost"


def test_what_git_cannot_do_is_said_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / ".git").write_text("no repository")

    with pytest.raises(ProjectError, match=r"`git rev-parse` failed in .*; fix it and run again"):
        ensure_repository(tmp_path)


def test_a_commit_that_git_refuses_is_named_by_its_command(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match=r"`git commit` failed in .*: .* fix it and run again"):
        ensure_repository(tmp_path)


def test_a_machine_without_git_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(ProjectError, match="git is not on PATH; install it and run again"):
        ensure_repository(tmp_path)
