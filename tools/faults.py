"""Break a project that runs, one fault at a time, and require that the fault's guard goes red.

The project must have been run whole (`make run SERVE=0`); it is copied for each fault and itself
never changed. Faults with the same guard share its run on the unbroken project. faults/README.md
says what a fault is.
"""

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from bake import ROOT
from ml_test_score import ROWS
from project_copy import CopyError, copy_project, make_environment

LIBRARY = ROOT / "faults"
PROJECT = ROOT / "build" / "demo"
WITHIN = 300.0  # seconds; a guard takes ten, on a machine under load longer
SHOWN = 30  # lines of a command's output, where it did not do what it should


class FaultError(Exception):
    """A fault cannot be read or applied; the message says which and why."""


def check_pattern(text: str) -> str:
    """Return a regular expression unless it is none, or one that any output would match."""
    try:
        if re.search(text, ""):
            raise ValueError("matches any output; name words that only this guard says")
    except re.error as error:
        raise ValueError(f"is not a regular expression: {error}") from None
    return text


def check_row(text: str) -> str:
    """Return a row of the ML Test Score unless it is none."""
    if text not in ROWS:
        raise ValueError("is not a row of the ML Test Score; write it like 'Data 4'")
    return text


Sentence = Annotated[str, Field(min_length=10)]
Command = Annotated[str, Field(min_length=1)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Application(_Part):
    """Means to break a project: a patch or commands."""

    patch: str | None = None
    commands: tuple[Command, ...] = ()

    @model_validator(mode="after")
    def _is_one_of_them(self) -> "Application":
        if bool(self.patch) == bool(self.commands):
            raise ValueError("give either patch or commands")
        return self


class Guard(_Part):
    """The command that must fail, and what it must say so that it fails for the right reason."""

    command: Command
    says: Annotated[str, AfterValidator(check_pattern)]


class Fault(_Part):
    """One folder of the library, as its fault.yaml says it."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$")]
    title: Sentence
    symptom: Sentence
    apply: Application
    after: tuple[Command, ...] = ()
    guard: Guard
    ml_test_score: Annotated[str, AfterValidator(check_row)]
    readers: Annotated[frozenset[Literal["ci", "exercise", "grader"]], Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Outcome of one fault; `problem` is empty if its guard caught it."""

    fault: Fault
    problem: str
    evidence: str
    seconds: float


def load_fault(folder: Path) -> Fault:
    """Read one folder of the library.

    Raises:
        FaultError: It is not a fault; the sentence names the place and what is wrong there.
    """
    file = folder / "fault.yaml"
    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
        fault = Fault.model_validate({**document, "name": folder.name})
    except (OSError, yaml.YAMLError, TypeError) as error:
        raise FaultError(f"{folder.name}/fault.yaml cannot be read: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "it"
        reason = first["msg"].removeprefix("Value error, ")
        raise FaultError(f"{folder.name}/fault.yaml: {place}: {reason}") from None
    if fault.apply.patch and not (folder / fault.apply.patch).is_file():
        raise FaultError(f"{folder.name}/fault.yaml: apply.patch: no file {fault.apply.patch}")
    return fault


def load_library(names: Iterable[str] = ()) -> list[Fault]:
    """Read the faults of these names, or all of them.

    Raises:
        FaultError: One is not there, or is not a fault.
    """
    there = sorted(path.name for path in LIBRARY.iterdir() if path.is_dir())
    chosen = list(names) or there
    for name in chosen:
        if name not in there:
            raise FaultError(f"there is no fault '{name}'; there are: {', '.join(there)}")
    return [load_fault(LIBRARY / name) for name in chosen]


def list_tests(faults: Iterable[Fault]) -> set[str]:
    """Return the commands of guards that are tests of the project or of its chassis."""
    return {fault.guard.command for fault in faults if fault.guard.command.split()[0] == "pytest"}


def run_command(command: str, project: Path) -> tuple[int, str]:
    """Run one command line in a project, as if its environment were activated.

    Returns:
        Its exit status and all of its output.

    Raises:
        FaultError: It did not end in time; it and what it started were killed.
    """
    with subprocess.Popen(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=project,
        env=make_environment(
            project / ".venv" / "bin",
            OMP_NUM_THREADS="1",
            TOOLS=str(ROOT / "tools"),
            CHASSIS_TESTS=str(ROOT / "tests" / "chassis"),
        ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            output, _ = process.communicate(timeout=WITHIN)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise FaultError(f"'{command}' did not end within {WITHIN:.0f} s") from None
    return process.returncode, output


def apply_fault(fault: Fault, project: Path) -> None:
    """Break a project.

    Raises:
        FaultError: The patch does not apply, or a command fails.
    """
    commands = list(fault.apply.commands)
    if fault.apply.patch:
        patch = LIBRARY / fault.name / fault.apply.patch
        commands = [f"git apply --verbose {patch!s}"]
        if "+++ b/chassis/" in patch.read_text(encoding="utf-8"):
            # A release of the chassis with this fault in it: its stages have other fingerprints.
            commands.append('python "$TOOLS/manifest.py" chassis')
    for command in (*commands, *fault.after):
        status, output = run_command(command, project)
        if status:
            raise FaultError(f"'{command}' exited {status}:\n{shorten(output)}")


def shorten(output: str) -> str:
    """Return the last lines of an output, indented."""
    return "\n".join(f"    {line}" for line in output.rstrip().splitlines()[-SHOWN:])


def try_fault(fault: Fault, project: Path, scratch: Path, green: set[str]) -> tuple[str, str]:
    """Run the guard on a copy of the project, break the copy, run the guard again.

    Returns:
        What went wrong, if anything, and the line in which the guard said why it is red.
    """
    command = fault.guard.command
    copy = copy_project(project, scratch / "project")
    if command not in green:
        status, output = run_command(command, copy)
        if status:
            return f"the guard is red without the fault ({status}):\n{shorten(output)}", ""
        green.add(command)
    apply_fault(fault, copy)
    status, output = run_command(command, copy)
    matches = [line.strip() for line in output.splitlines() if re.search(fault.guard.says, line)]
    if not status:
        return f"the guard stays green with the fault:\n{shorten(output)}", ""
    if not matches:
        pattern = fault.guard.says
        return f"the guard is red, but does not say '{pattern}':\n{shorten(output)}", ""
    return "", matches[-1]


def run_fault(fault: Fault, project: Path, green: set[str]) -> Outcome:
    """Try one fault on a scratch copy, which is removed afterwards.

    Args:
        fault: The fault.
        project: Project that was run whole.
        green: Commands that succeeded in a copy of this project; the guard's is added.
    """
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="fault-") as scratch:
        try:
            problem, evidence = try_fault(fault, project, Path(scratch).resolve(), green)
        except (FaultError, CopyError) as error:
            problem, evidence = str(error), ""
    return Outcome(fault, problem, evidence, time.perf_counter() - started)


def print_table(outcomes: Sequence[Outcome]) -> None:
    """Print one row for each fault."""
    print()
    for outcome in outcomes:
        fault, verdict = outcome.fault, "NOT CAUGHT" if outcome.problem else "caught"
        row = f"{fault.ml_test_score}: {ROWS[fault.ml_test_score]}"
        print(f"{fault.name:<20} {verdict:<11} {outcome.seconds:5.1f} s  {row}")


def main() -> int:
    """Try the faults that were named, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--project", type=Path, default=PROJECT, help="one that was run whole")
    parser.add_argument("--list", action="store_true", help="name the faults and stop")
    parser.add_argument("names", nargs="*", metavar="NAME", help="all of them if left out")
    arguments = parser.parse_args()
    try:
        faults = load_library(arguments.names)
        if arguments.list:
            for fault in faults:
                print(f"{fault.name:<20} {fault.title}")
            return 0
        outcomes = []
        green: set[str] = set()
        for fault in faults:
            outcome = run_fault(fault, arguments.project.resolve(), green)
            result = outcome.problem or f"green before, red after: {outcome.evidence}"
            print(f"{fault.name}: {result}", flush=True)
            outcomes.append(outcome)
    except (FaultError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print_table(outcomes)
    return 1 if any(outcome.problem for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
