"""Checks of `dvc.yaml` against the project's files, and a small run of its stages."""

import json
from collections.abc import Iterator, Mapping
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest
import yaml

from mlchassis.bundle.bundle import load_bundle
from mlchassis.bundle.scorer import Scorer
from mlchassis.errors import ProjectError
from mlchassis.paths import Paths
from mlchassis.project import Workspace
from mlchassis.testing.checks import ProjectSuite, read_or_fail, require
from mlchassis.testing.small_run import SmallRun, kill_run, run_stages
from mlchassis.workspace.dvc_yaml import PipelineStage, read_pipeline

MANIFEST = "chassis/MANIFEST.json"
DESCRIBED = "reports/source.json"
"""The description of a source's files that `make repro` writes before DVC looks."""
USERS_OF_FEATURES = ("train", "export", "evaluate")
KILLED_STAGE = "export"
"""The stage in which a small run is killed."""

Stages = Mapping[str, PipelineStage]


class PipelineSuite(ProjectSuite):
    """Tests of a project's pipeline."""

    @pytest.fixture(scope="class")
    @classmethod
    def stages(cls, paths: Paths) -> Stages:
        """The stages of dvc.yaml, by name."""
        return read_or_fail(read_pipeline, paths.root / "dvc.yaml").stages

    def test_stages_watch_their_part_of_the_chassis(self, stages: Stages, paths: Paths) -> None:
        """An upgrade of the chassis reruns the stages whose code it changes."""
        manifest = json.loads((paths.root / MANIFEST).read_text(encoding="utf-8"))
        require(find_unwatched(stages, set(manifest["fingerprints"])))

    def test_stages_watch_the_projects_own_code(self, stages: Stages, paths: Paths) -> None:
        """A change in features.py or project.py reruns what uses it."""
        package = Workspace(paths.root, self.project).features_file.parent.name
        require(find_unwatched_code(stages, f"src/{package}"))

    def test_dependencies_exist_or_are_made_by_an_earlier_stage(
        self, stages: Stages, paths: Paths
    ) -> None:
        """DVC refuses a whole pipeline for one path that is not there."""
        require(find_unknown_dependencies(stages, paths.root))

    def test_no_output_is_made_twice_or_lies_in_another(self, stages: Stages) -> None:
        """Two stages would remove each other's files."""
        require(find_overlaps(stages))

    def test_the_parameters_of_stages_exist(self, stages: Stages, paths: Paths) -> None:
        """A misspelled parameter is never seen to change."""
        require(find_unknown_parameters(stages, yaml.safe_load(paths.params.read_text("utf-8"))))

    def test_outputs_are_kept_by_git_or_by_dvc(self, stages: Stages, paths: Paths) -> None:
        """Rows and models belong into DVC's cache, facts into git."""
        ignored = (paths.root / ".gitignore").read_text(encoding="utf-8").splitlines()
        require(find_misplaced_outputs(stages, ignored))

    def test_stored_rows_outlive_a_run(self, stages: Stages) -> None:
        """DVC deletes outputs before a stage runs; months that arrived stay."""
        kept = any(out.path == "data/raw" and out.persist for out in _find(stages, "ingest").outs)
        require([] if kept else ["dvc.yaml: write `- data/raw: {persist: true}` under ingest."])

    def test_dvc_remotes_verify_what_is_pulled(self, paths: Paths) -> None:
        """A file that was replaced in a remote is noticed by its hash."""
        require(find_unverified_remotes(paths.root / ".dvc" / "config"))

    @pytest.fixture(scope="class")
    @classmethod
    def small_run(cls, paths: Paths, tmp_path_factory: pytest.TempPathFactory) -> SmallRun:
        """A run of the stages on generated rows, in a folder of its own."""
        own = Workspace(paths.root, cls.project)
        return SmallRun.prepare(own, tmp_path_factory.mktemp("small") / "project")

    @pytest.fixture(scope="class")
    @classmethod
    def failures(cls, small_run: SmallRun) -> list[str]:
        """Failures of that run; none if it makes a bundle."""
        return find_run_failures(small_run)

    def test_the_stages_run_on_generated_rows(self, failures: list[str]) -> None:
        """Contract, features and parameters make a bundle that answers as training did."""
        require(failures)

    def test_a_killed_run_ends_as_an_undisturbed_one(
        self, paths: Paths, small_run: SmallRun, failures: list[str], tmp_path: Path
    ) -> None:
        """A stage overwrites what a killed run left half done."""
        require(failures)
        own = Workspace(paths.root, self.project)
        killed = SmallRun.prepare(own, tmp_path / "project")
        require(kill_run(own, killed, KILLED_STAGE))
        require(find_run_failures(killed))
        require(find_other_bundle(small_run, killed))


