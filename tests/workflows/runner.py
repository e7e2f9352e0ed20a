"""A local runner of GitHub Actions workflows: jobs, steps, conditions, outputs, artifacts.

It executes every `run` step in a fresh clone, with stand-ins for programs that publish. Actions
(`uses`) are replaced by functions; an unknown action, context or function is an error.
"""

import itertools
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from workflows.runs import Event, Job, Place, Result, Run, Step, WorkflowError

STATUS_FUNCTION = re.compile(r"\b(success|failure|always|cancelled)\(\)")
EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
SHELLS = {
    None: ("bash", "-e"),
    "bash": ("bash", "--noprofile", "--norc", "-eo", "pipefail"),
}
STEP_SECONDS = 600.0


def load_workflow(path: Path) -> dict[str, Any]:
    """Load a workflow; YAML 1.1 reads its key `on` as True."""
    document: dict[Any, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    triggers = document.pop(True) if True in document else document["on"]
    if isinstance(triggers, str):
        triggers = {triggers: None}
    if isinstance(triggers, list):
        triggers = dict.fromkeys(triggers)
    document["on"] = triggers
    return document


def run_workflow(place: Place, name: str, event: Event) -> Run:
    """Run a workflow of the repository's main branch, as an event would.

    Raises:
        WorkflowError: The workflow has no such trigger, or uses what the runner does not know.
    """
    source = place.folder / f"source-{next(place.numbers)}"
    clone(place.origin, source)
    return WorkflowRunner(place, source, name, event).run()


def clone(origin: Path, target: Path) -> None:
    """Clone the origin's main branch."""
    command = ["git", "clone", "--quiet", "--branch=main", str(origin), str(target)]
    subprocess.run(command, check=True)


class WorkflowRunner:
    """One run of one workflow."""

    def __init__(
        self,
        place: Place,
        source: Path,
        name: str,
        event: Event,
        *,
        called: bool = False,
        parent: dict[str, str] | None = None,
        passed: frozenset[str] | None = None,
    ) -> None:
        self.place = place
        self.source = source
        self.event = event
        self.document = load_workflow(source / ".github" / "workflows" / name)
        self.artifacts = place.folder / f"artifacts-{next(place.numbers)}"
        self.jobs: dict[str, Job] = {}
        self.summary = ""
        self.parent = parent
        self.passed = passed
        trigger = "workflow_call" if called else event.name
        if trigger not in self.document["on"]:
            raise WorkflowError(f"{name} is not triggered by {trigger}")
        self.inputs = self._read_inputs(self.document["on"][trigger], name)
        self._check_secrets(self.document["on"][trigger], name)

    def _check_secrets(self, trigger: Any, name: str) -> None:
        declared = trigger.get("secrets", {}) if isinstance(trigger, dict) else {}
        unknown = (self.passed or frozenset()) - declared.keys()
        if unknown:
            raise WorkflowError(f"{name} declares no secret {sorted(unknown)}")

    def _read_inputs(self, trigger: Any, name: str) -> dict[str, Any]:
        declared = trigger.get("inputs", {}) if isinstance(trigger, dict) else {}
        unknown = self.event.inputs.keys() - declared.keys()
        if unknown:
            raise WorkflowError(f"{name} has no input {sorted(unknown)}")
        values = {key: each.get("default", "") for key, each in declared.items()}
        values |= self.event.inputs
        missing = [
            key for key, each in declared.items() if each.get("required") and not values[key]
        ]
        if missing:
            raise WorkflowError(f"{name} needs the input {missing}")
        return values

    def run(self) -> Run:
        """Run the jobs, each after those that it needs."""
        waiting = dict(self.document["jobs"])
        while waiting:
            ready = [key for key, job in waiting.items() if self._needs(job) <= self.jobs.keys()]
            if not ready:
                raise WorkflowError(f"jobs need each other: {sorted(waiting)}")
            for key in ready:
                self.jobs[key] = self._run_job(key, waiting.pop(key))
        return Run(self.jobs, self._read_call_outputs(), self.summary)

    def _needs(self, job: dict[str, Any]) -> set[str]:
        needs = job.get("needs", [])
        return {needs} if isinstance(needs, str) else set(needs)

    def _ancestors(self, job: dict[str, Any]) -> set[str]:
        needs = self._needs(job)
        return needs.union(*(self._ancestors(self.document["jobs"][name]) for name in needs))

    def _read_call_outputs(self) -> dict[str, str]:
        call = self.document["on"].get("workflow_call") or {}
        contexts = {"jobs": {key: {"outputs": job.outputs} for key, job in self.jobs.items()}}
        status = make_status("success")
        return {
            name: str(self._fill(output["value"], contexts, status))
            for name, output in call.get("outputs", {}).items()
        }

    def _run_job(self, key: str, job: dict[str, Any]) -> Job:
        contexts = self._job_contexts(job)
        needs = [self.jobs[name].result for name in self._needs(job)]
        ancestors = [self.jobs[name].result for name in self._ancestors(job)]
        status = {
            "success": all(result == "success" for result in needs),
            "failure": "failure" in ancestors,
            "always": True,
            "cancelled": False,
        }
        made = Job(key)
        if not self._is_wanted(job.get("if"), contexts, status):
            return made
        if "uses" in job:
            return self._call(made, job, contexts)
        made.permissions = self._permissions(job)
        results = [
            JobRunner(self, made, job, {**contexts, "matrix": values}).run()
            for values in expand_matrix(job.get("strategy", {}).get("matrix", {}))
        ]
        made.result = "failure" if "failure" in results else "success"
        return made

    def _permissions(self, job: dict[str, Any]) -> dict[str, str]:
        """Return the permissions of a job's token; a caller must grant all of them."""
        wanted: dict[str, str] = job.get("permissions", self.document["permissions"])
        levels = ("none", "read", "write")
        for scope, level in wanted.items() if self.parent is not None else ():
            granted = (self.parent or {}).get(scope, "none")
            if levels.index(level) > levels.index(granted):
                raise WorkflowError(
                    f"the caller grants {scope}: {granted}, but a job needs {level}"
                )
        return wanted

    def _call(self, made: Job, job: dict[str, Any], contexts: dict[str, Any]) -> Job:
        """Run a reusable workflow of this repository."""
        inputs = self._fill_all(job.get("with", {}), contexts, make_status("success"))
        event = Event(self.event.name, inputs, self.event.payload, self.event.ref)
        name = Path(job["uses"]).name
        if job["uses"] != f"$/.github/workflows/{name}":
            raise WorkflowError(f"{job['uses']} is not a workflow of this repository")
        granted = job.get("permissions", self.document.get("permissions"))
        passed = frozenset(job.get("secrets", {}))
        nested = WorkflowRunner(
            self.place, self.source, name, event, called=True, parent=granted, passed=passed
        )
        nested.artifacts = self.artifacts  # one run, whatever workflows it calls
        made.called = nested.run()
        made.result = made.called.result
        made.outputs = made.called.outputs
        self.summary += made.called.summary
        return made

    def _job_contexts(self, job: dict[str, Any]) -> dict[str, Any]:
        needs = {
            name: {"result": self.jobs[name].result, "outputs": self.jobs[name].outputs}
            for name in self._needs(job)
        }
        return {
            "github": self._github(),
            "needs": needs,
            "inputs": self.inputs,
            "vars": dict(self.place.variables),
        }

    def _github(self) -> dict[str, Any]:
        return {
            "event_name": self.event.name,
            "event": {
                "inputs": dict(self.event.inputs),
                "repository": {"default_branch": "main"},
                **self.event.payload,
            },
            "ref": self.event.ref,
            "ref_name": self.event.ref.rpartition("/")[2],
            "sha": "0" * 40,
            "repository": "team/ml-service",
            "repository_owner": "team",
            "run_id": "7",
            "run_attempt": "1",
            "server_url": "https://git.example.org",
            "workflow": self.document["name"],
            "actor": "colleague",
        }

    def _is_wanted(self, condition: Any, contexts: dict[str, Any], status: dict[str, bool]) -> bool:
        text = "success()" if condition is None else str(condition).strip()
        whole = EXPRESSION.fullmatch(text)
        text = whole[1].strip() if whole else text
        if not STATUS_FUNCTION.search(text):
            text = f"success() && ({text})"
        return bool(self.place.expressions.evaluate(text, contexts, status))

    def _fill(self, value: Any, contexts: dict[str, Any], status: dict[str, bool]) -> Any:
        """Replace the expressions in a text by their values."""
        if not isinstance(value, str):
            return value
        whole = EXPRESSION.fullmatch(value.strip())
        if whole and whole[0].count("${{") == 1:
            return self.place.expressions.evaluate(whole[1].strip(), contexts, status)

        def replace(match: re.Match[str]) -> str:
            return show(self.place.expressions.evaluate(match[1].strip(), contexts, status))

        return EXPRESSION.sub(replace, value)

    def _fill_all(
        self, values: Mapping[str, Any], contexts: dict[str, Any], status: dict[str, bool]
    ) -> dict[str, Any]:
        return {key: self._fill(value, contexts, status) for key, value in values.items()}


class JobRunner:
    """One job of one combination of the matrix, in a workspace of its own."""

    def __init__(
        self, run: WorkflowRunner, job: Job, document: dict[str, Any], contexts: dict[str, Any]
    ) -> None:
        self.run_ = run
        self.place = run.place
        self.job = job
        self.document = document
        number = next(run.place.numbers)
        self.workspace = run.place.folder / f"workspace-{number}"
        self.scratch = run.place.folder / f"scratch-{number}"
        for folder in (self.workspace, self.scratch):
            folder.mkdir(parents=True)
        environment = document.get("environment", "")
        name = environment.get("name", "") if isinstance(environment, dict) else environment
        own = run.place.environments.get(run._fill(name, contexts, make_status("success")), {})
        # A called workflow has the secrets of its environment that its caller names, and no others.
        passed = own.keys() if run.passed is None else run.passed & own.keys()
        self.contexts: dict[str, Any] = {
            **contexts,
            "vars": {**contexts["vars"], **own},
            "secrets": {**{name: own[name] for name in passed}, "GITHUB_TOKEN": self.token},
            "runner": {"temp": str(self.scratch), "os": "Linux"},
            "steps": {},
            "job": {"status": "success"},
            "env": {},
        }
        self.contexts["github"] = {**contexts["github"], "token": self.token}
        self.result: Result = "success"
        self.added: dict[str, str] = {}

    @property
    def token(self) -> str:
        """Stand-in for the token: the permissions that it has."""
        return json.dumps(self.job.permissions, sort_keys=True)

    def run(self) -> Result:
        """Run the steps in order."""
        for document in self.document["steps"]:
            step = self._run_step(document)
            self.job.steps.append(step)
            if "id" in document:
                self.contexts["steps"][document["id"]] = {
                    "outcome": step.outcome,
                    "conclusion": step.conclusion,
                    "outputs": step.outputs,
                }
            if step.conclusion == "failure":
                self.result = "failure"
        outputs = self.document.get("outputs", {})
        filled = self.run_._fill_all(outputs, self.contexts, make_status("success"))
        self.job.outputs = {name: show(value) for name, value in filled.items()}
        return self.result

    def _run_step(self, document: dict[str, Any]) -> Step:
        status = make_status(self.result)
        self.contexts["job"] = {"status": self.result}
        name = document.get("name") or document.get("uses") or document["run"].splitlines()[0]
        step = Step(name)
        self.contexts["env"] = self._environment({}, status)
        if not self.run_._is_wanted(document.get("if"), self.contexts, status):
            return step
        variables = self._environment(document.get("env", {}), status)
        self.contexts["env"] = variables
        execute = self._execute if "run" in document else self._use
        step.outcome = "success" if execute(document, variables, status, step) else "failure"
        forgiven = self.run_._fill(document.get("continue-on-error", False), self.contexts, status)
        step.conclusion = "success" if forgiven else step.outcome
        return step

    def _environment(self, own: Mapping[str, Any], status: dict[str, bool]) -> dict[str, str]:
        """Return the variables that workflow, job and step declare."""
        declared = (self.run_.document.get("env", {}), self.document.get("env", {}), own)
        filled: dict[str, str] = {}
        for each in declared:
            values = self.run_._fill_all(each, {**self.contexts, "env": filled}, status)
            filled |= {key: show(value) for key, value in values.items()}
        return {**self.added, **filled}

    def _execute(
        self,
        document: dict[str, Any],
        variables: dict[str, str],
        status: dict[str, bool],
        step: Step,
    ) -> bool:
        """Run a step's script in the workspace and read the files that it wrote for the runner."""
        if "${{" in document["run"]:
            raise WorkflowError(f"the step '{step.name}' has an expression in its script")
        script = self.scratch / "script.sh"
        script.write_text(document["run"], encoding="utf-8")
        files = {
            f"GITHUB_{name}": str(self.scratch / name.lower())
            for name in ("OUTPUT", "ENV", "STEP_SUMMARY", "PATH")
        }
        for file in files.values():
            Path(file).write_text("", encoding="utf-8")
        shell = document.get("shell", self._default_shell())
        folder = self.workspace / document.get("working-directory", ".")
        done = subprocess.run(
            [*SHELLS[shell], str(script)],
            cwd=folder,
            env={**self._base(), **files, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=STEP_SECONDS,
            check=False,
        )
        step.printed = done.stdout
        step.outputs = read_values(Path(files["GITHUB_OUTPUT"]))
        self.added |= read_values(Path(files["GITHUB_ENV"]))
        self.run_.summary += Path(files["GITHUB_STEP_SUMMARY"]).read_text(encoding="utf-8")
        return done.returncode == 0

    def _default_shell(self) -> str | None:
        shell: str | None = self.run_.document.get("defaults", {}).get("run", {}).get("shell")
        return shell

    def _base(self) -> dict[str, str]:
        github = self.contexts["github"]
        return {
            **self.place.base,
            "PATH": f"{self.place.programs}{os.pathsep}{self.place.base['PATH']}",
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_REPOSITORY": github["repository"],
            "GITHUB_RUN_ID": github["run_id"],
            "GITHUB_SERVER_URL": github["server_url"],
            "GITHUB_SHA": github["sha"],
            "GITHUB_REF_NAME": github["ref_name"],
            "GITHUB_WORKSPACE": str(self.workspace),
            "RUNNER_TEMP": str(self.scratch),
        }

    def _use(
        self,
        document: dict[str, Any],
        variables: dict[str, str],
        status: dict[str, bool],
        step: Step,
    ) -> bool:
        """Do an action's work by the function that stands in for it."""
        action = document["uses"].partition("@")[0]
        if action not in ACTIONS:
            raise WorkflowError(f"no function stands in for the action {action}")
        given = self.run_._fill_all(document.get("with", {}), self.contexts, status)
        self.place.uses.append((action, given))
        step.outputs = ACTIONS[action](self, given) or {}
        return True


def check_out(job: JobRunner, given: dict[str, Any]) -> None:
    """Clone the repository; the job's token needs `contents: read`."""
    if job.job.permissions.get("contents") not in ("read", "write"):
        raise WorkflowError(f"the job {job.job.name} checks out without contents: read")
    shutil.rmtree(job.workspace)
    clone(job.place.origin, job.workspace)
    job.place.prepare(job.workspace)


def keep_environment(job: JobRunner, given: dict[str, Any]) -> None:
    """Keep the Python of the tests; the environment of the clone is linked."""


def upload(job: JobRunner, given: dict[str, Any]) -> None:
    """Copy a folder, or the files that a pattern names, to the run's artifacts.

    As GitHub's action does: hidden files are left out; the folder, or the part of the pattern
    before its first wildcard, is the root of the artifact.
    """
    path = job.workspace / given["path"]
    root = path if path.is_dir() else path.parent
    found = root.rglob("*") if path.is_dir() else root.glob(path.name)
    files = [file for file in found if file.is_file() and not is_hidden(file, root)]
    if not files and given.get("if-no-files-found") == "error":
        raise WorkflowError(f"no file matches {given['path']}")
    for file in files:
        copy = job.run_.artifacts / given["name"] / file.relative_to(root)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)


def is_hidden(file: Path, root: Path) -> bool:
    """True if the file or a folder above it within the root has a name that begins with a dot."""
    return any(part.startswith(".") for part in file.relative_to(root).parts)


def download(job: JobRunner, given: dict[str, Any]) -> None:
    """Copy an artifact of the run into the workspace."""
    source = job.run_.artifacts / given["name"]
    if not source.is_dir():
        raise WorkflowError(f"no job uploaded the artifact {given['name']}")
    shutil.copytree(source, job.workspace / given.get("path", "."), dirs_exist_ok=True)


def scan(job: JobRunner, given: dict[str, Any]) -> None:
    """Note the vulnerabilities that the scanner's settings leave out; nothing is scanned here."""
    settings = yaml.safe_load((job.workspace / ".grype.yaml").read_text(encoding="utf-8"))
    given["ignored"] = [each["vulnerability"] for each in settings["ignore"] or ()]


def attest(job: JobRunner, given: dict[str, Any]) -> None:
    """Check what an attestation needs: permissions, a name and a digest."""
    for scope in ("attestations", "id-token"):
        if job.job.permissions.get(scope) != "write":
            raise WorkflowError(f"the job {job.job.name} attests without {scope}: write")
    if not given["subject-name"] or not given["subject-digest"].startswith("sha256:"):
        raise WorkflowError(f"nothing is attested: {given}")


ACTIONS: dict[str, Callable[[JobRunner, dict[str, Any]], dict[str, str] | None]] = {
    "actions/attest-build-provenance": attest,
    "actions/checkout": check_out,
    "actions/setup-python": keep_environment,
    "actions/upload-artifact": upload,
    "anchore/scan-action": scan,
    "actions/download-artifact": download,
}


def make_status(result: Result) -> dict[str, bool]:
    """Return the values of the status functions within a job."""
    failed = result == "failure"
    return {"success": not failed, "failure": failed, "always": True, "cancelled": False}


def expand_matrix(matrix: dict[str, list[Any]]) -> list[dict[str, Any]]:
    """Return the combinations of a matrix; one empty combination without a matrix."""
    if {"include", "exclude"} & matrix.keys():
        raise WorkflowError("the runner does not know include and exclude of a matrix")
    products = itertools.product(*matrix.values())
    return [dict(zip(matrix, values, strict=True)) for values in products]


def read_values(file: Path) -> dict[str, str]:
    """Read `name=value` lines and `name<<end` blocks from a file of a step."""
    values = {}
    lines = iter(file.read_text(encoding="utf-8").splitlines())
    for line in lines:
        name, block, end = line.partition("<<")
        if block and "=" not in name:
            values[name] = "\n".join(itertools.takewhile(lambda each: each != end, lines))  # noqa: B023
        elif line:
            name, equals, value = line.partition("=")
            if not equals:
                raise WorkflowError(f"an output is neither name=value nor a block: {line}")
            values[name] = value
    return values


def show(value: Any) -> str:
    """Write a value as GitHub writes it into a text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value if isinstance(value, str) else json.dumps(value)
