"""Promotion and rollback: the only code that moves the alias `champion`.

MLflow's aliases have no history and no compare-and-swap. So a promotion is written down as an
intent before the alias is moved, and in a log after; a lock keeps two promotions of one project
apart, and an intent that a killed process left behind is finished or undone by the next one. Which
champion a version replaced is a tag of that version, so that any machine can go back.
"""

import getpass
import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

from filelock import FileLock, Timeout
from pydantic import ValidationError

from mlchassis.bundle.bundle import Bundle, OtherBundleError, load_bundle, read_bundle
from mlchassis.errors import ProjectError
from mlchassis.evaluation.gates.judgement import Judgement
from mlchassis.features.code import FeatureCode
from mlchassis.file_sums import FolderError, digest_folder
from mlchassis.files import make_folder
from mlchassis.paths import Paths
from mlchassis.printable import printable
from mlchassis.project import Workspace
from mlchassis.registry.promotion_history import (
    Intent,
    drop_intent,
    log_promotion,
    promotions,
    read_intent,
    write_intent,
)
from mlchassis.registry.runs import MODEL_TAG
from mlchassis.registry.tracking import BUNDLE, Tracker, Version

_LOAD_NOTE = "registered_model_meta"
"""The file in which MLflow notes name and version of a model that it loads."""

CHALLENGER = "challenger"
CHAMPION = "champion"
JUDGEMENT_FOLDER = "judgement"
JUDGEMENT_TAG = "judgement"
JUDGEMENT_HASH_TAG = "judgement_sha256"
PREDECESSOR_TAG = "champion_before"
"""Number of the champion that a version replaced."""
ROLLED_BACK_TAG = "rolled_back"
"""Why a version was rolled back from; empty once it is promoted again."""

_LOCK_SECONDS = 60.0


class PromotionError(ProjectError):
    """A version that must not become champion."""


@dataclass(frozen=True, slots=True)
class Promotion:
    """Result of `move_champion`, with a sentence for people."""

    version: Version
    moved: bool
    sentence: str


@contextmanager
def registry_lock(paths: Paths) -> Iterator[None]:
    """Serialize registrations, promotions and deployments of one project.

    The lock belongs to the open file, so it ends with the process, however that ends.

    Raises:
        PromotionError: Another process holds it for longer than a minute.
    """
    place = paths.var / "locks" / "registry.lock"
    make_folder(place.parent, private=True)
    lock = FileLock(place)
    try:
        lock.acquire(timeout=_LOCK_SECONDS)
    except Timeout:
        raise PromotionError(
            f"Another process has held {place} for {_LOCK_SECONDS:g} s: a promotion or a "
            "deployment is under way; wait for it and try again."
        ) from None
    try:
        yield
    finally:
        lock.release()


def move_champion(
    paths: Workspace, tracker: Tracker, number: str | None, reason: str, *, back: bool = False
) -> Promotion:
    """Make a version the champion; the caller holds `registry_lock`.

    Args:
        paths: The project.
        tracker: Its registry.
        number: The version's number; None takes the challenger.
        reason: Why, for the log.
        back: True to return to the version that the champion replaced; `number` is ignored.

    Raises:
        PromotionError: There is no such version, or its judgement does not allow it.
    """
    # A broken history is reported before the alias moves.
    promotions(paths)
    reason = printable(reason)
    recovered = recover(paths, tracker)
    champion = tracker.read_alias(CHAMPION)
    version = _find_predecessor(tracker, champion) if back else _choose(tracker, number)
    if champion is not None and champion.number == version.number:
        sentence = f"Version {version.number} of {version.name} is the champion already."
        return Promotion(version, moved=False, sentence=_join(recovered, sentence))
    check_promotable(tracker, version, champion, paths.features, back=back)
    intent = Intent(
        id=uuid4().hex,
        time=datetime.now(UTC).isoformat(timespec="seconds"),
        who=_who(),
        reason=reason,
        before=champion.number if champion else None,
        version=version.number,
        digest=version.digest,
        back=back,
    )
    write_intent(paths, intent)
    _tag_versions(tracker, version, champion, reason, back=back)
    tracker.set_alias(CHAMPION, version)
    _conclude(paths, intent)
    was = f"; it was version {champion.number}" if champion else ""
    sentence = f"Version {version.number} of {version.name} is the champion now{was}."
    return Promotion(version, moved=True, sentence=_join(recovered, sentence))


