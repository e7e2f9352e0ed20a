"""Provenance of a bundle: the commit and the data to reproduce it from."""

from pathlib import Path

from mlchassis.errors import ProjectError
from mlchassis.paths import Paths
from mlchassis.workspace.dvc_lock import read_dvc_lock
from mlchassis.workspace.repository import run_git


def read_commit(root: Path) -> str:
    """The commit that is checked out.

    Raises:
        ProjectError: git is missing, or the project has no commit.
    """
    answer = run_git(root, "rev-parse", "--verify", "HEAD", check=False)
    if answer.returncode:
        detail = (answer.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise ProjectError(
            f"{root} has no git commit ({detail}), so nobody can find the code that made this "
            "model; `make run` makes the first one."
        )
    return answer.stdout.strip()


def read_data_hash(paths: Paths) -> str:
    """DVC's hash of the raw data that the pipeline ran on.

    Raises:
        ProjectError: `dvc.lock` is missing or broken, or does not speak of the raw data.
    """
    place = paths.raw.relative_to(paths.root).as_posix()
    stages = read_dvc_lock(paths.dvc_lock).stages.values()
    files = [file for stage in stages for file in (*stage.outs, *stage.deps)]
    for file in files:
        if file.path == place and file.md5:
            return file.md5
    raise ProjectError(f"dvc.lock does not say what {place} held; run `make repro`.")
