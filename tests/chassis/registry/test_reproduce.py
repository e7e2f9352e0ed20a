"""A version is made again from what its run keeps, or a sentence says why it cannot be.

That it comes out equal is proven on a whole project, by the template that made this one.
"""

import hashlib
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ml_service.features import compute_features
from mlchassis.bundle.bundle import load_bundle
from mlchassis.config.params import Params
from mlchassis.errors import ProjectError
from mlchassis.features.code import load_feature_code
from mlchassis.paths import Paths
from mlchassis.project import Workspace
from mlchassis.registry.reproduce import (
    EvaluatedAnswers,
    RebuildError,
    RebuildOptions,
    _restore_facts,
    compare_answers,
    find_differences,
    read_answers,
    rebuild,
)
from mlchassis.registry.tracking import Tracker, Version, connect
from mlchassis.workflow import release
from mlchassis.workspace.dvc_lock import DvcLock

pytestmark = pytest.mark.one_python
FEATURES = load_feature_code(compute_features)

STORED = EvaluatedAnswers(digest="d", rows=900, predictions_hash="a" * 64)


@pytest.fixture
def tracker(project: Workspace, params: Params) -> Tracker:
    """A registry with one version."""
    release.judge(project, params)
    release.register(project, params)
    return connect(project, load_bundle(project.bundle, FEATURES).metadata.name)


def make_again(paths: Paths, tracker: Tracker, number: str = "1") -> str:
    return rebuild(paths, tracker, number, RebuildOptions(), lambda _: None)


def test_a_version_that_is_not_there_is_named(project: Workspace, tracker: Tracker) -> None:
    with pytest.raises(RebuildError, match="has no version 7"):
        make_again(project, tracker, "7")


def test_a_commit_that_is_not_there_is_named(
    project: Workspace, tracker: Tracker, open_registry: Callable[[Paths], Any]
) -> None:
    open_registry(project).set_model_version_tag(tracker.name, "1", "git_commit", "f" * 40)
    with pytest.raises(RebuildError, match=r"Commit ffffffffffff cannot be checked out .*fetch it"):
        make_again(project, tracker)


def test_a_version_without_its_origin_is_not_rebuilt(
    project: Workspace, tracker: Tracker, open_registry: Callable[[Paths], Any]
) -> None:
    open_registry(project).delete_model_version_tag(tracker.name, "1", "git_commit")
    with pytest.raises(RebuildError, match="has no tag git_commit"):
        make_again(project, tracker)


@pytest.mark.parametrize("commit", ["--orphan=x", "HEAD", "main;id", "../x", ""])
def test_a_commit_that_is_none_is_not_given_to_git(
    commit: str, project: Workspace, tracker: Tracker, open_registry: Callable[[Paths], Any]
) -> None:
    open_registry(project).set_model_version_tag(tracker.name, "1", "git_commit", commit)
    with pytest.raises(RebuildError, match=r"is not a commit|has no tag git_commit"):
        make_again(project, tracker)


@pytest.mark.parametrize("name", ["dvc.lock", "params.yaml", "evaluation.json", "ingest.json"])
def test_facts_that_were_changed_in_the_store_are_not_used(
    name: str, project: Workspace, tracker: Tracker
) -> None:
    version = tracker.read_version("1")
    assert version is not None
    kept = project.var / "mlartifacts" / version.run_id / "artifacts" / name
    kept.write_text(kept.read_text() + " ")
    with pytest.raises(RebuildError, match="do not match its tag facts_sha256"):
        make_again(project, tracker)


def test_a_version_made_of_files_that_were_never_committed_says_so(
    project: Workspace, params: Params
) -> None:
    me = ("-c", "user.name=Somebody", "-c", "user.email=somebody@localhost")
    subprocess.run(["git", "add", "contract.yaml"], cwd=project.root, check=True)
    subprocess.run(["git", *me, "commit", "-qm", "Contract"], cwd=project.root, check=True)
    lock = json.loads(project.dvc_lock.read_text())
    lock["stages"]["validate"] = {"deps": [{"path": "contract.yaml", "md5": "0" * 32}]}
    project.dvc_lock.write_text(json.dumps(lock))
    release.judge(project, params)
    version = release.register(project, params)
    with pytest.raises(RebuildError, match=r"contract\.yaml of the commit is not the file"):
        make_again(project, connect(project, version.name))


