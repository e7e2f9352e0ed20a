"""`retrain`: train on the newest rows, judge, and promote and deploy what the gates approve.

Every step is safe to repeat: a retraining that was killed ends in the same state when it is run
again.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from mlchassis.bundle.bundle import Bundle, load_bundle
from mlchassis.config.params import Params
from mlchassis.config.yaml_edit import set_values
from mlchassis.contract.model import load_contract
from mlchassis.data.results.ingestion import IngestReport
from mlchassis.errors import ProjectError
from mlchassis.evaluation.gates.judgement import RejectedError
from mlchassis.files import write_bytes, write_text
from mlchassis.paths import Paths
from mlchassis.project import Workspace, read_params
from mlchassis.registry.promotion import CHAMPION, ROLLED_BACK_TAG
from mlchassis.registry.tracking import Tracker, Version, connect
from mlchassis.reports import format_report
from mlchassis.workflow import pipeline, release

Outcome = Literal["nothing_new", "rejected", "registered", "promoted"]
Say = Callable[[str], None]


class Retraining(BaseModel):
    """Result of one retraining, as `var/retraining.json` keeps it.

    Attributes:
        outcome: `nothing_new`: the rows, code and settings are those of the last retraining, or of
            a version that was rolled back from;
            `rejected`: a gate rejects the new model; `registered`: a new challenger, which
            `retrain.promote: false` leaves to a person; `promoted`: a new champion, deployed.
        sentence: One line for people.
        digest: Digest of the bundle that was trained; None if nothing was.
        champion: Digest of the champion's bundle afterwards.
        version: Number of the registered version.
        rejections: Sentence of each gate that rejects, with its name.
        repeats: Outcome of an earlier retraining that came out again; None unless `nothing_new`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    outcome: Outcome
    sentence: str
    digest: str | None = None
    champion: str | None = None
    version: str | None = None
    rejections: tuple[str, ...] = ()
    repeats: Outcome | None = None


def retrain(paths: Workspace, as_of: str | None, say: Say) -> Retraining:
    """Train on all rows up to a month, and replace the champion if the gates approve.

    Args:
        paths: The project.
        as_of: Month (UTC, YYYY-MM) up to which rows are read from now on; it becomes
            `ingest.as_of`. None keeps the setting.
        say: Callback that prints one line to the user.

    Raises:
        ProjectError: The month is not later, or a step fails; running again goes on from there.
    """
    last = read_retraining(paths)
    before = paths.params.read_text(encoding="utf-8")
    months = _read_months(paths)
    advanced = as_of is not None and _advance(paths, as_of)
    if advanced and months is not None:
        lock = _read_bytes(paths.dvc_lock)
        pipeline.repro(paths, say, "ingest")
        if _read_months(paths) == months:
            write_text(paths.params, before)
            _restore(paths.dvc_lock, lock)
            newest = max(months, default="the beginning")
            sentence = f"Nothing new: the source offers no month after {newest} up to {as_of}."
            return _conclude(paths, Retraining(outcome="nothing_new", sentence=sentence))
    pipeline.repro(paths, say)
    return _conclude(paths, _mark_repeated(last, _release(paths, read_params(paths), say)))


def _release(paths: Workspace, params: Params, say: Say) -> Retraining:
    """Judge the bundle, and register, promote and deploy it as far as gates and settings allow."""
    bundle = load_bundle(paths.bundle, paths.features)
    tracker = connect(paths, bundle.metadata.name)
    if _read_champion(tracker) == bundle.digest:
        return _deploy_again(paths, bundle)
    version = tracker.find_version(bundle.digest)
    if version is not None and version.tags.get(ROLLED_BACK_TAG):
        return _leave_rolled_back(tracker, version)
    try:
        judgement = release.judge(paths, params)
    except RejectedError as error:
        # An experiment that failed is still an experiment: nobody should make it twice.
        release.track(paths, params)
        return _reject(paths, bundle, tracker, error)
    say(f"judge: {judgement.summary}")
    version = release.register(paths, params)
    if not params.retrain.promote:
        return Retraining(
            outcome="registered",
            sentence=f"Version {version.number} of {version.name} is the challenger; "
            "`make promote` makes it the champion (retrain.promote is false).",
            digest=bundle.digest,
            champion=_read_champion(tracker),
            version=version.number,
        )
    return _promote(paths, bundle, version.number)


