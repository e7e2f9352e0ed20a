import hashlib
import importlib.util
import json
import os
import py_compile
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from ml_service.features import compute_features
from mlchassis.bundle.bundle import load_bundle, read_pointer
from mlchassis.config.params import Params
from mlchassis.contract.model import Contract
from mlchassis.errors import ProjectError
from mlchassis.evaluation.gates.judgement import RejectedError
from mlchassis.features.code import load_feature_code
from mlchassis.features.encoding import Columns
from mlchassis.file_sums import digest_folder
from mlchassis.paths import Paths
from mlchassis.project import Project, Workspace
from mlchassis.registry import promotion
from mlchassis.registry.promotion import PromotionError, registry_lock
from mlchassis.registry.promotion_history import Intent, promotions
from mlchassis.registry.tracking import TrackingError, Version
from mlchassis.workflow import release

pytestmark = pytest.mark.one_python

FEATURES = load_feature_code(compute_features)

Replace = Callable[..., str]
OpenRegistry = Callable[[Paths], Any]


def release_bundle(paths: Workspace, params: Params) -> str:
    release.judge(paths, params)
    release.register(paths, params)
    promotion = release.promote(paths, None, "a test")
    release.deploy(paths)
    return promotion.version.number


def champion_of(paths: Workspace, open_registry: OpenRegistry) -> str | None:
    model = open_registry(paths).search_registered_models()[0]
    number: str | None = model.aliases.get("champion")
    return None if number is None else str(number)


def versions_of(paths: Workspace, open_registry: OpenRegistry) -> list[str]:
    return [str(version.version) for version in open_registry(paths).search_model_versions()]


def artifacts_of(paths: Workspace, version: Version) -> Path:
    return paths.var / "mlartifacts" / version.run_id / "artifacts"


def intend(paths: Workspace, version: str, before: str | None) -> None:
    """Write the files that a promotion writes before it moves the alias."""
    intent = Intent(
        id="1", time="t", who="w", reason="r", before=before, version=version, digest="d"
    )
    (paths.var / "promotion.json").write_text(intent.model_dump_json())


def test_a_bundle_becomes_what_is_served(
    project: Workspace, params: Params, open_registry: OpenRegistry, contract: Contract
) -> None:
    digest = load_bundle(project.bundle, FEATURES).digest
    assert release_bundle(project, params) == "1"
    pointer = read_pointer(project.store)
    assert pointer is not None
    assert (pointer.digest, pointer.model_version) == (digest, "1")
    model = open_registry(project).get_registered_model(contract.name)
    assert {alias: str(number) for alias, number in model.aliases.items()} == {
        "challenger": "1",
        "champion": "1",
    }
    tags = open_registry(project).get_model_version(contract.name, "1").tags
    assert tags["bundle_digest"] == digest
    assert {"data_md5", "git_commit", "contract_version", "judgement"} <= set(tags)


def test_every_verb_repeated_changes_nothing(
    project: Workspace, params: Params, open_registry: OpenRegistry
) -> None:
    release_bundle(project, params)
    before = read_pointer(project.store)
    assert "the champion itself" in release.judge(project, params).gates[2].sentence
    release_bundle(project, params)
    assert versions_of(project, open_registry) == ["1"]
    assert read_pointer(project.store) == before
    (entry,) = promotions(project)
    assert (entry.before, entry.version, entry.reason) == (None, "1", "a test")


def test_a_rejection_is_written_before_it_stops(
    project: Workspace, params: Params, describe: Callable[[Paths], None]
) -> None:
    place = project.reports / "evaluation.json"
    facts = json.loads(place.read_text())
    facts["metrics"]["ece"]["high"] = 0.9
    place.write_text(json.dumps(facts))
    with pytest.raises(RejectedError, match="calibration: The expected calibration error"):
        release.judge(project, params)
    assert json.loads(project.judgement.read_text())["verdict"] == "rejected"
    with pytest.raises(ProjectError, match="was rejected, so it is not registered"):
        release.register(project, params)


def test_facts_about_another_bundle_are_not_judged(
    project: Workspace, params: Params, replace_bundle: Replace
) -> None:
    facts = (project.reports / "evaluation.json").read_bytes()
    replace_bundle(project)
    (project.reports / "evaluation.json").write_bytes(facts)
    with pytest.raises(ProjectError, match=r"evaluation\.json is about bundle"):
        release.judge(project, params)


