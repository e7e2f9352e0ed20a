"""The git repository that the project is in: its own one, or a larger one around it."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from mlchassis.errors import ProjectError

_WHO = ("AUTHOR", "COMMITTER")
_NOBODY = ("user.name=Nobody", "user.email=nobody@localhost")
"""Committer where git knows no name; the project's owner sets one later."""
NO_HOOKS = "core.hooksPath=/dev/null"
"""Setting under which git starts nobody's hooks."""
_ELSEWHERE = frozenset(
    {
        "GIT_COMMON_DIR",
        "GIT_DIR",
        "GIT_INDEX_FILE",
        "GIT_NAMESPACE",
        "GIT_OBJECT_DIRECTORY",
        "GIT_PREFIX",
        "GIT_WORK_TREE",
    }
)
"""Variables by which a git hook points to another repository."""
_KEPT = ("contract.yaml", "params.yaml", "dvc.yaml", "dvc.lock", ".dvc/config", "reports/a.json")
"""Examples of what git must hold for another machine."""


def run_git(
    root: Path, command: str, *arguments: str, settings: Sequence[str] = (), check: bool = True
) -> "subprocess.CompletedProcess[str]":
    """Run git in a folder, for its repository, with messages in English.

    Args:
        root: The folder.
        command: Of git.
        arguments: Of the command.
        settings: Of git, for this command alone, such as `user.name=Nobody`.
        check: True to raise on failure.

    Raises:
        ProjectError: git is missing, or it failed and `check` is set.
    """
    environment = {name: value for name, value in os.environ.items() if name not in _ELSEWHERE}
    options = [word for setting in settings for word in ("-c", setting)]
    try:
        done = subprocess.run(
            ["git", *options, command, *arguments],
            cwd=root,
            env={**environment, "LC_ALL": "C"},
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            check=False,
        )
    except FileNotFoundError:
        raise ProjectError("git is not on PATH; install it and run again.") from None
    if check and done.returncode:
        reason = " ".join((done.stderr or done.stdout).split())
        raise ProjectError(f"`git {command}` failed in {root}: {reason}; fix it and run again.")
    return done


def find_repository(root: Path) -> Path | None:
    """Return the top folder of the repository that a folder is in, or None.

    Raises:
        ProjectError: git does not trust the repository, or it is broken.
    """
    completed = run_git(root, "rev-parse", "--show-toplevel", check=False)
    if completed.returncode == 0:
        return Path(completed.stdout.removesuffix("\n"))
    reason = " ".join(completed.stderr.split())
    if "dubious ownership" in reason:
        raise ProjectError(
            f"git does not trust the repository around {root}, since another user owns it; run "
            "`git config --global --add safe.directory` with its folder, as git says: "
            f"{reason.partition(' To add')[0].removeprefix('fatal: ')}."
        )
    if "not a git repository (or any" in reason:
        return None
    raise ProjectError(f"`git rev-parse` failed in {root}: {reason}; fix it and run again.")


def ensure_repository(root: Path) -> str:
    """Make sure that the project is in a git repository with a commit of its files.

    A repository around the project is used, unless it ignores the project's folder. Without one,
    the folder becomes a repository with the branch `main`.

    Returns:
        What was done, or an empty string.

    Raises:
        ProjectError: git fails, or the repository ignores files that must be kept.
    """
    top, done = find_repository(root), ""
    if top is None or _ignores(root, "."):
        run_git(root, "init", "--quiet")
        # git's default branch is a setting of the machine, and the workflow listens to `main`.
        run_git(root, "symbolic-ref", "HEAD", "refs/heads/main")
        top, done = root.resolve(), "git: made this folder a repository"
    _check_kept(root, top)
    unborn = run_git(root, "rev-parse", "--verify", "--quiet", "HEAD", check=False).returncode
    own = top == root.resolve()
    if not unborn and (own or run_git(root, "ls-files", "--", ".").stdout):
        return done
    _commit(root)
    if own:
        return f"{done or 'git: this repository was empty'}, with a first commit"
    return (
        f"git: committed the project to the repository around it, {top}; there, GitHub runs no "
        "workflow of this folder: README.md says how to move it"
    )


def _commit(root: Path) -> None:
    """Commit the project's files, and nothing else that is staged."""
    idents = [run_git(root, "var", f"GIT_{who}_IDENT", check=False) for who in _WHO]
    identity = _NOBODY if any(ident.returncode for ident in idents) else ()
    run_git(root, "add", "--all", "--", ".")
    options = ("--quiet", "--no-verify", "-m", "Generate the project")
    # A commit that nobody asked for waits for no passphrase.
    settings = (*identity, "commit.gpgsign=false", NO_HOOKS)
    run_git(root, "commit", *options, "--", ".", settings=settings)


def _ignores(root: Path, *names: str) -> list[str]:
    """Those of some files and folders that git ignores."""
    completed = run_git(root, "check-ignore", "--no-index", "--", *names, check=False)
    return completed.stdout.splitlines()


def _check_kept(root: Path, top: Path) -> None:
    """Refuse a repository that would lose files of the project without a word."""
    ignored = _ignores(root, *_KEPT)
    if ignored:
        raise ProjectError(
            f"git ignores {ignored[0]} of this project in the repository {top}, so that nobody "
            f"else would get it; `git check-ignore -v --no-index {ignored[0]}` shows the line that "
            "says so: change it and run again."
        )
