"""Promotion and rollback: the only code that moves the alias `champion`.

MLflow's aliases have no history and no compare-and-swap. So a promotion is written down as an
intent before the alias is moved, and in a log after; a lock keeps two promotions of one project
apart, and an intent that a killed process left behind is finished or undone by the next one. Which
champion a version replaced is a tag of that version, so that any machine can go back.
"""

import fcntl
import getpass
import hashlib
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

from mlchassis.bundle.bundle import Bundle, OtherBundleError, load_bundle, read_bundle
from mlchassis.errors import ProjectError
from mlchassis.evaluation.gates.judgement import Judgement
from mlchassis.features.code import FeatureCode
from mlchassis.file_sums import FolderError, digest_folder
from mlchassis.files import make_folder
from mlchassis.paths import Paths
from mlchassis.project import Workspace
from mlchassis.registry.promotion_history import (
    Intent,
    drop_intent,
    log_promotion,
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
WITHDRAWN_TAG = "withdrawn"
"""Why a version was rolled back from; empty once it is promoted again."""

_PATIENCE = 60.0


class PromotionError(ProjectError):
    """A version that must not become champion."""


@dataclass(frozen=True, slots=True)
class Promotion:
    """Result of `promote`, with a sentence for people."""

    version: Version
    moved: bool
    sentence: str


@contextmanager
def registry_lock(paths: Paths) -> Iterator[None]:
    """Keeps registrations, promotions and deployments of one project apart.

    The lock belongs to the open file, so it ends with the process, however that ends.

    Raises:
        PromotionError: Another process holds it for longer than a minute.
    """
    place = paths.var / "locks" / "registry.lock"
    make_folder(place.parent, private=True)
    deadline = time.monotonic() + _PATIENCE
    with place.open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise PromotionError(
                        f"Another process has held {place} for a minute: a promotion or a "
                        "deployment is under way; wait for it and try again."
                    ) from None
                time.sleep(0.05)
        yield


def promote(
    paths: Workspace, tracker: Tracker, number: str | None, reason: str, *, back: bool = False
) -> Promotion:
    """Makes a version the champion; the caller holds `registry_lock`.

    Args:
        paths: The project.
        tracker: Its registry.
        number: The version's number; None takes the challenger.
        reason: Why, for the log.
        back: True to return to the version that the champion replaced; `number` is ignored.

    Raises:
        PromotionError: There is no such version, or its judgement does not allow it.
    """
    settled = settle(paths, tracker)
    champion = tracker.read_alias(CHAMPION)
    version = _find_predecessor(tracker, champion) if back else _choose(tracker, number)
    if champion is not None and champion.number == version.number:
        sentence = f"Version {version.number} of {version.name} is the champion already."
        return Promotion(version, moved=False, sentence=" ".join(filter(None, (settled, sentence))))
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
    if champion is not None and back:
        tracker.tag_version(champion, {WITHDRAWN_TAG: reason or "no reason given"})
    elif champion is not None:
        tracker.tag_version(version, {PREDECESSOR_TAG: champion.number, WITHDRAWN_TAG: ""})
    tracker.set_alias(CHAMPION, version)
    _conclude(paths, intent)
    was = f"; it was version {champion.number}" if champion else ""
    sentence = f"Version {version.number} of {version.name} is the champion now{was}."
    return Promotion(version, moved=True, sentence=" ".join(filter(None, (settled, sentence))))


def settle(paths: Paths, tracker: Tracker) -> str | None:
    """Finishes or undoes a promotion whose process died, and says so; None where there was none."""
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
    """Refuses a version without a passed judgement of this very bundle against this very champion.

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
    """The judgement of a version, which must be about its very bundle and have let it pass.

    Raises:
        PromotionError: It does not exist, was changed, is about another bundle, or refused.
    """
    judgement = _read_judgement(tracker, version)
    name = f"Version {version.number} of {version.name}"
    if judgement.digest != version.digest:
        raise PromotionError(
            f"{name} is bundle {version.digest[:12]}, but its judgement is about "
            f"{judgement.digest[:12]}; run `make judge register` again."
        )
    if judgement.verdict != "passed":
        refusal = judgement.refusals[0].sentence if judgement.refusals else ""
        raise PromotionError(f"{name} was refused by its judgement. {refusal}")
    return judgement


def fetch_bundle(tracker: Tracker, version: Version, into: Path) -> Bundle:
    """Downloads a version's MLflow model, and reads the bundle inside.

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
            f"{version.digest[:12]}, but the registry holds {error.found[:12]}; it was changed "
            "after registration: do not use it."
        ) from None


def _remove_load_files(folder: Path) -> None:
    """Removes from a downloaded model what loading it leaves in a store on this machine.

    MLflow loads such a model in place and notes its version beside it, and Python writes bytecode.
    Neither was registered, so it is neither compared nor run.
    """
    (folder / _LOAD_NOTE).unlink(missing_ok=True)
    for cache in list(folder.rglob("__pycache__")):
        if cache.is_dir() and not cache.is_symlink():
            shutil.rmtree(cache)


def _check_model(version: Version, folder: Path) -> None:
    """Compares all that was downloaded with the version's tag, before anything loads it."""
    try:
        digest = digest_folder(folder)
    except FolderError as error:
        digest = str(error)
    if digest != version.tags[MODEL_TAG]:
        raise PromotionError(
            f"The files of version {version.number} of {version.name} in the artefact store do not "
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
    withdrawn = version.tags.get(WITHDRAWN_TAG)
    if withdrawn and number is None:
        raise PromotionError(
            f"Version {version.number} of {version.name} was rolled back from ({withdrawn}); if it "
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
        if version is not None and not version.tags.get(WITHDRAWN_TAG):
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
    return Judgement.model_validate_json(content)


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