def test_a_version_whose_files_were_committed_afterwards_is_made_of_that_commit(
    project: Workspace, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, adopted = project.contract.read_bytes(), project.contract.read_bytes() + b"# Adopted\n"
    digest = hashlib.md5(adopted, usedforsecurity=False).hexdigest()
    lock = json.loads(project.dvc_lock.read_text())
    lock["stages"]["validate"] = {"deps": [{"path": "contract.yaml", "md5": digest}]}
    me = ("-c", "user.name=Somebody", "-c", "user.email=somebody@localhost")

    def commit(content: bytes) -> None:
        project.contract.write_bytes(content)
        for command in (("add", "contract.yaml"), (*me, "commit", "-qm", "Contract")):
            subprocess.run(["git", *command], cwd=project.root, check=True)

    commit(before)
    project.dvc_lock.write_text(json.dumps(lock))
    release.judge(project, params)
    name = release.register(project, params).name
    commit(adopted)
    commit(before + b"# Later\n")
    found: list[bytes] = []

    def stop(_paths: Paths, copy: Paths, *_: Any) -> None:
        found.append(copy.contract.read_bytes())
        raise RebuildError("far enough")

    monkeypatch.setattr(f"{rebuild.__module__}._environment", stop)
    with pytest.raises(RebuildError, match="far enough"):
        make_again(project, connect(project, name))
    assert found == [adopted]


def test_the_inputs_of_a_lock_are_compared_and_what_stages_made_is_not(tmp_path: Path) -> None:
    for name in ("kept.py", "edited.py", "made.json"):
        (tmp_path / name).write_text(name)
    digest = hashlib.md5(b"kept.py", usedforsecurity=False).hexdigest()
    first = {
        "deps": [{"path": "kept.py", "md5": digest}, {"path": "edited.py", "md5": "0"}],
        "outs": [{"path": "made.json", "md5": "1"}],
    }
    second = {"deps": [{"path": "made.json", "md5": "1"}, {"path": "gone.py", "md5": "2"}]}
    lock = DvcLock.model_validate({"stages": {"a": first, "b": second}})
    assert find_differences(tmp_path, lock) == ["edited.py"]


@pytest.mark.parametrize(
    ("fingerprints", "expected"),
    [
        ({"train": "a", "validate": "b", "serve": "c"}, []),
        ({"train": "a", "validate": "other"}, ["chassis/MANIFEST.json"]),
        ({"train": "a"}, ["chassis/MANIFEST.json"]),
        (None, ["chassis/MANIFEST.json"]),
    ],
)
def test_the_fingerprints_of_the_chassis_are_compared(
    fingerprints: dict[str, str] | None, expected: list[str], tmp_path: Path
) -> None:
    (tmp_path / "chassis").mkdir()
    if fingerprints is not None:
        text = json.dumps({"version": "1.0.0", "fingerprints": fingerprints})
        (tmp_path / "chassis" / "MANIFEST.json").write_text(text)
    stages = {
        name: {
            "params": {
                "params.yaml": {"seed": 1},
                "chassis/MANIFEST.json": {f"fingerprints.{name}": value},
            }
        }
        for name, value in {"train": "a", "validate": "b"}.items()
    }
    assert find_differences(tmp_path, DvcLock.model_validate({"stages": stages})) == expected


def test_a_version_made_with_a_chassis_that_was_never_committed_says_so(
    project: Workspace, params: Params
) -> None:
    manifest = project.root / "chassis" / "MANIFEST.json"
    manifest.parent.mkdir()
    manifest.write_text('{"fingerprints": {"train": "committed"}}')
    me = ("-c", "user.name=Somebody", "-c", "user.email=somebody@localhost")
    subprocess.run(["git", "add", "--force", str(manifest)], cwd=project.root, check=True)
    subprocess.run(["git", *me, "commit", "-qm", "Chassis"], cwd=project.root, check=True)
    lock = json.loads(project.dvc_lock.read_text())
    lock["stages"]["train"] = {"params": {"chassis/MANIFEST.json": {"fingerprints.train": "new"}}}
    project.dvc_lock.write_text(json.dumps(lock))
    release.judge(project, params)
    version = release.register(project, params)
    with pytest.raises(RebuildError, match=r"chassis/MANIFEST\.json of the commit is not the file"):
        make_again(project, connect(project, version.name))


def restore_with_threads(folder: Path, params: str) -> str:
    """Restore stored facts into a copy of a project, with 3 threads; return its params.yaml."""
    (folder / "stored").mkdir()
    (folder / "copy").mkdir()
    contents = {"params.yaml": params, "dvc.lock": "", "ingest.json": ""}
    for name, text in contents.items():
        (folder / "stored" / name).write_text(text)
    copy = Paths(folder / "copy")
    _restore_facts(copy, folder / "stored", RebuildOptions(threads=3))
    return copy.params.read_text()


def test_other_threads_are_the_only_change_of_the_parameters(tmp_path: Path) -> None:
    text = "train:  # Own remark\n  trees:\n    threads: 1\n  note: 2013-08-01\n"
    assert restore_with_threads(tmp_path, text) == text.replace("threads: 1", "threads: 3")


def test_parameters_without_threads_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match=r"params\.yaml lacks 'train\.trees\.threads'"):
        restore_with_threads(tmp_path, "train:\n  candidate:\n    threads: 1\n")


def test_other_answers_are_no_rebuild() -> None:
    version = Version("m", "3", "run", {"bundle_digest": "d"})
    same = compare_answers(version, STORED, STORED)
    assert same == (
        "Version 3 of m came out again: equal answers on all 900 test rows (hash aaaaaaaaaaaa), "
        "the same bundle."
    )
    with pytest.raises(RebuildError, match=r"came out otherwise: .* aaaaaaaaaaaa, and now bbbb"):
        compare_answers(version, STORED, STORED.model_copy(update={"predictions_hash": "b" * 64}))


def test_answers_are_read_from_an_evaluation_of_any_chassis(tmp_path: Path) -> None:
    facts = {**STORED.model_dump(), "metrics": {"roc_auc": 0.7}, "of an older chassis": None}
    (tmp_path / "evaluation.json").write_text(json.dumps(facts))
    assert read_answers(tmp_path / "evaluation.json", Version("m", "3", "run", {})) == STORED


@pytest.mark.parametrize(
    ("content", "detail"),
    [
        (None, "it is missing"),
        (b'{"rows": ', "the file: invalid json"),
        (b'{"digest": "d", "rows": 900}', "predictions_hash: field required"),
        (b'{"digest": "d", "rows": 900, "predictions_hash": ""}', "predictions_hash: string"),
    ],
)
def test_an_evaluation_without_answers_is_named(
    tmp_path: Path, content: bytes | None, detail: str
) -> None:
    file = tmp_path / "evaluation.json"
    if content is not None:
        file.write_bytes(content)
    sentence = rf"^evaluation\.json of version 3 of m cannot be .* \({detail}.*\); .* check out"
    with pytest.raises(RebuildError, match=sentence):
        read_answers(file, Version("m", "3", "run", {}))
