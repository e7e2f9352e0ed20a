"""Two registered versions side by side: metrics, the rows whose answer changes, slices."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlchassis.bundle.bundle import Bundle
from mlchassis.config.params import Params
from mlchassis.contract.model import class_name
from mlchassis.data.tables import read_table
from mlchassis.errors import ProjectError
from mlchassis.evaluation.bootstrap import group_rows
from mlchassis.evaluation.comparison import (
    Challenge,
    NotComparableError,
    answer_rows,
    unseen_rows,
)
from mlchassis.evaluation.confusion import decide as choose_classes
from mlchassis.evaluation.evaluate import measure_all
from mlchassis.evaluation.metrics import Floats, encode_target, metrics_for
from mlchassis.evaluation.slices import compare_slices, find_slices
from mlchassis.extensions.metrics import CustomMetric
from mlchassis.formatting import format_interval
from mlchassis.project import Workspace
from mlchassis.registry.promotion import fetch_bundle
from mlchassis.registry.tracking import Tracker, Version
from mlchassis.workspace.outputs import write_facts

_SHOWN = 10
_MOVED = 1e-6
"""A number that moves by less is the same answer."""


def compare(paths: Workspace, params: Params, tracker: Tracker, a: str, b: str) -> dict[str, Any]:
    """Asks two versions about the test rows that neither has seen; writes what it finds.

    Args:
        paths: The project; `reports/comparison.json` is written there.
        params: Settings of the comparison.
        tracker: Its registry.
        a: A version's number or alias: the one that is there.
        b: Bundle of the possible successor.

    Raises:
        ProjectError: There is no such version, or the two cannot be compared.
    """
    versions = [_find_version(tracker, name) for name in (a, b)]
    with TemporaryDirectory() as name:
        folders = [Path(name, side) for side in "ab"]
        for folder in folders:
            folder.mkdir()
        old, new = (
            fetch_bundle(tracker, version, folder)
            for version, folder in zip(versions, folders, strict=True)
        )
        challenge = Challenge(new, old, paths.features, paths.project.metrics)
        rows = _choose_rows(challenge, read_table(paths.splits / "test.parquet"))
        before, after = (
            answer_rows(bundle, rows, folder, f"Version {version.number}'s", paths.features)
            for bundle, version, folder in zip((old, new), versions, folders, strict=True)
        )
    facts = {
        **{
            side: {"version": version.number, "digest": version.digest}
            for side, version in zip("ab", versions, strict=True)
        },
        "rows": len(rows),
        **_measure(new, rows, before, after, params, paths.project.metrics),
        "churn": count_changes(decide(old, before), decide(new, after), before, after),
    }
    write_facts(paths, paths.reports / "comparison.json", facts)
    return facts


def decide(bundle: Bundle, scores: Floats) -> NDArray[Any]:
    """Answers for some scores of a bundle: classes, or numbers."""
    if not bundle.metadata.classes:
        return scores[:, 0]
    words = np.array([class_name(label) for label in bundle.metadata.classes])
    answers: NDArray[Any] = words[choose_classes(scores, bundle.metadata.threshold)]
    return answers


def count_changes(
    before: NDArray[Any], after: NDArray[Any], scores: Floats, other: Floats
) -> dict[str, Any]:
    """Count the rows whose answer changes, by old and new answer, and the score shifts."""
    numbers = np.issubdtype(before.dtype, np.number)
    moved = np.abs(after - before) > _MOVED if numbers else before != after
    pairs = [] if numbers else list(zip(before[moved], after[moved], strict=True))
    return {
        "rows": int(moved.sum()),
        "share": float(moved.mean()),
        "changes": [
            {"from": str(old), "to": str(new), "rows": count}
            for (old, new), count in Counter(pairs).most_common()
        ],
        "mean_move": float(np.abs(scores - other).max(axis=1).mean()),
    }


def describe(facts: Mapping[str, Any]) -> Iterator[str]:
    """The comparison as lines for a terminal."""
    a, b = (f"version {facts[side]['version']}" for side in "ab")
    yield f"{b} against {a}, on {facts['rows']:,} test rows that neither has seen"
    yield f"{'metric':<10} {a:>12} {b:>12}   {b} is better by"
    for name, found in facts["metrics"].items():
        gain = _spell(found["gain"])
        yield f"{name:<10} {found['a']['value']:>12.4f} {found['b']['value']:>12.4f}   {gain}"
    churn = facts["churn"]
    yield (
        f"churn: {churn['rows']:,} rows ({churn['share']:.2%}) get another answer; scores move by "
        f"{churn['mean_move']:.4f} on average"
    )
    for change in churn["changes"]:
        yield f"  from {change['from']} to {change['to']}: {change['rows']:,} rows"
    for part in facts["slices"][:_SHOWN]:
        where = ", ".join(f"{column} {label}" for column, label in part["where"].items())
        values = f"{part['other']:>8.4f} {part['value']:>8.4f}   {_spell(part['gain'])}"
        yield f"slice {where} ({part['rows']:,} rows): {values}"
    if len(facts["slices"]) > _SHOWN:
        yield f"and {len(facts['slices']) - _SHOWN} better slices, in reports/comparison.json"


def _find_version(tracker: Tracker, name: str) -> Version:
    version = tracker.read_version(name) if name.isdigit() else tracker.read_alias(name)
    if version is None:
        raise ProjectError(
            f"The model {tracker.name} has no version or alias '{name}'; see them in `make ui`, "
            "and name two: make compare A=1 B=2."
        )
    return version


def _choose_rows(challenge: Challenge, rows: pd.DataFrame) -> pd.DataFrame:
    if challenge.candidate.metadata.classes != challenge.champion.metadata.classes:
        raise NotComparableError("The two predict different targets; they cannot be compared.")
    chosen = unseen_rows(rows, challenge.candidate, challenge.champion)
    if chosen.empty:
        raise NotComparableError(
            "One of the two has seen every row of the test window; wait for newer data."
        )
    return chosen


def _measure(
    bundle: Bundle,
    rows: pd.DataFrame,
    before: Floats,
    after: Floats,
    params: Params,
    custom: Sequence[CustomMetric],
) -> dict[str, Any]:
    contract, settings = bundle.contract, params.evaluate
    target = encode_target(rows[contract.target.name].to_numpy(), contract.classes)
    groups = group_rows(rows, contract, params.split)
    scores = {"candidate": after, "a": before}
    found = measure_all(contract, target, scores, groups, settings, params.seed, custom)
    slices = compare_slices(
        find_slices(rows, [c.name for c in contract.reported_slices], settings.min_slice_rows),
        metrics_for(contract.task, settings.calibration_bins, custom)[params.judge.metric],
        target,
        after,
        before,
        groups,
        **params.resampling,
    )
    metrics = {
        name: {"a": found["baselines"]["a"][name], "b": value, "gain": found["gains"]["a"][name]}
        for name, value in found["metrics"].items()
    }
    return {"metric": params.judge.metric, "metrics": metrics, "slices": slices}


def _spell(gain: Mapping[str, float]) -> str:
    return format_interval(gain, signed=True)
