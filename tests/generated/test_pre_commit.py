"""The hooks pass on a fresh generation, and refuse what does not belong into a commit."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from bake import bake_defaults
from project_copy import link_environment, make_environment
from whole_run import WholeRun, run_in

KEY = "wJalrXUtnFEMI/K7MDENG/bPxRfiCY" + "EXAMPLEKEY"
NOTEBOOK = {
    "cells": [
        {
            "cell_type": "code",
            "execution_count": 1,
            "metadata": {},
            "outputs": [{"name": "stdout", "output_type": "stream", "text": ["a row\n"]}],
            "source": ["rows"],
            "id": "a",
        }
    ],
    "metadata": {},
    "nbformat": 4,
    "nbformat_minor": 5,
}
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def fresh(whole_run: WholeRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh generation in a repository of its own, with the packages of the whole run."""
    project = tmp_path_factory.mktemp("pre-commit") / "ml-service"
    bake_defaults(project)
    link_environment(whole_run.project / ".venv", project / ".venv")
    run_in(project, "git", "init", "--quiet")
    run_in(project, "git", "add", "--all")
    return project


@pytest.fixture(scope="module")
def run(fresh: Path) -> Run:
    """Run a command of pre-commit in the fresh generation."""

    def run_hooks(*arguments: str) -> "subprocess.CompletedProcess[str]":
        home = str(fresh.parent / "home")
        return subprocess.run(
            [".venv/bin/pre-commit", "run", *arguments],
            cwd=fresh,
            env=make_environment(fresh / ".venv" / "bin", PRE_COMMIT_HOME=home),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            check=False,
        )

    return run_hooks


def test_the_hooks_pass_on_a_fresh_generation(run: Run, fresh: Path) -> None:
    done = run("--all-files")
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("Passed") >= 12
    assert run_in(fresh, "git", "status", "--porcelain").count("\nAM") == 0


def plant(fresh: Path, name: str, content: str) -> str:
    """Add a file to the index."""
    (fresh / name).write_text(content, encoding="utf-8")
    run_in(fresh, "git", "add", "--force", name)
    return name


@pytest.mark.parametrize(
    ("hook", "name", "content"),
    [
        ("secrets", "src/key.py", f'AWS_SECRET_ACCESS_KEY = "{KEY}"\n'),
        ("large-files", "rows.csv", "1,2,3\n" * 1_750_000),
        ("notebook-output", "notebooks/rows.ipynb", json.dumps(NOTEBOOK)),
        ("merge-conflicts", "a.md", "<<<<<<< HEAD\na\n=======\nb\n>>>>>>> b\n"),
        ("yaml", "a.yaml", "a: [\n"),
        ("toml", "a.toml", "a = \n"),
        ("json", "a.json", "{"),
        ("end-of-file", "a.txt", "no end"),
        ("trailing-space", "b.txt", "space \n"),
        ("format", "src/a.py", "x=1\n"),
        ("lint", "src/b.py", "import os\n"),
    ],
)
def test_a_hook_refuses(hook: str, name: str, content: str, run: Run, fresh: Path) -> None:
    planted = plant(fresh, name, content)
    (fresh / ".git" / "MERGE_MSG").write_text("Conflicts:\n")  # conflicts are looked for in merges
    (fresh / ".git" / "MERGE_HEAD").write_text("0\n")
    done = run(hook, "--files", planted)
    for marker in ("MERGE_MSG", "MERGE_HEAD"):
        (fresh / ".git" / marker).unlink()
    run_in(fresh, "git", "rm", "--quiet", "--force", planted)
    assert done.returncode == 1, done.stdout
    assert "Failed" in done.stdout


@pytest.mark.parametrize(
    ("message", "refused"),
    [
        ("Train on September\n\nThe gates approve it.\n", ""),
        ("Train on September\n# Comment of git\n", ""),
        ("\n", "has no subject"),
        ("Train.\n", "ends with a period"),
        ("x" * 73 + "\n", "above 72 characters"),
        ("Train\non September\n", "put an empty line"),
    ],
)
def test_a_commit_message_is_checked(message: str, refused: str, run: Run, fresh: Path) -> None:
    file = fresh / ".git" / "COMMIT_EDITMSG"
    file.write_text(message, encoding="utf-8")
    arguments = ("--hook-stage", "commit-msg", "--commit-msg-filename", str(file))
    done = run("commit-message", *arguments)
    assert (done.returncode == 1) == bool(refused), done.stdout
    assert refused in done.stdout


def test_the_hooks_of_dvc_run(run: Run, fresh: Path) -> None:
    pushed = run("dvc-push", "--hook-stage", "pre-push", "--all-files")
    assert pushed.returncode == 0, pushed.stdout
    checked_out = run("dvc-checkout", "--hook-stage", "post-checkout", "--all-files")
    assert checked_out.returncode == 0, checked_out.stdout
