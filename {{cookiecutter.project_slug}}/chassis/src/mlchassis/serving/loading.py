"""A deployed bundle that has been warmed up, and what it answers to a request's bytes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel

from mlchassis.bundle.bundle import load_deployed, read_pointer
from mlchassis.bundle.scorer import Answers, Scorer
from mlchassis.contract.model import Contract, class_name
from mlchassis.errors import ProjectError
from mlchassis.features.code import FeatureCode
from mlchassis.serving.logs.prediction_lines import LineWriter, name_values
from mlchassis.serving.protocols.decoding import Decode, compile_decoder
from mlchassis.serving.protocols.explanation import explain_answers
from mlchassis.serving.protocols.messages import ModelIdentity, predict_request
from mlchassis.serving.protocols.types import (
    Answered,
    Dialect,
    Incoming,
    Prediction,
    Question,
    Rows,
)


class AnswerError(ProjectError):
    """The model gave something that is no answer."""


@dataclass(frozen=True, slots=True)
class Reply:
    """Response bodies and log lines of one batch.

    Attributes:
        bodies: The answer to each of them, as JSON.
        log_lines: The prediction log's lines for all, each with its line end.
        rows: Number of answered rows.
    """

    bodies: Sequence[bytes]
    log_lines: bytes
    rows: int


@dataclass(frozen=True)
class ServedModel:
    """A model as clients meet it; immutable, so that an answer never mixes two of them."""

    identity: ModelIdentity
    scorer: Scorer
    request: type[BaseModel]
    decode: Decode

    @property
    def contract(self) -> Contract:
        """Contract that the model was trained with."""
        return self.scorer.bundle.contract

    def answer(self, dialect: Dialect, incoming: Incoming) -> Reply:
        """Decodes, scores and encodes; no effects.

        Raises:
            ProblemError: The request is not of the dialect, or does not keep the contract.
            AnswerError: The model's answer is not a number.
        """
        question = dialect.decode(self, incoming)
        answers = self.score(question.rows)
        predictions = self.predict(question.rows, answers)
        if question.explain:
            columns = self.scorer.builder.build(question.rows)
            found = explain_answers(self.scorer, columns, answers)
            for prediction, explanation in zip(predictions, found, strict=True):
                prediction.explanation = explanation
        return self.reply(dialect, [question], predictions)

    def score(self, rows: Rows) -> Answers:
        """Asks the model.

        Raises:
            AnswerError: The model's answer is not a number.
        """
        answers = self.scorer.score_values(rows)
        if not np.isfinite(answers.scores).all():
            raise AnswerError("The model answered with something that is not a finite number.")
        return answers

    def predict(self, rows: Rows, answers: Answers) -> list[Prediction]:
        """Convert the scores of rows to predictions."""
        at = self._key
        keys = [None if at is None else row[at] for row in rows]
        values = answers.values.tolist()
        if answers.probabilities is None:
            return list(map(Prediction, keys, values))
        name = self._name_probabilities
        named = [name(*probabilities) for probabilities in answers.probabilities.tolist()]
        return list(map(Prediction, keys, values, named))

    def reply(
        self, dialect: Dialect, questions: Sequence[Question], predictions: Sequence[Prediction]
    ) -> Reply:
        """Encodes the answers to questions, whose rows follow upon each other."""
        bodies, start = [], 0
        for question in questions:
            end = start + len(question.rows)
            bodies.append(dialect.encode(Answered(self, question, predictions[start:end])))
            start = end
        return Reply(bodies, self._line_writer.write(questions, predictions), start)

    @cached_property
    def rows_apart(self) -> bool:
        """True if rows of several requests may be scored as one batch."""
        return self.scorer.answers_rows_apart()

    @cached_property
    def _line_writer(self) -> LineWriter:
        return LineWriter(self.contract, self.identity)

    @cached_property
    def _name_probabilities(self) -> Callable[..., Any]:
        return name_values([class_name(label) for label in self.contract.classes])

    @cached_property
    def _key(self) -> int | None:
        key = self.contract.key
        return None if key is None else self.contract.request_columns.index(key)


@dataclass(slots=True)
class Champion:
    """Holds the model that answers now; another one takes its place in one assignment.

    Attributes:
        stopping: True once the service was told to stop and should get no further request.
    """

    current: ServedModel
    stopping: bool = False


def load_served_model(
    store: Path, features: FeatureCode, max_rows: int, threads: int = 1
) -> ServedModel:
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
    bundle = load_deployed(store, pointer.digest, features)
    scorer = Scorer(bundle, features, threads)
    scorer.check_golden()
    identity = ModelIdentity(
        name=pointer.model_name,
        version=pointer.model_version,
        digest=pointer.digest,
        contract_version=bundle.contract.version,
    )
    formats = bundle.metadata.formats
    request = predict_request(bundle.contract, max_rows, formats)
    decode = compile_decoder(bundle.contract, max_rows, formats)
    return ServedModel(identity, scorer, request, decode)
