"""`run`: from a folder of files to a deployed model, every step safe to repeat."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TextIO

from mlchassis.config.params import Params
from mlchassis.contract.model import load_contract
from mlchassis.data.results.splits import SplitReport
from mlchassis.errors import ProjectError
from mlchassis.evaluation.gates.judgement import RejectedError
from mlchassis.evaluation.plausibility import spell_implausible
from mlchassis.evaluation.results import load_evaluation
from mlchassis.files import private_umask
from mlchassis.formatting import format_interval
from mlchassis.paths import Paths
from mlchassis.project import Workspace, read_params
from mlchassis.workflow.availability import check_rows
from mlchassis.workspace.dvc_remotes import protect_rows
from mlchassis.workspace.listings import fetch_listings
from mlchassis.workspace.outputs import protect, read_outputs
from mlchassis.workspace.repository import ensure_repository

_DVC_HINTS = (
    "To track the changes with git, run:",
    "\tgit add ",
    "To enable auto staging, run:",
    "\tdvc config core.autostage true",
    "Use `dvc push` to send",
    "Updating lock file 'dvc.lock'",
    "Generating lock file 'dvc.lock'",
    "> ",
    "WARNING: 'data/quarantine' is empty.",
)
"""Beginnings of the lines that DVC writes for its own users; they bury the rest of a run."""


def run_everything(paths: Workspace, say: Callable[[str], None]) -> None:
    """Run repository, pipeline, judge, register, promote and deploy; print each step's result.

    Args:
        paths: The project.
        say: Callback that prints one line to the user.

    Raises:
        ProjectError: A step fails; those before it stand, and running again goes on from there.
    """
    params = read_params(paths)
    made = ensure_repository(paths.root)
    if made:
        say(made)
    with ThreadPoolExecutor(max_workers=1) as beside:
        beside.submit(_open_registry, paths)
        repro(paths, say)
    from mlchassis.workflow import release

    try:
        judgement = release.judge(paths, params)
    except RejectedError:
        # An experiment that failed is still an experiment: nobody should make it twice.
        release.track(paths, params)
        raise
    say(f"judge: {judgement.summary}")
    version = release.register(paths, params)
    say(f"register: version {version.number} of {version.name}")
    say(f"promote: {release.promote(paths, None, 'make run').sentence}")
    say(f"deploy: {release.deploy(paths).sentence}")
    for line in summarize(paths, params):
        say(line)


def _open_registry(paths: Paths) -> None:
    """Import and open MLflow ahead, which takes seconds; a failure is repeated where it is used."""
    from mlchassis.registry.tracking import connect
    from mlchassis.workflow import release  # noqa: F401

    connect(paths, load_contract(paths.contract).name)


def repro(paths: Paths, say: Callable[[str], None], *stages: str) -> None:
    """Run the stages whose inputs changed, after removing the locks of a killed run.

    Args:
        paths: The project.
        say: Callback that prints one line to the user.
        stages: Run these and what they depend on; without, all.

    Raises:
        ProjectError: A stage failed; it has said why.
    """
    protect_rows(paths)
    _mend_lock(paths.root)
    if paths.dvc_lock.exists():
        _put_cut_lock_aside(paths, say)
    protect(paths, read_outputs(paths), say)
    if paths.params.exists():
        check_rows(paths, say)
    if _run_dvc(paths.root, "repro", *stages):
        raise ProjectError(
            "The pipeline stopped: the stage above says why; fix that and run it again. Finished "
            "stages are not repeated."
        )


def pull(paths: Paths) -> None:
    """Bring what `dvc.lock` names from the remote, by listings that were compared with it.

    Raises:
        ProjectError: A listing was changed, or DVC cannot bring everything.
    """
    fetch_listings(paths.root)
    if _run_dvc(paths.root, "pull"):
        raise ProjectError(
            "Not everything could be pulled: the line above says why; push it from where it is "
            "with `make push`, or make it again with `make repro`."
        )


def _run_dvc(root: Path, *arguments: str) -> int:
    """Run DVC with this environment's Python; pass its lines on, but not its hints.

    Returns:
        Its exit code.
    """
    tools = str(Path(sys.executable).parent)
    path = f"{tools}{os.pathsep}{os.environ.get('PATH', '')}"
    with subprocess.Popen(
        [sys.executable, "-m", "dvc", *arguments],
        cwd=root,
        # Unbuffered, so that DVC's lines and those of the stages stay in their order.
        env={**os.environ, "PATH": path, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
        # DVC rewrites tables from its cache, with a mode that follows from the umask.
        umask=private_umask(),
    ) as process:
        with ThreadPoolExecutor(max_workers=2) as beside:
            beside.submit(_pass_on, process.stdout, sys.stdout)
            beside.submit(_pass_on, process.stderr, sys.stderr)
        return process.wait()


def _pass_on(lines: Iterable[str] | None, stream: TextIO) -> None:
    for line in lines or ():
        if line.strip() and not line.startswith(_DVC_HINTS):
            stream.write(line)
            stream.flush()


def summarize(paths: Paths, params: Params) -> list[str]:
    """Summary of a run: the account of every row, and the candidate against the baselines."""
    account = SplitReport.load(paths.reports).account
    evaluation = load_evaluation(paths.reports / "evaluation.json")
    metric = params.judge.metric
    rows = ", ".join(f"{count} {name}" for name, count in account.spell())
    models = {"candidate": evaluation.metrics, **evaluation.baselines}
    models |= {f"gain over {name}": gains for name, gains in evaluation.gains.items()}
    lines = [
        f"{metric}: {name:<17} {format_interval(measured[metric])}"
        for name, measured in models.items()
    ]
    warning = spell_implausible(evaluation.implausible)
    return [f"rows: {rows}", *lines, *([f"warning: {warning}"] if warning else [])]


def _mend_lock(root: Path) -> None:
    """Remove the lock that a killed DVC leaves, on which DVC itself could fail for ever.

    DVC takes every number that some process has for a holder: one that nobody has reaped yet, or an
    unrelated one that got the number, as happens soon in a container.
    """
    lock = root / ".dvc" / "tmp" / "rwlock"
    if not lock.exists():
        return
    # One that was cut short names nobody, so nobody holds it.
    holders = re.findall(r'"pid": *(\d+)', lock.read_text(encoding="utf-8", errors="replace"))
    if not any(_runs_dvc(int(pid)) for pid in holders):
        lock.unlink(missing_ok=True)


def _put_cut_lock_aside(paths: Paths, say: Callable[[str], None]) -> None:
    """Move a `dvc.lock` that a killed DVC wrote in part to DVC's temporary folder.

    DVC refuses it for ever; without it, it looks into its cache of runs, and repeats none.
    """
    import yaml
    from dvc.schema import COMPILED_LOCKFILE_SCHEMA

    try:
        COMPILED_LOCKFILE_SCHEMA(yaml.safe_load(paths.dvc_lock.read_text(encoding="utf-8")))
    except Exception:  # noqa: BLE001 - whatever is wrong with it, DVC would refuse it
        place = ".dvc/tmp/dvc.lock.cut"
        (paths.root / place).parent.mkdir(exist_ok=True)  # A fresh clone has none.
        paths.dvc_lock.replace(paths.root / place)
        say(f"repro: dvc.lock was cut short or broken; moved it to {place}, going on without it")


def _runs_dvc(pid: int) -> bool:
    import psutil

    try:
        return any("dvc" in word for word in psutil.Process(pid).cmdline())
    except psutil.Error:
        return False
