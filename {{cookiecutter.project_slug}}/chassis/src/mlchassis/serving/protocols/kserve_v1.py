"""The protocol of `/v1/models/NAME:predict`: KServe's protocol V1, as TensorFlow Serving began it.

Rows are objects with the contract's names; lists of bare values are refused, since a model of a
table has no order of columns that a client could know.
"""

import msgspec

from mlchassis.serving.loading import LoadedModel
from mlchassis.serving.protocols.invocations import flatten_predictions, read_form
from mlchassis.serving.protocols.open_inference import check_model
from mlchassis.serving.protocols.types import (
    PredictRequest,
    PredictResult,
    RawRequest,
    parse_object,
    validate_rows,
)


class KServeV1:
    """Instances in, predictions out."""

    media_types: tuple[bytes, ...] = (b"application/json",)

    def decode(self, model: LoadedModel, raw: RawRequest) -> PredictRequest:
        """Read a request.

        Raises:
            ProblemError: It names another model, is malformed, or its rows violate the contract.
        """
        check_model(model, raw.path)
        form = read_form(parse_object(raw.body), ("instances", "inputs"))
        rows = validate_rows(model, *form)
        return PredictRequest(rows, raw.request_id, trace_id=raw.trace_id)

    def encode(self, result: PredictResult) -> bytes:
        """Write a record of prediction and probabilities per row."""
        return msgspec.json.encode({"predictions": flatten_predictions(result)})
