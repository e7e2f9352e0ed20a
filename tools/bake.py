"""Bake projects from the template's tracked files, with cookiecutter's own command."""

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAYLOAD = ROOT / "{{cookiecutter.project_slug}}"


class BakeError(Exception):
    """A project could not be baked; the message is what cookiecutter and the hooks said."""


def list_tracked() -> list[str]:
    """List the template's tracked files, relative to its root, as they lie in the working tree.

    Only these are a part of the template: caches and bytecode beside them must never be baked.
    """
    listing = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, check=False
    )
    if listing.returncode:
        raise BakeError(
            "error: this folder is not a git checkout, so what belongs to the template is not "
            "known; clone the repository instead of unpacking an archive."
        )
    names = listing.stdout.decode().split("\0")
    return [name for name in names if name and (ROOT / name).is_file()]


def copy_template(target: Path) -> Path:
    """Copy the tracked files, with their modes, into a new folder."""
    for name in list_tracked():
        copy = target / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, copy)
    return target


def write_config(folder: Path) -> Path:
    """Write a cookiecutter configuration that reads and writes nothing in the home folder."""
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "cookiecutter.yaml"
    folders = {"replay_dir": folder / "replay", "cookiecutters_dir": folder / "clones"}
    config.write_text(json.dumps({key: str(path) for key, path in folders.items()}))
    return config


def run_cookiecutter(
    template: Path, output: Path, config: Path, *arguments: str, typed: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run cookiecutter's command as a person would.

    Args:
        template: A copy of the template.
        output: The existing folder in which the project's folder is made.
        config: From `write_config`.
        arguments: More of its command line.
        typed: Input for its prompts; None for a closed standard input.
    """
    command = [sys.executable, "-m", "cookiecutter", "--config-file", str(config)]
    return subprocess.run(
        [*command, "--output-dir", str(output), str(template), *arguments],
        input=typed or "",
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def bake(template: Path, output: Path, config: Path, answers: Mapping[str, str]) -> Path:
    """Bake one project into `output` and return its folder.

    Raises:
        BakeError: cookiecutter or a hook refused.
    """
    output.mkdir(parents=True, exist_ok=True)
    before = set(output.iterdir())
    given = [f"{name}={answer}" for name, answer in answers.items()]
    run = run_cookiecutter(template, output, config, "--no-input", *given)
    made = set(output.iterdir()) - before
    if run.returncode or len(made) != 1:
        raise BakeError(run.stderr + run.stdout)
    return made.pop()


def bake_defaults(project: Path) -> None:
    """Bake the default answers so that the project's root is exactly `project`."""
    work = project.with_name(f".{project.name}")
    shutil.rmtree(work, ignore_errors=True)
    template = copy_template(work / "template")
    baked = bake(template, work / "output", write_config(work / "config"), {})
    shutil.rmtree(project, ignore_errors=True)
    baked.rename(project)
    shutil.rmtree(work)