def test_a_bundle_without_a_judgement_of_its_own_is_not_registered(
    project: Workspace, params: Params, replace_bundle: Replace
) -> None:
    with pytest.raises(ProjectError, match="was not judged"):
        release.register(project, params)
    release.judge(project, params)
    replace_bundle(project)
    with pytest.raises(ProjectError, match="was not judged"):
        release.register(project, params)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{}", r"^judgement\.json: digest: .* was edited .* run `make judge`\.$"),
        ('{"digest": ', r"^judgement\.json is cut short or was edited; .* run `make judge`\.$"),
    ],
)
def test_an_edited_judgement_is_named(
    text: str, sentence: str, project: Workspace, params: Params
) -> None:
    release.judge(project, params)
    project.judgement.write_text(text)
    with pytest.raises(ProjectError, match=sentence):
        release.register(project, params)


def test_an_equal_challenger_passes_and_a_worse_one_is_rejected(
    project: Workspace, params: Params, replace_bundle: Replace, open_registry: OpenRegistry
) -> None:
    release_bundle(project, params)
    replace_bundle(project)
    assert release_bundle(project, params) == "2"
    replace_bundle(project, opposite=True)
    worse = rf"{params.judge.metric} is \d\S* worse .* champion \(version 2\)"
    with pytest.raises(RejectedError, match=worse):
        release.judge(project, params)
    assert champion_of(project, open_registry) == "2"


def test_going_back_to_an_earlier_bundle_registers_nothing_twice(
    project: Workspace, params: Params, replace_bundle: Replace, open_registry: OpenRegistry
) -> None:
    first = project.root / "first"
    shutil.copytree(project.bundle, first)
    facts = (project.reports / "evaluation.json").read_bytes()
    release_bundle(project, params)
    replace_bundle(project)
    release_bundle(project, params)
    shutil.rmtree(project.bundle)
    first.rename(project.bundle)
    (project.reports / "evaluation.json").write_bytes(facts)
    assert release_bundle(project, params) == "1"
    assert sorted(versions_of(project, open_registry)) == ["1", "2"]
    assert [entry.version for entry in promotions(project)] == ["1", "2", "1"]


def test_a_champion_with_other_features_answers_with_its_own_code(
    project: Workspace, params: Params, replace_bundle: Replace, monkeypatch: pytest.MonkeyPatch
) -> None:
    release_bundle(project, params)
    # As if features.py had been edited since: the champion's bundle is refused by the code here.
    project = edit_features(project)
    replace_bundle(project, features_digest=project.features.digest)
    gate = release.judge(project, params).gates[2]
    assert gate.value == pytest.approx(0, abs=1e-9)


def compute_others(columns: Columns) -> dict[str, Any]:
    """The same features, by another module."""
    return compute_features(columns)


def edit_features(project: Workspace) -> Workspace:
    """The project, with features of another digest."""
    return Workspace(project.root, Project(features=compute_others))


def hostile_line(mark: Path) -> str:
    return f"\nimport pathlib; pathlib.Path({str(mark)!r}).touch()\n"


def append_to_code(model: Path, mark: Path) -> None:
    code = model / "code" / "ml_service" / "__init__.py"
    code.write_text(code.read_text() + hostile_line(mark))


def add_module_beside_code(model: Path, mark: Path) -> None:
    (model / "code" / "pandas.py").write_text(hostile_line(mark))


def name_another_loader(model: Path, mark: Path) -> None:
    (model / "data" / "evil.py").write_text(hostile_line(mark))
    file = model / "MLmodel"
    text = re.sub(r"loader_module: .*", "loader_module: evil", file.read_text())
    file.write_text(text.replace("code: code", "code: data"))


def add_compiled_module(model: Path, _: Path) -> None:
    (model / "code" / "sitecustomize.pyc").write_bytes(b"code")


def link_out_of_the_folder(model: Path, _: Path) -> None:
    (model / "code" / "extra.py").symlink_to("/etc/hostname")


def take_a_file_away(model: Path, _: Path) -> None:
    (model / "requirements.txt").unlink()


