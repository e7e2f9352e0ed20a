"""The dialect of `POST /predict`."""

import msgspec

from mlchassis.serving.loading import ServedModel
from mlchassis.serving.protocols.explanation import MOST_ROWS
from mlchassis.serving.protocols.types import Answered, Incoming, Question, read_records, refuse


class Native:
    """Typed records in, an answer per record out."""

    media_types: tuple[bytes, ...] = (b"application/json",)
    needs_media_type = True

    def decode(self, model: ServedModel, incoming: Incoming) -> Question:
        """Reads a request straight from its bytes.

        Raises:
            ProblemError: The body is no JSON, or its records do not keep the contract.
        """
        rows, explain = read_records(model, incoming.body)
        if explain and len(rows) > MOST_ROWS:
            raise refuse("/explain", f"At most {MOST_ROWS} records are explained at once.")
        return Question(rows, incoming.request_id, explain)

    def encode(self, answered: Answered) -> bytes:
        """Writes the answers with the model and the request's id."""
        return msgspec.json.encode(
            {
                "request_id": answered.question.request_id,
                "model": answered.model.identity.__dict__,
                "predictions": answered.predictions,
            }
        )
