"""Replay of one prediction: each stage's values, from the prediction log and the bundle."""

from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from mlchassis.bundle.bundle import load_deployed, measure_error
from mlchassis.bundle.scorer import Scorer
from mlchassis.errors import ProjectError
from mlchassis.features.code import FeatureCode
from mlchassis.features.encoding import columns_from_rows
from mlchassis.prediction_log.reading import read_entries


class LoggedLine(BaseModel):
    """The fields of a line of the prediction log that a replay needs.

    Attributes:
        row: Position of the row in its request.
        prediction: Class name, or a number for regression.
        probabilities: Probabilities by class name; None for regression.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    time: str
    row: int
    inputs: dict[str, Any]
    prediction: Any
    probabilities: dict[str, float] | None
    digest: str
    model_version: str
    contract_version: str


class ReplayError(ProjectError):
    """A prediction that differs from the logged one."""


def replay_request(
    store: Path, predictions: Path, request_id: str, features: FeatureCode
) -> Iterator[str]:
    """Describe for each row of a request its inputs, features, logged and present predictions.

    Raises:
        ProjectError: The log does not know the request, or the bundle that answered it is gone.
        ReplayError: At the end, if a row is answered otherwise now.
    """
    entries = list(find_entries(predictions, request_id))
    if not entries:
        raise ProjectError(
            f"No line in {predictions} has the request id '{request_id[:128]}'; take the id from "
            "the answer's X-Request-ID, and the log of the machine that answered."
        )
    scorers: dict[str, Scorer] = {}
    differing = []
    for entry in sorted(entries, key=lambda entry: entry.row):
        digest = entry.digest
        if digest not in scorers:
            scorers[digest] = Scorer(load_deployed(store, digest, features), features)
        yield (
            f"row {entry.row}, answered {entry.time} by version {entry.model_version} "
            f"(bundle {digest[:12]}, contract {entry.contract_version})"
        )
        error = yield from _replay_row(scorers[digest], entry)
        if not error <= scorers[digest].bundle.metadata.tolerance:
            differing.append(entry.row)
    if differing:
        raise ReplayError(
            f"Row {differing[0]} of request {request_id} is answered otherwise now; the bundle is "
            "the same, so look at what else computes: the packages' versions, the machine."
        )


def find_entries(predictions: Path, request_id: str) -> Iterator[LoggedLine]:
    """Yield the log's lines about a request; a line that a full disk cut short is skipped.

    Raises:
        ProjectError: A line about the request is not as a service writes it.
    """
    for entry in read_entries(predictions, request_id=request_id):
        if not isinstance(entry, dict) or entry.get("request_id") != request_id:
            continue
        try:
            yield LoggedLine.model_validate(entry)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            raise ProjectError(
                f"A line in {predictions} about request '{request_id[:128]}' is not of a service "
                f"({place}: {first['msg'].lower()}); look at what else writes there."
            ) from None


def _replay_row(scorer: Scorer, entry: LoggedLine) -> Generator[str, None, float]:
    """Yield the stages of a row; return the largest difference from the logged prediction."""
    contract = scorer.bundle.contract
    yield from _tabulate("input", entry.inputs)
    personal = [c.name for c in contract.features if c in contract.pii]
    if personal:
        yield f"  the answer cannot be computed again: '{personal[0]}' is personal, so not logged"
        return 0.0
    columns = columns_from_rows(contract, [entry.inputs])
    yield from _tabulate("column", {name: values[0] for name, values in columns.items()})
    features = scorer.features.compute(columns)
    yield from _tabulate("feature", {name: values[0] for name, values in features.items()})
    answers = scorer.score(columns)
    then = entry.probabilities or {"number": entry.prediction}
    scores = answers.scores[0]
    now = dict(zip(then, scores.tolist(), strict=True))
    yield from _tabulate("answered", {**then, contract.target.name: entry.prediction})
    yield from _tabulate("now", {**now, contract.target.name: answers.values[0]})
    logged = np.array(list(then.values()), dtype=np.float64)
    error = float(measure_error(logged, scores, scorer.bundle.metadata.unit).max())
    same = entry.prediction == answers.values[0] or answers.probabilities is None
    if not same:
        yield "  ANOTHER ANSWER"
    elif error:
        yield f"  the same answer to {error:.1e}"
    else:
        yield "  the same answer to the bit"
    return error if same else np.inf


def _tabulate(stage: str, values: Mapping[str, Any]) -> Iterator[str]:
    for name, value in values.items():
        shown = f"{value:.9g}" if isinstance(value, float) else str(value)
        yield f"  {stage:<9} {name:<28} {shown}"
