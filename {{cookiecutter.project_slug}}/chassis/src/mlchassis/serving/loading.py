"""A deployed bundle that has been warmed up, and what it answers to a request's bytes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec
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
    InferenceProtocol,
    Prediction,
    PredictRequest,
    PredictResult,
    RawRequest,
    Rows,
)
from mlchassis.serving.statistics import BatchStatistics, RowStatistics


class AnswerError(ProjectError):
    """The model gave something that is not an answer."""


class BatchItem(msgspec.Struct, frozen=True):
    """A request of a batch, and the protocol of its response."""

    protocol: InferenceProtocol
    request: PredictRequest


class BatchResponse(msgspec.Struct, frozen=True):
    """Response bodies and log lines of one batch.

    Attributes:
        bodies: The answer to each of them, as JSON.
        log_lines: The prediction log's lines for all, each with its line end.
        rows: Number of answered rows.
        statistics: Missing values and predictions for the metrics.
    """

    bodies: Sequence[bytes]
    log_lines: bytes
    rows: int
    statistics: BatchStatistics


@dataclass(frozen=True)
class LoadedModel:
    """A model as clients meet it; immutable, so that an answer never mixes two of them.

    Attributes:
        deployed_at: Time of its deployment in ISO 8601; empty if it is not known.
    """

    identity: ModelIdentity
    scorer: Scorer
    request: type[BaseModel]
    decode: Decode
    deployed_at: str = ""

    @property
    def contract(self) -> Contract:
        """Contract that the model was trained with."""
        return self.scorer.bundle.contract

    def answer(self, protocol: InferenceProtocol, raw: RawRequest) -> BatchResponse:
        """Decode and answer one request; no effects.

        Raises:
            ProblemError: The request is not of the protocol, or does not keep the contract.
            AnswerError: The model's answer is not a number.
        """
        return self.answer_request(BatchItem(protocol, protocol.decode(self, raw)))

    def answer_request(self, item: BatchItem) -> BatchResponse:
        """Answer one request, with an explanation if it wants one.

        Raises:
            AnswerError: The model's answer is not a number.
        """
        rows = item.request.rows
        answers = self.score(rows)
        predictions = self.predict(rows, answers)
        if item.request.explain:
            columns = self.scorer.builder.build(rows)
            explanations = explain_answers(self.scorer, columns, answers)
            for prediction, explanation in zip(predictions, explanations, strict=True):
                prediction.explanation = explanation
        return self._respond([item], predictions, [(rows, answers)])

    def answer_batch(self, items: Sequence[BatchItem]) -> BatchResponse:
        """Answer requests as `answer_request` does, by one model call where that is equal.

        Raises:
            AnswerError: The model's answer is not a number.
        """
        parts = [item.request.rows for item in items]
        if self.batch_invariant:
            parts = [list(chain.from_iterable(parts))]
        scored = [(rows, self.score(rows)) for rows in parts]
        predictions = [p for rows, answers in scored for p in self.predict(rows, answers)]
        return self._respond(items, predictions, scored)

    def score(self, rows: Rows) -> Answers:
        """Return the model's answers.

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

    def _respond(
        self,
        items: Sequence[BatchItem],
        predictions: Sequence[Prediction],
        scored: Sequence[tuple[Rows, Answers]],
    ) -> BatchResponse:
        """Encode the responses to requests, whose rows follow upon each other."""
        bodies = []
        start = 0
        for item in items:
            end = start + len(item.request.rows)
            result = PredictResult(self, item.request, predictions[start:end])
            bodies.append(item.protocol.encode(result))
            start = end
        requests = [item.request for item in items]
        lines = self._line_writer.write(requests, predictions)
        return BatchResponse(bodies, lines, start, self.row_statistics.count(scored))

    @cached_property
    def batch_invariant(self) -> bool:
        """True if rows of several requests may be scored as one batch."""
        return self.scorer.is_batch_invariant()

    @cached_property
    def row_statistics(self) -> RowStatistics:
        """Counter of missing values and predictions."""
        return RowStatistics(self.contract)

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
class ModelHolder:
    """Holder of the model that answers now; one assignment replaces it.

    Attributes:
        stopping: True once the service was told to stop and should get no further request.
    """

    current: LoadedModel
    stopping: bool = False


def load_model(store: Path, features: FeatureCode, max_rows: int, threads: int = 1) -> LoadedModel:
    """Load the bundle that the store points at, if it answers as it did in training.

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
    return LoadedModel(identity, scorer, request, decode, pointer.deployed_at)
