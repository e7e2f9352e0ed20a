"""Rules for workflows that no linter knows."""

import re
from typing import Any

_READS_STEP = re.compile(r"steps\.([\w-]+)\.(?:outcome|conclusion)")
_READS_JOB = re.compile(r"needs\.(?:[\w-]+|\*)\.result")
_READS_SECRET = re.compile(r"secrets\.(\w+)")
_RUNS_AFTER_FAILURE = re.compile(r"\b(?:failure|always)\(\)|!\s*cancelled\(\)")


def find_swallowed_failures(workflow: dict[str, Any]) -> list[str]:
    """Return steps and jobs whose condition reads a failure that keeps them from running.

    A condition without a status function stands for `success() && condition`. So it must have
    `failure()` or `always()`, unless the step that it reads may fail (`continue-on-error`).
    """
    found = []
    for name, job in workflow["jobs"].items():
        if _READS_JOB.search(str(job.get("if", ""))) and not _is_reached(job["if"]):
            found.append(name)
        steps = job.get("steps", [])
        forgiven = {step.get("id") for step in steps if step.get("continue-on-error")}
        for step in steps:
            condition = str(step.get("if", ""))
            read = set(_READS_STEP.findall(condition))
            if read - forgiven and not _is_reached(condition):
                found.append(f"{name}: {step.get('name', '?')}")
    return found


def find_missing_secrets(workflows: dict[str, dict[str, Any]]) -> list[str]:
    """Return secrets that a called workflow reads and does not get, as `caller > called: SECRET`.

    GitHub gives a called workflow the secrets that its caller passes by name: those of the
    environment of a job have their values there, but are empty unless they are passed.

    Args:
        workflows: Workflows by the name of their file.
    """
    found = []
    for caller, workflow in workflows.items():
        for job in workflow["jobs"].values():
            if "uses" in job:
                called = job["uses"].rpartition("/")[2]
                read = set(_READS_SECRET.findall(str(workflows[called]["jobs"])))
                declared = (workflows[called]["on"]["workflow_call"] or {}).get("secrets", {})
                missing = read - (job.get("secrets", {}).keys() & declared.keys())
                found += [f"{caller} > {called}: {name}" for name in sorted(missing)]
    return found


def _is_reached(condition: str) -> bool:
    return _RUNS_AFTER_FAILURE.search(condition) is not None
