"""The dialect of `POST /predict`."""

from typing import Any

from pydantic import ValidationError
from pydantic_core import to_json

from .dialect import Answered, Incoming, Question, refuse
from .explanation import MOST_ROWS
from .messages import explain_invalid
from .served import ServedModel


class Native:
    """Typed records in, an answer per record out."""

    media_types: tuple[bytes, ...] = (b"application/json",)
    needs_media_type = True

    def decode(self, model: ServedModel, incoming: Incoming) -> Question:
        """Reads a request straight from its bytes.

        Raises:
            ProblemError: The body is no JSON, or its records do not keep the contract.
        """
        try:
            request: Any = model.request.__pydantic_validator__.validate_json(incoming.body)
        except ValidationError as error:
            raise explain_invalid(error) from None
        rows = [record.__dict__ for record in request.records]
        if request.explain and len(rows) > MOST_ROWS:
            raise refuse("/explain", f"At most {MOST_ROWS} records are explained at once.")
        return Question(rows, incoming.request_id, request.explain)

    def encode(self, answered: Answered) -> bytes:
        """Writes the answers with the model and the request's id."""
        return to_json(
            {
                "request_id": answered.question.request_id,
                "model": answered.model.identity.__dict__,
                "predictions": answered.predictions,
            }
        )
