"""From a bundle to what is served: one function per verb, each safe to repeat.

    judge     facts and champion → reports/judgement.json
    track     bundle → an MLflow run
    register  run → a model version, alias `challenger`
    promote   version → alias `champion`
    rollback  the version that was champion before → alias `champion`, and deployed
    deploy    champion → var/deployed, where the service reads it

Everything is keyed by the bundle's digest, so a verb that runs again finds its own work.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from mlchassis.bundle.bundle import (
    Bundle,
    BundleError,
    Pointer,
    deploy_bundle,
    load_bundle,
    read_pointer,
)
from mlchassis.bundle.scorer import Scorer
from mlchassis.config.params import Params
from mlchassis.contract.model import load_contract
from mlchassis.data.tables import read_table
from mlchassis.errors import ProjectError
from mlchassis.evaluation import gates
from mlchassis.evaluation.comparison import Challenge, NotComparableError, measure_gain
from mlchassis.evaluation.gates.context import ChampionFacts, GateContext
from mlchassis.evaluation.gates.judgement import Judgement, RejectedError, load_judgement
from mlchassis.evaluation.gates.latency import measure_latency
from mlchassis.paths import Paths, find_project
from mlchassis.project import Workspace
from mlchassis.registry.logged_runs import read_logged, write_logged
from mlchassis.registry.promotion import (
    CHALLENGER,
    CHAMPION,
    JUDGEMENT_FOLDER,
    JUDGEMENT_HASH_TAG,
    JUDGEMENT_TAG,
    Promotion,
    fetch_bundle,
    move_champion,
    read_passed,
    recover,
    registry_lock,
)
from mlchassis.registry.promotion_history import drop_intent, read_intent
from mlchassis.registry.runs import LoggedRun, describe_provenance, describe_run, read_evaluation
from mlchassis.registry.tracking import Tracker, Version, connect
from mlchassis.reporting import model_report
from mlchassis.workspace.outputs import write_facts


@dataclass(frozen=True, slots=True)
class Deployment:
    """Result of `deploy`, with a sentence for people."""

    pointer: Pointer
    moved: bool
    sentence: str


def judge(paths: Workspace, params: Params) -> Judgement:
    """Check the bundle by every gate, and write `reports/judgement.json`.

    Raises:
        RejectedError: A gate rejects the bundle; the judgement is written all the same.
        ProjectError: The facts are missing, or belong to another bundle.
    """
    bundle = load_bundle(paths.bundle, paths.features)
    evaluation = read_evaluation(paths, bundle)
    tracker = connect(paths, bundle.metadata.name)
    champion = _face_champion(paths, params, bundle, tracker)
    speed = measure_latency(Scorer(bundle, paths.features), params.judge.max_latency_us)
    judgement = gates.judgement.judge(
        GateContext(evaluation, bundle.contract, params, champion, speed),
        paths.project.gates,
    )
    write_facts(paths, paths.judgement, judgement.model_dump(mode="json"))
    if judgement.rejections:
        reasons = " ".join(f"{gate.name}: {gate.sentence}" for gate in judgement.rejections)
        raise RejectedError(f"Bundle {bundle.digest[:12]} is rejected. {reasons}")
    return judgement


def track(paths: Workspace, params: Params) -> str:
    """Log the bundle as one MLflow run, with its judgement if there is one.

    Returns:
        The run's id; the same for the same bundle.
    """
    bundle = load_bundle(paths.bundle, paths.features)
    tracker = connect(paths, bundle.metadata.name)
    with registry_lock(paths):
        known = tracker.find_version(bundle.digest)
        return _track(paths, params, bundle, tracker, known).run_id


def report(paths: Workspace, params: Params) -> list[Path]:
    """Write the model report and the model card of the judged bundle.

    Raises:
        ProjectError: The bundle was not judged.
    """
    bundle = load_bundle(paths.bundle, paths.features)
    return model_report.write_report(paths, params, bundle, read_own_judgement(paths, bundle))


def register(paths: Workspace, params: Params) -> Version:
    """Register the bundle as a version and challenger; a known bundle keeps its version.

    Raises:
        ProjectError: The bundle was not judged, or rejected: such a one is tracked, but no version.
    """
    bundle = load_bundle(paths.bundle, paths.features)
    judgement = read_own_judgement(paths, bundle)
    if judgement.rejections:
        gate = judgement.rejections[0]
        raise ProjectError(
            f"Bundle {bundle.digest[:12]} was rejected, so it is not registered. {gate.name}: "
            f"{gate.sentence}"
        )
    tracker = connect(paths, bundle.metadata.name)
    with registry_lock(paths):
        version = tracker.find_version(bundle.digest)
        run = _track(paths, params, bundle, tracker, version)
        verdict = _judgement_tags(paths, judgement)
        champion = tracker.read_alias(CHAMPION)
        if version is None:
            provenance = describe_provenance(paths, bundle)
            version = tracker.create_version(run.run_id, {**provenance, **verdict, **run.sums})
        elif champion is None or champion.number != version.number:
            # The champion keeps the judgement with which it became champion.
            tracker.tag_version(version, verdict)
        tracker.set_alias(CHALLENGER, version)
    return version


def promote(paths: Workspace, number: str | None, reason: str) -> Promotion:
    """Make a version the champion: the challenger, or the one of that number."""
    tracker = connect(paths, load_contract(paths.contract).name)
    with registry_lock(paths):
        return move_champion(paths, tracker, number, reason)


def rollback(paths: Workspace, reason: str) -> Deployment:
    """Return to the version that was champion before, and deploy it.

    A rollback whose process died in between is finished, and goes no further back.

    Raises:
        ProjectError: There is no version before, or the code here cannot serve it.
    """
    tracker = connect(paths, load_contract(paths.contract).name)
    with registry_lock(paths):
        recovered = recover(paths, tracker)
        if read_intent(paths) is None:
            moved = move_champion(paths, tracker, None, reason, back=True)
            recovered = " ".join(filter(None, (recovered, moved.sentence)))
        return _deploy(paths, tracker, recovered)


def deploy(paths: Workspace) -> Deployment:
    """Copy the champion's bundle to the store that the service reads.

    Raises:
        ProjectError: There is no champion, it was not judged, or its bundle is another one.
    """
    tracker = connect(paths, load_contract(paths.contract).name)
    with registry_lock(paths):
        return _deploy(paths, tracker, recover(paths, tracker))


def load_champion(paths: Paths | None = None) -> Bundle:
    """Return the champion's bundle, as the registry holds it.

    Args:
        paths: The project; that around the current folder if left out.

    Raises:
        ProjectError: There is no champion, or it was changed after registration.
    """
    if paths is None:
        paths = find_project(Path.cwd())
    tracker = connect(paths, load_contract(paths.contract).name)
    with TemporaryDirectory() as scratch:
        return fetch_bundle(tracker, _read_champion(tracker), Path(scratch))


def _read_champion(tracker: Tracker, recovered: str = "") -> Version:
    champion = tracker.read_alias(CHAMPION)
    if champion is None:
        raise ProjectError(f"{recovered}{tracker.name} has no champion; run `make promote` first.")
    return champion


def _deploy(paths: Workspace, tracker: Tracker, recovered: str | None) -> Deployment:
    recovered = f"{recovered} " if recovered else ""
    champion = _read_champion(tracker, recovered)
    what = (
        f"{recovered}Version {champion.number} of {champion.name} (bundle {champion.digest[:12]})"
    )
    pointer = read_pointer(paths.store)
    if pointer is not None and _serves(paths, pointer, champion):
        drop_intent(paths)
        return Deployment(pointer, False, f"{what} is deployed already.")
    # Whoever has the registry's pages can move an alias by hand, past every gate.
    read_passed(tracker, champion)
    with TemporaryDirectory() as scratch:
        fetched = fetch_bundle(tracker, champion, Path(scratch))
        pointer = deploy_bundle(
            fetched.path, paths.store, champion.name, champion.number, paths.features
        )
    drop_intent(paths)
    return Deployment(pointer, True, f"{what} is deployed.")


def _face_champion(
    paths: Workspace, params: Params, bundle: Bundle, tracker: Tracker
) -> ChampionFacts | None:
    version = tracker.read_alias(CHAMPION)
    if version is None:
        return None
    with TemporaryDirectory() as name:
        scratch = Path(name)
        champion = fetch_bundle(tracker, version, scratch)
        facts = (version.number, champion.digest, champion.contract)
        if champion.digest == bundle.digest:
            return ChampionFacts(*facts)
        rows = read_table(paths.splits / "test.parquet")
        challenge = Challenge(bundle, champion, paths.features, paths.project.metrics)
        try:
            count, gain = measure_gain(challenge, rows, params, scratch)
        except NotComparableError as error:
            return ChampionFacts(*facts, obstacle=str(error))
        return ChampionFacts(*facts, gain=gain, rows=count)


def _track(
    paths: Workspace, params: Params, bundle: Bundle, tracker: Tracker, known: Version | None
) -> LoggedRun:
    """The run of a bundle: that of its version, else the one that this project logged, else new.

    A run that merely says that it is the bundle's may be anybody's.
    """
    run = LoggedRun(known.run_id, {}) if known else read_logged(paths, bundle.digest)
    if run is None or not (known or tracker.is_finished(run.run_id)):
        tracker.close_dead_runs(bundle.digest)
        run = tracker.log_run(
            describe_run(paths, params, bundle),
            lambda logged: write_logged(paths, bundle.digest, logged),
        )
    judgement = load_judgement(paths.judgement)
    if judgement is not None and judgement.digest == bundle.digest:
        tags = _judgement_tags(paths, judgement)
        with TemporaryDirectory() as scratch:
            # Named by its content: a version's tag says which of its judgements counts.
            copy = Path(scratch, f"{tags[JUDGEMENT_HASH_TAG]}.json")
            copy.write_bytes(paths.judgement.read_bytes())
            tracker.attach(run.run_id, copy, JUDGEMENT_FOLDER, tags)
        for file in model_report.write_report(paths, params, bundle, judgement):
            tracker.attach(run.run_id, file, "report", {})
    return run


def _judgement_tags(paths: Paths, judgement: Judgement) -> dict[str, str]:
    content = paths.judgement.read_bytes()
    return {
        JUDGEMENT_TAG: judgement.verdict,
        JUDGEMENT_HASH_TAG: hashlib.sha256(content).hexdigest(),
    }


def read_own_judgement(paths: Paths, bundle: Bundle) -> Judgement:
    """Return the judgement of a bundle.

    Raises:
        ProjectError: It was not judged, or another bundle was judged since.
    """
    judgement = load_judgement(paths.judgement)
    if judgement is None or judgement.digest != bundle.digest:
        raise ProjectError(f"Bundle {bundle.digest[:12]} was not judged; run `make judge` first.")
    return judgement


def _serves(paths: Workspace, pointer: Pointer, champion: Version) -> bool:
    """True if the store serves the champion already, from an intact bundle."""
    deployed = (pointer.digest, pointer.model_name, pointer.model_version)
    if deployed != (champion.digest, champion.name, champion.number):
        return False
    try:
        load_bundle(paths.store / "bundles" / pointer.digest, paths.features, champion.digest)
    except BundleError:
        return False
    return True
