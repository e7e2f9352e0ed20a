"""A deployed bundle that has been warmed up, and what it answers to a request's bytes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel
from pydantic_core import to_json

from ..bundle import BundleError, load_bundle, read_pointer
from ..contract import Column, Contract, class_name
from ..errors import ProjectError
from ..scoring import Answers, Scorer
from .dialect import Answered, Dialect, Incoming, Question
from .explanation import explain_answers
from .messages import ModelIdentity, predict_request

LOG_FORMAT = 1


class AnswerError(ProjectError):
    """The model gave something that is no answer."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What leaves the service for one request.

    Attributes:
        body: The answer, as JSON.
        log_lines: The prediction log's lines for it, each with its line end.
        rows: How many rows were answered.
    """

    body: bytes
    log_lines: bytes
    rows: int


@dataclass(frozen=True)
class ServedModel:
    """A model as clients meet it; immutable, so that an answer never mixes two of them."""

    identity: ModelIdentity
    scorer: Scorer
    request: type[BaseModel]

    @property
    def contract(self) -> Contract:
        """What a row is, as the model was trained."""
        return self.scorer.bundle.contract

    def answer(self, dialect: Dialect, incoming: Incoming) -> Reply:
        """Decodes, scores and encodes; no effects.

        Raises:
            ProblemError: The request is not of the dialect, or does not keep the contract.
            AnswerError: The model's answer is not a number.
        """
        question = dialect.decode(self, incoming)
        answers = self.scorer.score_rows(question.rows)
        if not np.isfinite(answers.scores).all():
            raise AnswerError("The model answered with something that is not a finite number.")
        predictions = list(_predictions(self.contract, question.rows, answers))
        if question.explain:
            found = explain_answers(self.scorer, question.rows, answers)
            for prediction, explanation in zip(predictions, found, strict=True):
                prediction["explanation"] = explanation
        lines = b"".join(_log_lines(self, question, predictions))
        return Reply(
            dialect.encode(Answered(self, question, predictions)), lines, len(question.rows)
        )


@dataclass(slots=True)
class Champion:
    """Holds the model that answers now; another one takes its place in one assignment.

    Attributes:
        stopping: Whether the service was told to stop, so that no further request should come.
    """

    current: ServedModel
    stopping: bool = False


def load_served_model(store: Path, max_rows: int, threads: int = 1) -> ServedModel:
    """Loads what the store points at, and serves it only if it answers as it did in training.

    Raises:
        ProjectError: Nothing is deployed, or the bundle must not be served.
    """
    pointer = read_pointer(store)
    if pointer is None:
        raise ProjectError(
            f"Nothing is deployed in {store}; run `make run` for everything up to there, or "
            "`make deploy` if there is a champion."
        )
    bundle = load_bundle(store / "bundles" / pointer.digest)
    if bundle.digest != pointer.digest:
        raise BundleError(
            f"Bundle {pointer.digest[:12]} has the digest {bundle.digest[:12]}, so it is not the "
            "one that was deployed; deploy it again with `make deploy`."
        )
    scorer = Scorer(bundle, threads)
    scorer.check_golden()
    identity = ModelIdentity(
        name=pointer.model_name,
        version=pointer.model_version,
        digest=pointer.digest,
        contract_version=bundle.contract.version,
    )
    return ServedModel(identity, scorer, predict_request(bundle.contract, max_rows))


def _predictions(
    contract: Contract, rows: Sequence[Mapping[str, Any]], answers: Answers
) -> Iterator[dict[str, Any]]:
    key = contract.key
    values = answers.values.tolist()
    names = [class_name(label) for label in contract.classes]
    probabilities = None if answers.probabilities is None else answers.probabilities.tolist()
    for i, row in enumerate(rows):
        answer = {"key": None if key is None else row[key.name], "prediction": values[i]}
        if probabilities is not None:
            answer["probabilities"] = dict(zip(names, probabilities[i], strict=True))
        yield answer


def _log_lines(
    model: ServedModel, question: Question, predictions: Sequence[Mapping[str, Any]]
) -> Iterator[bytes]:
    contract, identity = model.contract, model.identity
    inputs = [column.name for column in contract.features if column not in contract.pii]
    time = datetime.now(UTC).isoformat()
    for i, (row, prediction) in enumerate(zip(question.rows, predictions, strict=True)):
        line = {
            "format": LOG_FORMAT,
            "time": time,
            "request_id": question.request_id,
            "row": i,
            "key": _loggable(contract, contract.key, row),
            "event_time": _loggable(contract, contract.event_time, row),
            "inputs": {name: row[name] for name in inputs},
            "prediction": prediction["prediction"],
            "probabilities": prediction.get("probabilities"),
            "digest": identity.digest,
            "model_version": identity.version,
            "contract_version": identity.contract_version,
        }
        yield to_json(line) + b"\n"


def _loggable(contract: Contract, column: Column | None, row: Mapping[str, Any]) -> Any:
    return None if column is None or column in contract.pii else row[column.name]
