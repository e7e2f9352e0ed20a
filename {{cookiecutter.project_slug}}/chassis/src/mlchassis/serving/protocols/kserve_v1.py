"""The dialect of `/v1/models/NAME:predict`: KServe's protocol V1, as TensorFlow Serving began it.

Rows are objects with the contract's names; lists of bare values are refused, since a model of a
table has no order of columns that a client could know.
"""

import msgspec

from mlchassis.serving.loading import ServedModel
from mlchassis.serving.protocols.invocations import flatten_predictions, read_form
from mlchassis.serving.protocols.open_inference import check_model
from mlchassis.serving.protocols.types import (
    Answered,
    Incoming,
    Question,
    parse_object,
    validate_rows,
)


class KServeV1:
    """Instances in, predictions out."""

    media_types: tuple[bytes, ...] = (b"application/json",)
    needs_media_type = True

    def decode(self, model: ServedModel, incoming: Incoming) -> Question:
        """Reads a request.

        Raises:
            ProblemError: It asks another model, is none, or its rows do not keep the contract.
        """
        check_model(model, incoming.path)
        form = read_form(parse_object(incoming.body), ("instances", "inputs"))
        return Question(validate_rows(model, *form), incoming.request_id)

    def encode(self, answered: Answered) -> bytes:
        """Writes a record of prediction and probabilities per row."""
        return msgspec.json.encode({"predictions": flatten_predictions(answered)})
