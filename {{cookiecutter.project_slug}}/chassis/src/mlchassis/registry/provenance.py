"""Provenance of a bundle: the commit and the data to reproduce it from."""

from pathlib import Path

import yaml

from mlchassis.errors import ProjectError
from mlchassis.paths import Paths
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
    try:
        stages = yaml.safe_load(paths.dvc_lock.read_text(encoding="utf-8"))["stages"].values()
        parts = [stage.get(kind, ()) for stage in stages for kind in ("outs", "deps")]
        hashes = [e["md5"] for part in parts for e in part if e["path"] == place and e.get("md5")]
    except FileNotFoundError:
        raise ProjectError("dvc.lock is missing; run `make repro`, which writes it.") from None
    except (yaml.YAMLError, UnicodeError, LookupError, TypeError, AttributeError):
        raise ProjectError("dvc.lock is cut short or broken; `make repro` fixes it.") from None
    if not hashes:
        raise ProjectError(f"dvc.lock does not say what {place} held; run `make repro`.")
    return str(hashes[0])
