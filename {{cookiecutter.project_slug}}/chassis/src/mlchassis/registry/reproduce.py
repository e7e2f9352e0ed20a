"""A registered version made again from its commit, data and parameters, in a folder of its own.

The commit is checked out into a scratch clone that shares the project's git objects and DVC cache,
so a rebuild that is killed leaves nothing in the project. The stored `dvc.lock` says which data it
was and what every other input looked like; a version made of files that were never committed is
told apart from one that does not come out again.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mlchassis.config.yaml_edit import set_values
from mlchassis.errors import ProjectError
from mlchassis.file_sums import digest_files
from mlchassis.paths import Paths
from mlchassis.registry.runs import FACTS_TAG
from mlchassis.registry.tracking import Tracker, Version
from mlchassis.workspace.dvc_lock import DvcLock, LockedStage, read_dvc_lock
from mlchassis.workspace.dvc_remotes import find_stores
from mlchassis.workspace.listings import fetch_listings
from mlchassis.workspace.repository import NO_HOOKS, find_repository, run_git

_FACTS = ("dvc.lock", "params.yaml", "evaluation.json", "ingest.json")
"""Files that a version's run keeps and a rebuild needs."""

_DATA_FORMATS = (".json", ".yaml", ".yml")
"""The files of parameters that are compared."""


class RebuildError(ProjectError):
    """A version that cannot be made again, or that came out otherwise."""


class EvaluatedAnswers(BaseModel):
    """Answers of an evaluation; its other facts may be of another version of the chassis.

    Attributes:
        digest: The bundle's digest.
        rows: Rows of the test split.
        predictions_hash: SHA-256 of the rounded scores.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    digest: str
    rows: int
    predictions_hash: Annotated[str, Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class RebuildOptions:
    """Options of a rebuild.

    Attributes:
        clean: True to make an environment from the commit's requirements even if they equal the
            installed ones.
        threads: Threads of training instead of the stored number; the answers must be the same.
    """

    clean: bool = False
    threads: int | None = None


def rebuild(
    paths: Paths, tracker: Tracker, number: str, options: RebuildOptions, say: Callable[[str], None]
) -> str:
    """Repeat the pipeline of a version and compare its predictions on every test row.

    Args:
        paths: The project.
        tracker: Its registry.
        number: The version's number.
        options: Options of the rebuild.
        say: Callback that prints one line to the user, for each step.

    Returns:
        A sentence: the answers are equal.

    Raises:
        RebuildError: The version cannot be made again, or answers otherwise.
    """
    version = tracker.read_version(number)
    if version is None:
        raise RebuildError(
            f"The model {tracker.name} has no version {number}; see the versions in `make ui`."
        )
    with TemporaryDirectory(prefix="rebuild-") as name:
        scratch = Path(name).resolve()
        stored = _fetch_facts(tracker, version, scratch / "stored")
        commit = version.tags["git_commit"]
        say(f"rebuild: checking out {commit[:12]}")
        clone = scratch / "project"
        copy = Paths(_check_out(paths.root, commit, clone))
        _seek_files(clone, copy.root, commit, stored / "dvc.lock")
        _restore_facts(copy, stored, options)
        environment = _environment(paths, copy, options, say)
        say(f"rebuild: pulling the data {version.tags['data_md5'][:12]}")
        _pull_data(paths, copy, environment)
        say("rebuild: repeating the pipeline from `validate` on")
        _dvc(copy, environment, "repro", "--force", "--no-commit", "--downstream", "validate")
        before, now = (
            read_answers(folder / "evaluation.json", version) for folder in (stored, copy.reports)
        )
        return compare_answers(version, before, now)


def _fetch_facts(tracker: Tracker, version: Version, into: Path) -> Path:
    into.mkdir()
    needed = ("git_commit", "data_md5", FACTS_TAG)
    missing = [key for key in needed if not version.tags.get(key)]
    if missing:
        raise RebuildError(
            f"Version {version.number} of {version.name} has no tag {missing[0]}, so it cannot be "
            "said what it was made of; it was registered by other means than `make register`."
        )
    # git would take what begins with a dash for an option.
    if not re.fullmatch("[0-9a-f]{40,64}", version.tags["git_commit"]):
        raise RebuildError(
            f"The tag git_commit of version {version.number} of {version.name} is not a commit; it "
            "was changed after registration."
        )
    facts = {name: tracker.fetch(version.run_id, name, into) for name in _FACTS}
    if digest_files(facts) != version.tags[FACTS_TAG]:
        raise RebuildError(
            f"{', '.join(_FACTS)} of version {version.number} of {version.name} in the artifact "
            f"store do not match its tag {FACTS_TAG}, so they were changed after registration; "
            "find out who can write there."
        )
    return into


def _check_out(root: Path, commit: str, into: Path) -> Path:
    """Check the commit out into a clone, and return the project's folder in it."""
    top = find_repository(root) or root
    place = root.resolve().relative_to(top.resolve())
    into.mkdir()
    commands: list[tuple[str, ...]] = [
        ("clone", "--quiet", "--shared", "--no-checkout", str(top), "."),
        # Of a larger repository, the project alone is needed.
        ("sparse-checkout", "set", str(place)),
        ("checkout", "--quiet", "--detach", commit),
    ]
    if place == Path():
        del commands[1]
    for command in commands:
        done = run_git(into, *command, settings=[NO_HOOKS], check=False)
        if done.returncode:
            detail = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise RebuildError(
                f"Commit {commit[:12]} cannot be checked out ({detail}); fetch it from where it "
                "was pushed (`git fetch --all`) and try again."
            )
    return into / place


