"""Repositories that workflows are run in."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

IDENTITY = {
    f"GIT_{role}_{part}": value
    for role in ("AUTHOR", "COMMITTER")
    for part, value in (("NAME", "Test"), ("EMAIL", "test@example.org"))
}


def make_base(home: Path, path: str, **variables: str) -> dict[str, str]:
    """Return the environment of a runner's steps: nothing of the machine but PATH.

    Args:
        home: Home folder, which is made.
        path: Value of PATH.
        variables: Further variables.
    """
    home.mkdir(parents=True, exist_ok=True)
    certificates = {name: value for name, value in os.environ.items() if name.startswith("SSL_")}
    return {"HOME": str(home), "PATH": path, "LANG": "C.UTF-8", **certificates, **variables}


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder, with an identity for commits; return what it printed."""
    environment: Mapping[str, str] = {
        **os.environ,
        **IDENTITY,
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
    }
    done = subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def publish(project: Path, repository: Path, *left_out: str) -> Path:
    """Commit a project's files, except ignored ones, as the main branch of a bare repository.

    Args:
        project: Project that is published.
        repository: Folder of the repository, which is made.
        left_out: Names of further files and folders that are left out.
    """
    with tempfile.TemporaryDirectory(dir=repository.parent) as scratch:
        tree = Path(scratch) / "tree"
        shutil.copytree(
            project, tree, symlinks=True, ignore=shutil.ignore_patterns(".venv", ".git")
        )
        git(tree, "init", "--quiet", "--initial-branch=main")
        git(tree, "add", "--all")
        git(tree, "commit", "--quiet", "--message", "Generate the project")
        git(tree, "clone", "--quiet", "--bare", str(tree), str(repository))
    # Each clone would have a file, and most a folder, for each object that is not packed.
    git(repository, "gc", "--quiet")
    return repository


def list_branches(repository: Path) -> list[str]:
    """Return the branches of a repository."""
    return git(repository, "for-each-ref", "--format=%(refname:short)", "refs/heads").split()