def _tag_versions(
    tracker: Tracker, version: Version, champion: Version | None, reason: str, *, back: bool
) -> None:
    """Tag the champion as rolled back, or the new version with its predecessor."""
    if champion is None:
        return
    if back:
        tracker.tag_version(champion, {ROLLED_BACK_TAG: reason or "no reason given"})
    else:
        tracker.tag_version(version, {PREDECESSOR_TAG: champion.number, ROLLED_BACK_TAG: ""})


def _join(recovered: str | None, sentence: str) -> str:
    return f"{recovered} {sentence}" if recovered else sentence


def recover(paths: Paths, tracker: Tracker) -> str | None:
    """Finish or undo a promotion whose process died; return a sentence, or None without one."""
    intent = read_intent(paths)
    if intent is None:
        return None
    champion = tracker.read_alias(CHAMPION)
    if champion is not None and champion.number == intent.version:
        _conclude(paths, intent)
        return f"An interrupted promotion of version {intent.version} was finished."
    drop_intent(paths)
    return f"An interrupted promotion of version {intent.version} was undone: it had moved nothing."


def check_promotable(
    tracker: Tracker,
    version: Version,
    champion: Version | None,
    features: FeatureCode,
    *,
    back: bool,
) -> None:
    """Reject a version without a passed judgement of its bundle against the champion.

    Going back, the judgement was against a former champion, and the code that is installed here
    must be able to serve the bundle.

    Raises:
        PromotionError: Something does not match; the sentence says what.
    """
    judgement = read_passed(tracker, version)
    if not back and judgement.champion != (champion.digest if champion else None):
        against = f"{judgement.champion[:12]}" if judgement.champion else "no champion"
        raise PromotionError(
            f"Version {version.number} of {version.name} was judged against {against}, but the "
            "champion is another bundle now; run `make judge register` again."
        )
    with TemporaryDirectory() as scratch:
        bundle = fetch_bundle(tracker, version, Path(scratch))
        if back:
            load_bundle(bundle.path, features)


def read_passed(tracker: Tracker, version: Version) -> Judgement:
    """Return the judgement of a version, which must be about its bundle and have passed.

    Raises:
        PromotionError: It does not exist, was changed, is about another bundle, or rejected it.
    """
    judgement = _read_judgement(tracker, version)
    name = f"Version {version.number} of {version.name}"
    if judgement.digest != version.digest:
        raise PromotionError(
            f"{name} is bundle {version.digest[:12]}, but its judgement is about "
            f"{judgement.digest[:12]}; run `make judge register` again."
        )
    if judgement.verdict != "passed":
        reason = judgement.rejections[0].sentence if judgement.rejections else ""
        raise PromotionError(f"{name} was rejected by its judgement. {reason}")
    return judgement


def fetch_bundle(tracker: Tracker, version: Version, into: Path) -> Bundle:
    """Download a version's MLflow model, and read the bundle inside.

    The code that was logged with it is among the files only where the version has their digest:
    see `comparison.answer_rows`, which runs it.

    Raises:
        PromotionError: It is not what was registered.
    """
    if MODEL_TAG in version.tags:
        model, _, inside = BUNDLE.partition("/")
        folder = tracker.fetch(version.run_id, model, into)
        _remove_load_files(folder)
        _check_model(version, folder)
        place = folder / inside
    else:
        place = tracker.fetch(version.run_id, BUNDLE, into)
    try:
        return read_bundle(place, version.digest)
    except OtherBundleError as error:
        raise PromotionError(
            f"Version {version.number} of {version.name} is tagged as bundle "
            f"{version.digest[:12]}, but the registry holds {error.actual[:12]}; it was changed "
            "after registration: do not use it."
        ) from None