@pytest.mark.parametrize(
    "tamper",
    [
        append_to_code,
        add_module_beside_code,
        name_another_loader,
        add_compiled_module,
        link_out_of_the_folder,
        take_a_file_away,
    ],
)
def test_code_that_was_changed_beside_a_registered_model_never_runs(
    tamper: Callable[[Path, Path], None],
    project: Workspace,
    params: Params,
    replace_bundle: Replace,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    release.judge(project, params)
    version = release.register(project, params)
    release.promote(project, None, "a test")
    mark = tmp_path / "was-here"
    tamper(artifacts_of(project, version) / "model", mark)
    # As if features.py had been edited since, as any colleague may.
    project = edit_features(project)
    replace_bundle(project, features_digest=project.features.digest)

    # A link out of the store is refused by MLflow itself.
    with pytest.raises(ProjectError, match=r"tag model_sha256|Failed to download"):
        release.judge(project, params)
    assert not mark.exists()


def test_a_model_that_mlflow_loaded_from_the_store_is_promoted(
    project: Workspace, params: Params
) -> None:
    release.judge(project, params)
    version = release.register(project, params)
    load = (
        "import mlflow; "
        f"mlflow.set_tracking_uri('sqlite:///{project.var}/mlflow.db'); "
        f"mlflow.pyfunc.load_model('models:/{version.name}/1')"
    )
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run([sys.executable, "-c", load], cwd=project.var, env=environment, check=True)
    model = artifacts_of(project, version) / "model"
    assert (model / "registered_model_meta").is_file()
    assert (model / "code" / "__pycache__").is_dir()
    assert release.promote(project, None, "a test").version.number == "1"


def test_bytecode_in_the_store_is_neither_compared_nor_run(
    project: Workspace, params: Params, replace_bundle: Replace, tmp_path: Path
) -> None:
    """Python leaves it there when the model is loaded from a store on this machine."""
    release.judge(project, params)
    version = release.register(project, params)
    code = artifacts_of(project, version) / "model" / "code"
    loader = code / "registered_model.py"
    mark = tmp_path / "was-here"
    hostile = tmp_path / "hostile.py"
    hostile.write_text(hostile_line(mark))
    # Unchecked bytecode: Python would run it without a look at the source beside it.
    py_compile.compile(
        str(hostile),
        cfile=importlib.util.cache_from_source(str(loader)),
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )
    release.promote(project, None, "a test")
    project = edit_features(project)
    replace_bundle(project, features_digest=project.features.digest)
    assert release.judge(project, params).gates[2].value == pytest.approx(0, abs=1e-9)
    assert not mark.exists()


def test_a_run_that_somebody_else_logged_for_a_bundle_is_not_registered(
    project: Workspace,
    params: Params,
    open_registry: OpenRegistry,
    replace_bundle: Replace,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    release.judge(project, params)
    own = release.track(project, params)
    client = open_registry(project)
    run = client.get_run(own)
    model = tmp_path / "forged"
    shutil.copytree(project.var / "mlartifacts" / own / "artifacts" / "model", model)
    mark = tmp_path / "was-here"
    append_to_code(model, mark)
    # Whoever may log a run may also give it every tag, the digest of what it holds among them.
    tags = {**run.data.tags, "model_sha256": digest_folder(model)}
    forged = client.create_run(run.info.experiment_id, tags=tags).info.run_id
    client.log_artifacts(forged, str(model), "model")
    client.set_terminated(forged)
    client.delete_run(own)

    version = release.register(project, params)
    assert version.run_id not in (own, forged)
    release.promote(project, None, "a test")
    project = edit_features(project)
    replace_bundle(project, features_digest=project.features.digest)
    release.judge(project, params)
    assert not mark.exists()


def test_tags_that_were_changed_at_a_run_do_not_reach_its_version(
    project: Workspace, params: Params, open_registry: OpenRegistry
) -> None:
    release.judge(project, params)
    run_id = release.track(project, params)
    client = open_registry(project)
    true = client.get_run(run_id).data.tags
    client.set_tag(run_id, "model_sha256", "f" * 64)
    client.set_tag(run_id, "facts_sha256", "f" * 64)
    version = release.register(project, params)
    assert version.run_id == run_id
    for name in ("model_sha256", "facts_sha256"):
        assert version.tags[name] == true[name] != "f" * 64


def test_code_without_a_digest_in_the_registry_is_not_run(
    project: Workspace,
    params: Params,
    contract: Contract,
    replace_bundle: Replace,
    open_registry: OpenRegistry,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    release.judge(project, params)
    version = release.register(project, params)
    release.promote(project, None, "a test")
    open_registry(project).delete_model_version_tag(contract.name, "1", "model_sha256")
    mark = tmp_path / "was-here"
    append_to_code(artifacts_of(project, version) / "model", mark)
    replace_bundle(project)
    # With the same features the bundle answers, whose digest is a tag of its own.
    assert release.judge(project, params).gates[2].value == pytest.approx(0, abs=1e-9)
    project = edit_features(project)
    replace_bundle(project, features_digest=project.features.digest)
    with pytest.raises(RejectedError, match="own code has no digest in the registry"):
        release.judge(project, params)
    assert not mark.exists()


@pytest.mark.parametrize("name", ["../judgement", "/etc/passwd", "", "A" * 64])
def test_a_judgement_is_named_by_its_digest_and_by_no_path(
    name: str,
    project: Workspace,
    params: Params,
    contract: Contract,
    open_registry: OpenRegistry,
) -> None:
    release.judge(project, params)
    release.register(project, params)
    open_registry(project).set_model_version_tag(contract.name, "1", "judgement_sha256", name)
    with pytest.raises(PromotionError, match="has no judgement"):
        release.promote(project, None, "a test")


def test_a_version_is_promoted_by_a_matching_judgement_alone(
    project: Workspace,
    params: Params,
    contract: Contract,
    replace_bundle: Replace,
    open_registry: OpenRegistry,
) -> None:
    release.judge(project, params)
    version = release.register(project, params)
    client = open_registry(project)
    (judgement,) = (artifacts_of(project, version) / "judgement").iterdir()
    whole = judgement.read_text()
    judgement.write_text(whole.replace("passed", "passed "))
    with pytest.raises(PromotionError, match="changed after registration"):
        release.promote(project, None, "a test")
    judgement.write_text(whole)
    client.set_model_version_tag(contract.name, "1", "bundle_digest", "f" * 64)
    with pytest.raises(PromotionError, match="its judgement is about"):
        release.promote(project, None, "a test")
    client.delete_model_version_tag(contract.name, "1", "judgement_sha256")
    with pytest.raises(PromotionError, match="has no judgement"):
        release.promote(project, None, "a test")
    assert champion_of(project, open_registry) is None


@pytest.mark.parametrize("line", ['{"id": "1", "ti', '{"id": "1", "winner": "2"}', ""])
def test_a_broken_history_stops_a_promotion_before_the_alias_moves(
    project: Workspace,
    params: Params,
    open_registry: OpenRegistry,
    replace_bundle: Replace,
    line: str,
) -> None:
    release_bundle(project, params)
    replace_bundle(project)
    release.judge(project, params)
    release.register(project, params)
    history = project.var / "promotions.jsonl"
    whole = history.read_text()
    history.write_text(f"{whole}{line}\n")
    with pytest.raises(ProjectError, match=r"^var/promotions\.jsonl, line 2, is not a promotion"):
        release.promote(project, None, "a test")
    assert champion_of(project, open_registry) == "1"
    history.write_text(whole)
    assert release.promote(project, None, "a test").moved


def test_a_judgement_of_another_format_is_named(
    project: Workspace, params: Params, open_registry: OpenRegistry, contract: Contract
) -> None:
    release.judge(project, params)
    version = release.register(project, params)
    (judgement,) = (artifacts_of(project, version) / "judgement").iterdir()
    facts = json.loads(judgement.read_text()) | {"format_of_the_future": 2}
    content = json.dumps(facts).encode()
    digest = hashlib.sha256(content).hexdigest()
    judgement.with_name(f"{digest}.json").write_bytes(content)
    client = open_registry(project)
    client.set_model_version_tag(contract.name, "1", "judgement_sha256", digest)
    with pytest.raises(PromotionError, match="in the format of another version of the chassis"):
        release.promote(project, None, "a test")


def test_a_judgement_against_a_former_champion_does_not_count(
    project: Workspace, params: Params, replace_bundle: Replace
) -> None:
    release.judge(project, params)
    release.register(project, params)
    replace_bundle(project)
    release_bundle(project, params)
    with pytest.raises(PromotionError, match="was judged against no champion, but the champion is"):
        release.promote(project, "1", "a test")


def test_a_bundle_that_was_changed_in_the_registry_is_neither_promoted_nor_deployed(
    project: Workspace, params: Params
) -> None:
    release.judge(project, params)
    version = release.register(project, params)
    stored = artifacts_of(project, version) / "model" / "data" / "bundle"
    graph = (stored / "model.onnx").read_bytes()
    (stored / "model.onnx").write_bytes(graph[:-1] + bytes([graph[-1] ^ 1]))
    with pytest.raises(ProjectError, match="do not match its tag model_sha256"):
        release.promote(project, None, "a test")
    (stored / "model.onnx").write_bytes(graph)
    release.promote(project, None, "a test")
    (stored / "model.onnx").unlink()
    with pytest.raises(ProjectError, match="do not match its tag model_sha256"):
        release.deploy(project)
    assert read_pointer(project.store) is None


def test_an_alias_that_was_moved_past_the_gates_is_not_deployed(
    project: Workspace, params: Params, contract: Contract, open_registry: OpenRegistry
) -> None:
    release_bundle(project, params)
    served = read_pointer(project.store)
    client = open_registry(project)
    run = client.get_model_version(contract.name, "1").run_id
    client.create_model_version(contract.name, "nowhere", run, tags={"bundle_digest": "e" * 64})
    client.set_registered_model_alias(contract.name, "champion", "2")
    with pytest.raises(PromotionError, match=r"Version 2 of .* has no judgement"):
        release.deploy(project)
    assert read_pointer(project.store) == served


def test_a_deployed_bundle_that_was_changed_is_put_right(
    project: Workspace, params: Params
) -> None:
    release_bundle(project, params)
    pointer = read_pointer(project.store)
    assert pointer is not None
    (project.store / "bundles" / pointer.digest / "model.onnx").write_bytes(b"other")
    assert release.deploy(project).moved
    assert (
        load_bundle(project.store / "bundles" / pointer.digest, FEATURES).digest == pointer.digest
    )


def test_what_is_not_there_is_named(project: Workspace, params: Params) -> None:
    with pytest.raises(PromotionError, match="has no alias challenger"):
        release.promote(project, None, "a test")
    with pytest.raises(PromotionError, match="has no version 7"):
        release.promote(project, "7", "a test")
    with pytest.raises(ProjectError, match="has no champion; run `make promote`"):
        release.deploy(project)


def test_a_promotion_that_died_after_the_alias_moved_is_finished(
    project: Workspace, params: Params, replace_bundle: Replace
) -> None:
    release_bundle(project, params)
    intend(project, version="1", before=None)
    sentence = release.deploy(project).sentence
    assert sentence.startswith("An interrupted promotion of version 1 was finished.")
    assert [entry.id == "1" for entry in promotions(project)] == [False, True]
    assert "interrupted" not in release.deploy(project).sentence


def test_a_promotion_that_died_before_the_alias_moved_is_undone(
    project: Workspace, params: Params, open_registry: OpenRegistry, replace_bundle: Replace
) -> None:
    release_bundle(project, params)
    replace_bundle(project)
    release.judge(project, params)
    release.register(project, params)
    intend(project, version="2", before="1")
    assert "was undone: it had moved nothing." in release.deploy(project).sentence
    assert champion_of(project, open_registry) == "1"
    assert len(promotions(project)) == 1
    release.promote(project, None, "a test")
    assert champion_of(project, open_registry) == "2"


def test_a_promotion_that_fails_leaves_the_champion(
    project: Workspace,
    params: Params,
    replace_bundle: Replace,
    open_registry: OpenRegistry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from mlchassis.registry.tracking import Tracker

    release_bundle(project, params)
    replace_bundle(project)
    release.judge(project, params)
    release.register(project, params)

    def fail(*_: object) -> None:
        raise TrackingError("The registry went away.")

    with monkeypatch.context() as patched:
        patched.setattr(Tracker, "set_alias", fail)
        with pytest.raises(TrackingError):
            release.promote(project, None, "a test")
    assert champion_of(project, open_registry) == "1"
    assert "was undone" in release.promote(project, None, "a test").sentence
    assert champion_of(project, open_registry) == "2"


HOLDER = """
import sys, time
from pathlib import Path
from mlchassis.paths import Paths
from mlchassis.registry.promotion import registry_lock

with registry_lock(Paths(Path(sys.argv[1]))):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_held_lock_is_named_and_ends_with_its_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(promotion, "_LOCK_SECONDS", 0.2)
    paths = Paths(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with (
            pytest.raises(PromotionError, match=r"held .*registry\.lock for 0\.2 s: a promotion"),
            registry_lock(paths),
        ):
            pass
        holder.kill()
    with registry_lock(paths):
        pass


def test_promotions_at_the_same_time_are_one(project: Workspace, params: Params) -> None:
    release.judge(project, params)
    release.register(project, params)
    with ThreadPoolExecutor(4) as pool:
        moves = list(pool.map(lambda _: release.promote(project, None, "a test").moved, range(4)))
    assert sorted(moves) == [False, False, False, True]
    assert len(promotions(project)) == 1


def promote_two(paths: Workspace, params: Params, replace_bundle: Replace) -> None:
    release_bundle(paths, params)
    replace_bundle(paths)
    release_bundle(paths, params)


def test_a_rollback_restores_and_deploys_the_version_before(
    project: Workspace, params: Params, replace_bundle: Replace, open_registry: OpenRegistry
) -> None:
    promote_two(project, params, replace_bundle)
    done = release.rollback(project, "too many false alarms")
    assert done.moved
    assert "is the champion now; it was version 2" in done.sentence
    assert done.pointer.model_version == champion_of(project, open_registry) == "1"
    last = promotions(project)[-1]
    assert (last.back, last.before, last.version) == (True, "2", "1")
    assert (last.reason, bool(last.who)) == ("too many false alarms", True)
    with pytest.raises(PromotionError, match="no version before version 1"):
        release.rollback(project, "further back")
    assert champion_of(project, open_registry) == "1"


def test_a_reason_that_is_no_text_in_utf_8_is_kept_readable(
    project: Workspace, params: Params
) -> None:
    # As a terminal with another encoding gives it.
    release.judge(project, params)
    release.register(project, params)
    release.promote(project, None, "zur\udcfcck\n")
    assert promotions(project)[-1].reason == r"zur\udcfcck\n"


def test_what_was_rolled_back_from_returns_by_name_alone(
    project: Workspace, params: Params, replace_bundle: Replace, open_registry: OpenRegistry
) -> None:
    promote_two(project, params, replace_bundle)
    release.rollback(project, "too many false alarms")
    release.judge(project, params)
    release.register(project, params)
    with pytest.raises(PromotionError, match=r"rolled back from \(too many .* VERSION=2"):
        release.promote(project, None, "make run")
    release.promote(project, "2", "it was the data")
    replace_bundle(project, params_hash="2" * 64)
    assert release_bundle(project, params) == "3"
    assert release.rollback(project, "again").pointer.model_version == "2"
    assert release.rollback(project, "again").pointer.model_version == "1"


def test_without_a_champion_there_is_nothing_to_go_back_to(project: Workspace) -> None:
    with pytest.raises(PromotionError, match="no version before its first champion"):
        release.rollback(project, "a test")


def test_a_rollback_that_died_before_it_deployed_is_finished_and_goes_no_further(
    project: Workspace, params: Params, replace_bundle: Replace, monkeypatch: pytest.MonkeyPatch
) -> None:
    promote_two(project, params, replace_bundle)
    replace_bundle(project, params_hash="2" * 64)
    release_bundle(project, params)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(release, "deploy_bundle", die)
        with pytest.raises(KeyboardInterrupt):
            release.rollback(project, "a test")
    assert release.rollback(project, "a test").pointer.model_version == "2"
    assert [entry.version for entry in promotions(project)] == ["1", "2", "3", "2"]
    assert release.rollback(project, "a test").pointer.model_version == "1"


def test_a_version_that_the_code_here_cannot_serve_is_not_gone_back_to(
    project: Workspace,
    params: Params,
    replace_bundle: Replace,
    open_registry: OpenRegistry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    promote_two(project, params, replace_bundle)
    project = edit_features(project)
    with pytest.raises(ProjectError, match=r"another features\.py"):
        release.rollback(project, "a test")
    assert champion_of(project, open_registry) == "2"