def find_other_bundle(undisturbed: SmallRun, killed: SmallRun) -> Iterator[str]:
    """Yield a sentence if two runs on the same rows made different bundles."""
    bundles = [
        load_bundle(run.workspace.bundle, run.workspace.features) for run in (undisturbed, killed)
    ]
    if bundles[0].digest != bundles[1].digest:
        yield (
            "A run that was killed and repeated makes another bundle than an undisturbed one; a "
            "stage or features.py depends on files that an earlier run left, on time or on chance."
        )


def find_run_failures(run: SmallRun) -> list[str]:
    """Return a sentence if a stage or the bundle it makes refuses generated rows."""
    workspace = run.workspace
    try:
        run_stages(workspace, run.params)
        Scorer(load_bundle(workspace.bundle, workspace.features), workspace.features).check_golden()
    except ProjectError as error:
        return [f"The pipeline stops on generated rows: {error}"]
    return []


def _find(stages: Stages, name: str) -> PipelineStage:
    """Return a stage, empty if there is none of the name."""
    return stages.get(name, PipelineStage())


def find_unwatched(stages: Stages, fingerprints: set[str]) -> Iterator[str]:
    """Yield a sentence for each stage of the chassis without its fingerprint."""
    for name in sorted(fingerprints - set(stages)):
        yield f"dvc.yaml has no stage '{name}', which the chassis has; restore it."
    for name in [name for name in stages if name in fingerprints]:
        if {MANIFEST: [f"fingerprints.{name}"]} not in stages[name].params:
            yield (
                f"dvc.yaml: stage '{name}' does not watch the chassis; add under params: "
                f"`- {MANIFEST}: [fingerprints.{name}]`."
            )


def find_unwatched_code(stages: Stages, package: str) -> Iterator[str]:
    """Yield a sentence for each stage that uses the project's code without depending on it."""
    needed = dict.fromkeys(USERS_OF_FEATURES, ("features.py", "project.py"))
    for name, modules in {"ingest": ("project.py",), **needed}.items():
        for module in modules:
            if f"{package}/{module}" not in _find(stages, name).deps:
                yield f"dvc.yaml: stage '{name}' uses {package}/{module}; list it under deps."


def find_unknown_dependencies(stages: Stages, root: Path) -> Iterator[str]:
    """Yield a sentence for each dependency that nobody makes."""
    made: list[str] = []
    for name, stage in stages.items():
        for dependency in stage.deps:
            is_made = any(dependency == out or dependency.startswith(f"{out}/") for out in made)
            if not is_made and dependency != DESCRIBED and not (root / dependency).is_file():
                yield (
                    f"dvc.yaml: stage '{name}' depends on '{dependency}', which is neither a "
                    "file nor an output of an earlier stage."
                )
        made += [output.path for output in stage.outputs]


def find_overlaps(stages: Stages) -> Iterator[str]:
    """Yield a sentence for each output that is made twice or lies in another."""
    made = [output.path for stage in stages.values() for output in stage.outputs]
    for position, output in enumerate(made):
        for other in made[:position] + made[position + 1 :]:
            if output == other or output.startswith(f"{other}/"):
                yield f"dvc.yaml: output '{output}' is or lies in '{other}'; give it its own path."


def find_unknown_parameters(stages: Stages, params: dict[str, Any]) -> Iterator[str]:
    """Yield a sentence for each parameter that params.yaml does not have."""
    for name, stage in stages.items():
        for dotted in [entry for entry in stage.params if isinstance(entry, str)]:
            place: Any = params
            for part in dotted.split("."):
                place = place.get(part, ...) if isinstance(place, dict) else ...
            if place is ...:
                yield f"dvc.yaml: stage '{name}' watches '{dotted}', which params.yaml lacks."


def find_misplaced_outputs(stages: Stages, ignored: list[str]) -> Iterator[str]:
    """Yield a sentence for each output that both git and DVC keep, or neither."""
    for line in ("/data/*", "/models/*", "/reports/*.html"):
        if line not in ignored:
            yield f".gitignore lacks the line {line}, so git would keep what DVC keeps."
    for stage in stages.values():
        for output in stage.outputs:
            path = output.path
            by_git = not (path.startswith(("data/", "models/")) or path.endswith(".html"))
            if by_git is output.cache:
                keeper = "{cache: false}, since git keeps it" if by_git else "DVC's cache"
                yield f"dvc.yaml: the output '{path}' needs {keeper}."


def find_unverified_remotes(config: Path) -> Iterator[str]:
    """Yield a sentence for each DVC remote that takes whatever lies there."""
    parser = ConfigParser(interpolation=None)
    lines = config.read_text(encoding="utf-8").splitlines()
    parser.read_string("\n".join(map(str.strip, lines)))
    for name in parser.sections():
        if name.startswith("'remote ") and parser[name].get("verify") != "true":
            yield (
                f".dvc/config: {name} takes whatever lies there; run `dvc remote modify NAME "
                "verify true`."
            )