def _remove_load_files(folder: Path) -> None:
    """Remove the files that loading a model leaves beside it in a store on this machine.

    MLflow loads such a model in place and writes its version beside it, and Python writes bytecode.
    Neither was registered, so neither is compared or run.
    """
    (folder / _LOAD_NOTE).unlink(missing_ok=True)
    for cache in list(folder.rglob("__pycache__")):
        if cache.is_dir() and not cache.is_symlink():
            shutil.rmtree(cache)


def _check_model(version: Version, folder: Path) -> None:
    """Compare all downloaded files with the version's tag, before anything loads them."""
    try:
        digest = digest_folder(folder)
    except FolderError as error:
        digest = str(error)
    if digest != version.tags[MODEL_TAG]:
        raise PromotionError(
            f"The files of version {version.number} of {version.name} in the artifact store do not "
            f"match its tag {MODEL_TAG}, so they were changed after registration; do not load "
            "them, find out who can write there, and register the bundle again from its commit."
        )


def _choose(tracker: Tracker, number: str | None) -> Version:
    version = tracker.read_version(number) if number else tracker.read_alias(CHALLENGER)
    if version is None:
        what = f"version {number}" if number else f"alias {CHALLENGER}"
        raise PromotionError(
            f"The model {tracker.name} has no {what}; run `make register`, or look in `make ui`."
        )
    reason = version.tags.get(ROLLED_BACK_TAG)
    if reason and number is None:
        raise PromotionError(
            f"Version {version.number} of {version.name} was rolled back from ({reason}); if it "
            f"shall be champion all the same, run `make promote VERSION={version.number}`."
        )
    return version


def _find_predecessor(tracker: Tracker, champion: Version | None) -> Version:
    """The version that the champion replaced; those that were rolled back from are left out."""
    seen: set[str] = set()
    version = champion
    while version is not None and version.number not in seen:
        seen.add(version.number)
        number = version.tags.get(PREDECESSOR_TAG)
        version = tracker.read_version(number) if number else None
        if version is not None and not version.tags.get(ROLLED_BACK_TAG):
            return version
    raise PromotionError(
        f"{tracker.name} has no version before "
        f"{f'version {champion.number}' if champion else 'its first champion'}, so there is "
        "nothing to go back to; see the versions in `make ui`."
    )


def _read_judgement(tracker: Tracker, version: Version) -> Judgement:
    name = f"Version {version.number} of {version.name}"
    expected = version.tags.get(JUDGEMENT_HASH_TAG)
    # It is a file's name too.
    if expected is None or not re.fullmatch("[0-9a-f]{64}", expected):
        raise PromotionError(f"{name} has no judgement; run `make judge register`.")
    with TemporaryDirectory() as scratch:
        artifact = f"{JUDGEMENT_FOLDER}/{expected}.json"
        content = tracker.fetch(version.run_id, artifact, Path(scratch)).read_bytes()
    if hashlib.sha256(content).hexdigest() != expected:
        raise PromotionError(
            f"{name} has a judgement that was changed after registration; run `make judge "
            "register`."
        )
    try:
        return Judgement.model_validate_json(content)
    except ValidationError:
        raise PromotionError(
            f"{name} has a judgement in the format of another version of the chassis; run `make "
            "judge register` with its bundle, or take the version of the chassis that judged it."
        ) from None


def _conclude(paths: Paths, intent: Intent) -> None:
    log_promotion(paths, intent)
    if not intent.back:
        drop_intent(paths)


def _who() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # A container's user may have no name.
        return str(os.getuid())