def _seek_files(clone: Path, copy: Path, commit: str, lock: Path) -> None:
    """Check out the next commit that holds the files of a version, if its own does not.

    What `make adopt` writes and makes a version of is committed only when a person has read it.
    """
    stored = read_dvc_lock(lock)
    first = differing = _list_differing(copy, stored)
    listing = ("rev-list", "--reverse", "--all", f"^{commit}", "--", str(copy.relative_to(clone)))
    later = run_git(clone, *listing).stdout.split()
    while differing and later:
        run_git(clone, "checkout", "--quiet", "--detach", later.pop(0), settings=[NO_HOOKS])
        differing = _list_differing(copy, stored)
    if differing:
        raise RebuildError(
            f"{first[0]} of the commit is not the file that the version was made of, nor that of "
            "a later one, so the version cannot be made again; commit before `make run`."
        )


def _list_differing(copy: Path, stored: DvcLock) -> list[str]:
    """List files like `find_differences`; a commit before the project was added has none."""
    if not (copy / "params.yaml").exists():
        return ["params.yaml"]
    return find_differences(copy, stored)


def _restore_facts(copy: Paths, stored: Path, options: RebuildOptions) -> None:
    """Write the files that the run kept into the copy.

    Raises:
        ProjectError: The parameters are older than the setting of threads.
    """
    shutil.copy(stored / "params.yaml", copy.params)
    shutil.copy(stored / "dvc.lock", copy.dvc_lock)
    copy.reports.mkdir(exist_ok=True)
    shutil.copy(stored / "ingest.json", copy.reports)
    if options.threads is not None:
        text = copy.params.read_text(encoding="utf-8")
        text = set_values(text, {"train.trees.threads": (options.threads, None)})
        copy.params.write_text(text, encoding="utf-8")


def find_differences(root: Path, lock: DvcLock) -> list[str]:
    """The files that a `dvc.lock` began with and that have other content here, by their paths.

    Of a file of parameters, such as the manifest of the chassis, only the values that a stage
    depends on are compared.
    """
    stages = lock.stages.values()
    return sorted({*_find_other_files(root, stages), *_find_other_values(root, stages)})


def _find_other_files(root: Path, stages: Iterable[LockedStage]) -> Iterator[str]:
    dependencies: dict[str, str] = {}
    # A rebuild begins with the rows that are stored, and asks no source.
    made: set[str] = {"reports/source.json"}
    for stage in stages:
        dependencies |= {dep.path: dep.md5 for dep in stage.deps if dep.md5}
        made |= {out.path for out in stage.outs}
    for path, expected in dependencies.items():
        file = root / path
        if path not in made and file.is_file() and _hash_file(file) != expected:
            yield path


def _hash_file(file: Path) -> str:
    """The MD5 of a file, as DVC writes it."""
    return hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest()


def _find_other_values(root: Path, stages: Iterable[LockedStage]) -> Iterator[str]:
    for stage in stages:
        for path, expected in stage.params.items():
            # `params.yaml` is restored as it was; another format than these cannot be read as data.
            if path == "params.yaml" or Path(path).suffix not in _DATA_FORMATS:
                continue
            document = _read_data(root / path)
            if any(_look_up(document, key) != value for key, value in expected.items()):
                yield path


def _read_data(file: Path) -> Any:
    """The content of a YAML or JSON file; None where there is none."""
    return yaml.safe_load(file.read_text(encoding="utf-8")) if file.is_file() else None


