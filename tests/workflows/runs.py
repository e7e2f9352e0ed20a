"""Runs of workflows: what starts one, where it runs, and the results of its jobs and steps."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from workflows.node_tools import Expressions

Result = Literal["success", "failure", "skipped"]


class WorkflowError(Exception):
    """A workflow that GitHub would refuse, or that this runner does not know."""


@dataclass
class Step:
    """One executed step.

    Attributes:
        outcome: Result before `continue-on-error`.
        conclusion: Result after it.
    """

    name: str
    outcome: Result = "skipped"
    conclusion: Result = "skipped"
    outputs: dict[str, str] = field(default_factory=dict)
    printed: str = ""


@dataclass
class Job:
    """One job; a job of a matrix holds the steps of all its combinations.

    Attributes:
        permissions: Permissions of its token.
        called: Run of the reusable workflow that the job calls.
    """

    name: str
    result: Result = "skipped"
    outputs: dict[str, str] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    permissions: dict[str, str] = field(default_factory=dict)
    called: "Run | None" = None

    def find(self, name: str) -> Step:
        """Return the step with this name."""
        (found, *_) = [step for step in self.steps if step.name == name]
        return found


@dataclass
class Run:
    """One run of a workflow."""

    jobs: dict[str, Job]
    outputs: dict[str, str]
    summary: str

    @property
    def result(self) -> Result:
        """`failure` if any job failed."""
        failed = any(job.result == "failure" for job in self.jobs.values())
        return "failure" if failed else "success"

    def list_steps(self) -> list[str]:
        """Return the names of the steps that ran, those of called workflows included."""
        names = []
        for job in self.jobs.values():
            names += [step.name for step in job.steps if step.outcome != "skipped"]
            names += job.called.list_steps() if job.called else []
        return names

    def print_all(self) -> str:
        """Return all that the steps printed, for the message of a failed test."""
        lines = []
        for job in self.jobs.values():
            lines += [f"== job {job.name}: {job.result}"]
            for step in job.steps:
                lines += [f"-- {step.name}: {step.outcome}", step.printed]
            lines += [job.called.print_all()] if job.called else []
        return "\n".join(lines)


@dataclass(frozen=True)
class Event:
    """The trigger of a run.

    Attributes:
        inputs: Inputs of a dispatch or a call.
        payload: `github.event`.
    """

    name: str
    inputs: Mapping[str, Any] = field(default_factory=dict)
    payload: Mapping[str, Any] = field(default_factory=dict)
    ref: str = "refs/heads/main"


@dataclass
class Place:
    """Folders and settings of all runs of one test.

    Attributes:
        origin: Repository that is cloned.
        folder: Folder for workspaces, artifacts and scratch files.
        programs: Folder of stand-ins, first on PATH.
        prepare: Called with each fresh clone.
        variables: Repository variables (`vars`).
        environments: Variables and secrets by environment; no secret is the repository's.
        base: Environment variables of all steps.
    """

    origin: Path
    folder: Path
    programs: Path
    prepare: Callable[[Path], None]
    expressions: Expressions
    base: Mapping[str, str]
    variables: dict[str, str] = field(default_factory=dict)
    environments: dict[str, dict[str, str]] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=itertools.count)
    uses: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