def _leave_rolled_back(tracker: Tracker, version: Version) -> Retraining:
    """Keep the champion: equal rows, code and settings made a version that people left."""
    return Retraining(
        outcome="nothing_new",
        sentence=f"Nothing new: these rows, code and settings give version {version.number} again, "
        f"which was rolled back from ({version.tags[ROLLED_BACK_TAG]}); change one of them, or run "
        f"`make promote VERSION={version.number}` to make it the champion all the same.",
        digest=version.digest,
        champion=_read_champion(tracker),
        version=version.number,
    )


def _reject(paths: Workspace, bundle: Bundle, tracker: Tracker, error: RejectedError) -> Retraining:
    gates = release.read_own_judgement(paths, bundle).rejections
    return Retraining(
        outcome="rejected",
        sentence=str(error),
        digest=bundle.digest,
        champion=_read_champion(tracker),
        rejections=tuple(f"{gate.name}: {gate.sentence}" for gate in gates),
    )


def _promote(paths: Workspace, bundle: Bundle, version: str) -> Retraining:
    promoted = release.promote(paths, version, "make retrain")
    deployed = release.deploy(paths)
    return Retraining(
        outcome="promoted",
        sentence=f"{promoted.sentence} {deployed.sentence}",
        digest=bundle.digest,
        champion=bundle.digest,
        version=version,
    )


def _deploy_again(paths: Workspace, bundle: Bundle) -> Retraining:
    """Finish a retraining that was killed before it deployed, or find that nothing is new."""
    deployed = release.deploy(paths)
    nothing = "Nothing new: the champion was trained on these rows, with this code and settings."
    return Retraining(
        outcome="promoted" if deployed.moved else "nothing_new",
        sentence=deployed.sentence if deployed.moved else nothing,
        digest=bundle.digest,
        champion=bundle.digest,
        version=deployed.pointer.model_version,
    )


def _mark_repeated(last: Retraining | None, result: Retraining) -> Retraining:
    """Turn a result that equals the last one into `nothing_new`."""
    if last is None or (last.digest, last.champion) != (result.digest, result.champion):
        return result
    if result.outcome in ("promoted", "nothing_new"):
        return result
    if result.outcome != (last.repeats or last.outcome):
        return result
    changes = {
        "outcome": "nothing_new",
        "sentence": f"Nothing new since the last retraining. {result.sentence}",
        "repeats": result.outcome,
    }
    return result.model_copy(update=changes)


def _advance(paths: Paths, as_of: str) -> bool:
    """Set `ingest.as_of`; False if it is that month already.

    Raises:
        ProjectError: The table has no event time, or the month lies before `ingest.as_of`.
    """
    params = read_params(paths)
    if load_contract(paths.contract).event_time is None:
        raise ProjectError(
            f"AS_OF is '{as_of}', but the contract has no event time, so rows have no month; run "
            "`make retrain` without AS_OF."
        )
    current = params.ingest.as_of
    if current == as_of:
        return False
    if current is None or as_of < current:
        raise ProjectError(
            f"AS_OF is '{as_of}', but ingest.as_of in params.yaml is "
            f"{current or 'null, which reads every month'}; name a later month, or leave AS_OF out."
        )
    text = paths.params.read_text(encoding="utf-8")
    write_text(paths.params, set_values(text, {"ingest.as_of": (as_of, None)}))
    try:
        read_params(paths)
    except ProjectError:
        write_text(paths.params, text)
        raise ProjectError(f"AS_OF is '{as_of}'; write a month as YYYY-MM, as 2013-09.") from None
    return True


def read_retraining(paths: Paths) -> Retraining | None:
    """Return the result of the last retraining; None if there was none.

    Raises:
        ProjectError: `var/retraining.json` was edited or cut short.
    """
    try:
        return Retraining.model_validate_json(_file(paths).read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError:
        raise ProjectError(
            "var/retraining.json was edited or cut short; delete it and run `make retrain` again."
        ) from None


def _conclude(paths: Paths, result: Retraining) -> Retraining:
    write_text(_file(paths), format_report(result.model_dump(mode="json")))
    return result


def _file(paths: Paths) -> Path:
    return paths.var / "retraining.json"


def _read_champion(tracker: Tracker) -> str | None:
    champion = tracker.read_alias(CHAMPION)
    return champion.digest if champion is not None else None


def _read_months(paths: Paths) -> dict[str, int] | None:
    """Return the rows that have arrived by month; None before the first run."""
    if not (paths.reports / IngestReport.file).exists():
        return None
    return IngestReport.load(paths.reports).months


def _read_bytes(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def _restore(path: Path, content: bytes | None) -> None:
    if content is not None:
        write_bytes(path, content)