def _look_up(document: Any, key: str) -> Any:
    """The value under a key whose parts are joined by dots; None where there is none."""
    for part in key.split("."):
        document = document.get(part) if isinstance(document, Mapping) else None
    return document


def _environment(
    paths: Paths, copy: Paths, options: RebuildOptions, say: Callable[[str], None]
) -> dict[str, str]:
    """The variables under which the copy's own code runs, with the packages of its commit."""
    tools, kept = Path(sys.executable).parent, dict(os.environ)
    if options.clean or _requirements(paths.root) != _requirements(copy.root):
        say("rebuild: making an environment from the commit's requirements")
        kept.pop("VIRTUAL_ENV", None)
        done = _ask(copy.root, kept, "make", "setup")
        if done.returncode:
            detail = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise RebuildError(f"The commit's environment cannot be made: {detail}")
        tools = copy.root / ".venv" / "bin"
    # First on the path, the copy's code comes before the project's that is installed.
    return {
        **kept,
        "PATH": f"{tools}{os.pathsep}{kept.get('PATH', '')}",
        "PYTHONPATH": os.pathsep.join(str(copy.root / name) for name in ("src", "chassis/src")),
    }


def _requirements(root: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in (root / "requirements").glob("*.txt")}


def _pull_data(paths: Paths, copy: Paths, environment: Mapping[str, str]) -> None:
    """Data from the project's cache, or else from the remote."""
    local = paths.root / ".dvc" / "config.local"
    if local.exists():
        shutil.copy(local, copy.root / ".dvc")
    cache = _ask(paths.root, environment, "dvc", "cache", "dir").stdout.strip()
    _ask(copy.root, environment, "dvc", "cache", "dir", "--local", cache)
    for name, folder in find_stores(paths.root).folders.items():
        # A remote beside the project is written relative to it.
        remote = ("remote", "modify", "--local", name, "url", str(folder.resolve()))
        _ask(copy.root, environment, "dvc", *remote)
    place = str(copy.raw.relative_to(copy.root))
    if _ask(copy.root, environment, "dvc", "checkout", "--quiet", place).returncode:
        fetch_listings(copy.root)
        pulled = _ask(copy.root, environment, "dvc", "pull", "--quiet", place)
        if pulled.returncode:
            detail = " ".join(pulled.stderr.split())[-200:]
            raise RebuildError(
                f"The data of the version are neither in the cache nor in the remote ({detail}); "
                "push them from where they are with `make push`."
            )


def _ask(
    root: Path, environment: Mapping[str, str] | None, *command: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=root, env=environment, capture_output=True, text=True, check=False
    )


def _dvc(copy: Paths, environment: Mapping[str, str], *arguments: str) -> None:
    if subprocess.call(["dvc", *arguments], cwd=copy.root, env=environment):
        raise RebuildError(
            "The pipeline of the version stopped: the stage above says why; with the same code, "
            "data and parameters it once went through, so look at the machine and the packages."
        )


def read_answers(file: Path, version: Version) -> EvaluatedAnswers:
    """Read the answers of a version from its evaluation.

    Raises:
        RebuildError: There are none that can be compared.
    """
    try:
        return EvaluatedAnswers.model_validate_json(file.read_bytes())
    except FileNotFoundError:
        detail = "it is missing"
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        detail = f"{place}: {first['msg'].lower()}"
    raise RebuildError(
        f"{file.name} of version {version.number} of {version.name} cannot be compared ({detail}); "
        "it may be of another version of the chassis: check out the commit of the version and "
        "rebuild it there."
    )


def compare_answers(version: Version, stored: EvaluatedAnswers, repeated: EvaluatedAnswers) -> str:
    """A sentence about two evaluations of one version.

    Raises:
        RebuildError: The answers are not the same.
    """
    before = stored.predictions_hash
    now = repeated.predictions_hash
    if before != now:
        raise RebuildError(
            f"Version {version.number} of {version.name} came out otherwise: its answers on "
            f"{stored.rows} test rows had the hash {before[:12]}, and now {now[:12]} on "
            f"{repeated.rows}; something besides commit, data and parameters shapes the model, "
            "such as a missing seed or a package that is not pinned."
        )
    same = "the same bundle" if repeated.digest == version.digest else "in another bundle"
    return (
        f"Version {version.number} of {version.name} came out again: equal answers on all "
        f"{repeated.rows:,} test rows (hash {now[:12]}), {same}."
    )
