"""Two bundles on the rows that neither has seen."""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pandas as pd

from mlchassis.bundle.bundle import Bundle
from mlchassis.bundle.scorer import Scorer
from mlchassis.config.params import Params
from mlchassis.errors import ProjectError
from mlchassis.evaluation.bootstrap import (
    Interval,
    count_units,
    group_rows,
    name_unit,
    paired_difference,
    spell_units,
)
from mlchassis.evaluation.metrics import Floats, encode_target, metrics_for
from mlchassis.extensions.metrics import CustomMetric
from mlchassis.features.code import FeatureCode

MIN_UNITS = 7
"""Fewer days than a week, or fewer groups, support no comparison."""

# A model that MLflow stored brings its code along; in a process of its own it answers with that.
# `registry.fetch_bundle` compared the code with the version's tag, or left it out.
_ANSWER = """
import sys, pandas, mlflow.pyfunc
rows = pandas.read_parquet(sys.argv[2], dtype_backend="numpy_nullable")
model = mlflow.pyfunc.load_model(sys.argv[1]).get_raw_model()
model.answer(rows).to_parquet(sys.argv[3])
"""


class NotComparableError(ProjectError):
    """Two models cannot be compared; the text says why."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """A candidate, and a champion inside the MLflow model that it was downloaded with.

    Attributes:
        features: The code installed here, under which the candidate answers.
        metrics: The project's own metrics.
    """

    candidate: Bundle
    champion: Bundle
    features: FeatureCode
    metrics: Sequence[CustomMetric] = ()


def measure_gain(
    challenge: Challenge, rows: pd.DataFrame, params: Params, scratch: Path
) -> tuple[int, Interval]:
    """Return the number of compared rows and the candidate's gain, with an interval.

    Raises:
        NotComparableError: The models answer different questions, or too few rows are new to both.
    """
    candidate = challenge.candidate
    champion = challenge.champion
    contract = candidate.contract
    if champion.metadata.classes != candidate.metadata.classes:
        raise NotComparableError("The champion predicts another target; they cannot be compared.")
    rows = unseen_rows(rows, candidate, champion)
    groups = group_rows(rows, contract, params.split)
    _check_enough(rows, count_units(groups), candidate, params)
    metrics = metrics_for(contract.task, params.evaluate.calibration_bins, challenge.metrics)
    metric = metrics[params.judge.metric]
    interval = paired_difference(
        metric,
        encode_target(rows[contract.target.name].to_numpy(), contract.classes),
        Scorer(candidate, challenge.features, threads=0).score_frame(rows).scores,
        answer_rows(champion, rows, scratch, "The champion's", challenge.features),
        groups,
        **params.resampling,
    )
    return len(rows), interval


def unseen_rows(rows: pd.DataFrame, candidate: Bundle, champion: Bundle) -> pd.DataFrame:
    """The rows of the candidate's test split that the champion has not seen either.

    Raises:
        NotComparableError: It cannot be told which rows those are.
    """
    if candidate.metadata.data_hash == champion.metadata.data_hash:
        return rows
    if candidate.metadata.split and candidate.metadata.split == champion.metadata.split:
        return rows
    moments = [candidate.metadata.seen_until, champion.metadata.seen_until]
    event_time = candidate.contract.event_time
    if event_time is None or None in moments:
        raise NotComparableError(
            "The champion saw other rows, and without an event time it cannot be told which; go "
            "back to its seed and split in params.yaml and to its columns in contract.yaml, or "
            "give the model a name of its own there."
        )
    latest = max(datetime.fromisoformat(moment) for moment in moments if moment)
    return rows[rows[event_time.name] > latest].reset_index(drop=True)


def _check_enough(rows: pd.DataFrame, units: int, candidate: Bundle, params: Params) -> None:
    if len(rows) < params.split.min_rows or units < MIN_UNITS:
        unit = name_unit(candidate.contract, params.split)
        raise NotComparableError(
            f"Only {len(rows):,} rows of the test split, from {spell_units(units, unit)}, are new "
            f"to the champion too (needed: {params.split.min_rows:,} rows, "
            f"{spell_units(MIN_UNITS, unit)}); wait for newer data."
        )
    present = set(rows[candidate.contract.target.name].unique())
    absent = [label for label in candidate.contract.classes if label not in present]
    if absent:
        raise NotComparableError(
            f"The rows that are new to both models hold none of class {absent[0]!r}; wait for "
            "newer data."
        )


def answer_rows(
    bundle: Bundle, rows: pd.DataFrame, scratch: Path, whose: str, features: FeatureCode
) -> Floats:
    """A bundle's answers, with the features that it was trained with: shape (rows, classes or 1).

    Args:
        bundle: Inside the MLflow model that it was downloaded with.
        rows: Rows that keep its contract.
        scratch: A folder for what is handed to another process and back.
        whose: Owner of the bundle's code in an error, such as "Version 7's".
        features: The code installed here, which answers where it is the bundle's own.

    Raises:
        NotComparableError: The bundle's own code cannot answer these rows.
    """
    if bundle.metadata.features_digest == features.digest:
        return Scorer(bundle, features, threads=0).score_frame(rows).scores
    model = bundle.path.parent.parent
    if not (model / "MLmodel").is_file():
        raise NotComparableError(
            f"{whose} features.py is another one than here, and its own code has no digest in the "
            "registry, so it is not run; register that model again from its commit."
        )
    questions = scratch / "rows.parquet"
    answers = scratch / "answers.parquet"
    rows[[column.name for column in bundle.contract.features]].to_parquet(questions)
    outcome = subprocess.run(
        [sys.executable, "-c", _ANSWER, model, questions, answers],
        cwd=scratch,
        capture_output=True,
        text=True,
        check=False,
    )
    if outcome.returncode != 0:
        detail = (outcome.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise NotComparableError(f"{whose} own code cannot answer the test rows: {detail}")
    names = bundle.contract.outputs
    return pd.read_parquet(answers, columns=list(names[1:] or names)).to_numpy(dtype=float)
