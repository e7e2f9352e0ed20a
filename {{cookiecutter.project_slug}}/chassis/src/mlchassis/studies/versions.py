"""Two registered versions side by side: metrics, the rows whose answer changes, slices."""

from collections import Counter
from collections.abc import Iterator, Sequence
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
from mlchassis.evaluation import confusion
from mlchassis.evaluation.bootstrap import group_rows
from mlchassis.evaluation.comparison import (
    Challenge,
    NotComparableError,
    answer_rows,
    unseen_rows,
)
from mlchassis.evaluation.evaluate import Measurements, measure_all
from mlchassis.evaluation.metrics import Floats, encode_target, metrics_for
from mlchassis.evaluation.results import SliceGain
from mlchassis.evaluation.slices import compare_slices, find_slices, name_rows
from mlchassis.extensions.metrics import CustomMetric
from mlchassis.formatting import format_interval, format_number
from mlchassis.project import Workspace
from mlchassis.registry.promotion import fetch_bundle
from mlchassis.registry.tracking import Tracker, Version
from mlchassis.studies.results import (
    AnswerChange,
    Churn,
    ComparedVersion,
    MetricPair,
    VersionComparison,
)
from mlchassis.workspace.outputs import write_facts

_SHOWN_SLICES = 10
_SMALLEST_CHANGE = 1e-6
"""A number that changes by less, in units of the targets' spread, is the same answer."""


def compare(
    paths: Workspace, params: Params, tracker: Tracker, a: str, b: str
) -> VersionComparison:
    """Score the test rows that neither of two versions has seen, and write the comparison.

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
    unit = new.metadata.unit
    comparison = VersionComparison(
        a=_name_version(versions[0]),
        b=_name_version(versions[1]),
        rows=len(rows),
        metric=params.judge.metric,
        metrics=_pair_metrics(_measure(new, rows, before, after, params, challenge.metrics)),
        slices=_measure_slices(new, rows, before, after, params, challenge.metrics),
        churn=count_changes(decide(old, before), decide(new, after), before, after, unit),
    )
    write_facts(paths, paths.reports / "comparison.json", comparison.model_dump(by_alias=True))
    return comparison


def decide(bundle: Bundle, scores: Floats) -> NDArray[Any]:
    """Return the predictions of a bundle for scores: classes, or numbers."""
    if not bundle.metadata.classes:
        return scores[:, 0]
    names = np.array([class_name(label) for label in bundle.metadata.classes])
    answers: NDArray[Any] = names[confusion.decide(scores, bundle.metadata.threshold)]
    return answers


def count_changes(
    before: NDArray[Any],
    after: NDArray[Any],
    scores: Floats,
    other: Floats,
    unit: float = 1.0,
) -> Churn:
    """Count the rows whose answer changes, by old and new answer, and the score shifts.

    Args:
        before: Answers of the old version: names of classes, or numbers.
        after: Answers of the new version.
        scores: Scores of the old version.
        other: Scores of the new version.
        unit: The spread of the targets, where answers are numbers.
    """
    numbers = np.issubdtype(before.dtype, np.number)
    moved = np.abs(after - before) > _SMALLEST_CHANGE * unit if numbers else before != after
    pairs = [] if numbers else list(zip(before[moved], after[moved], strict=True))
    return Churn(
        rows=int(moved.sum()),
        proportion=float(moved.mean()),
        changes=[
            AnswerChange(before=str(old), after=str(new), rows=count)
            for (old, new), count in Counter(pairs).most_common()
        ],
        mean_move=float(np.abs(scores - other).max(axis=1).mean()),
    )


def describe(comparison: VersionComparison) -> Iterator[str]:
    """Yield the comparison as lines for a terminal."""
    a = f"version {comparison.a.version}"
    b = f"version {comparison.b.version}"
    yield f"{b} against {a}, on {comparison.rows:,} test rows that neither has seen"
    yield f"{'metric':<10} {a:>12} {b:>12}   {b} is better by"
    for name, pair in comparison.metrics.items():
        gain = format_interval(pair.gain, signed=True)
        before, after = (format_number(part.value) for part in (pair.a, pair.b))
        yield f"{name:<10} {before:>12} {after:>12}   {gain}"
    churn = comparison.churn
    yield (
        f"churn: {churn.rows:,} rows ({churn.proportion:.2%}) get another answer; "
        f"scores move by {format_number(churn.mean_move)} on average"
    )
    for change in churn.changes:
        yield f"  from {change.before} to {change.after}: {change.rows:,} rows"
    for part in comparison.slices[:_SHOWN_SLICES]:
        gain = format_interval(part.gain, signed=True)
        values = f"{format_number(part.other):>8} {format_number(part.value):>8}   {gain}"
        yield f"slice {name_rows(part.where)} ({part.rows:,} rows): {values}"
    rest = len(comparison.slices) - _SHOWN_SLICES
    if rest > 0:
        yield f"and {rest} better slices, in reports/comparison.json"


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
            "One of the two has seen every row of the test split; wait for newer data."
        )
    return chosen


def _measure(
    bundle: Bundle,
    rows: pd.DataFrame,
    before: Floats,
    after: Floats,
    params: Params,
    custom: Sequence[CustomMetric],
) -> Measurements:
    """Measure both versions, the old one as a baseline."""
    contract = bundle.contract
    target = encode_target(rows[contract.target.name].to_numpy(), contract.classes)
    groups = group_rows(rows, contract, params.split)
    scores = {"candidate": after, "a": before}
    return measure_all(contract, target, scores, groups, params.evaluate, params.seed, custom)


def _measure_slices(
    bundle: Bundle,
    rows: pd.DataFrame,
    before: Floats,
    after: Floats,
    params: Params,
    custom: Sequence[CustomMetric],
) -> list[SliceGain]:
    """Measure the gain of the new version in each slice."""
    contract = bundle.contract
    settings = params.evaluate
    columns = [column.name for column in contract.reported_slices]
    return compare_slices(
        find_slices(rows, columns, settings.min_slice_rows),
        metrics_for(contract.task, settings.calibration_bins, custom)[params.judge.metric],
        encode_target(rows[contract.target.name].to_numpy(), contract.classes),
        after,
        before,
        group_rows(rows, contract, params.split),
        **params.resampling,
    )


def _pair_metrics(measured: Measurements) -> dict[str, MetricPair]:
    """Return each metric of both versions, and the gain of the second one."""
    before = measured.baselines["a"]
    gains = measured.gains["a"]
    return {
        name: MetricPair(a=before[name], b=after, gain=gains[name])
        for name, after in measured.metrics.items()
    }


def _name_version(version: Version) -> ComparedVersion:
    return ComparedVersion(version=version.number, digest=version.digest)
