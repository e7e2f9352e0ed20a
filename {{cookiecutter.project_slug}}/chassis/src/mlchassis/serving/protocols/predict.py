"""The protocol of `POST /predict`."""

import msgspec

from mlchassis.serving.loading import LoadedModel
from mlchassis.serving.protocols.explanation import MOST_ROWS
from mlchassis.serving.protocols.types import (
    PredictRequest,
    PredictResult,
    RawRequest,
    read_records,
    refuse,
)


class PredictProtocol:
    """Typed records in, an answer per record out."""

    media_types: tuple[bytes, ...] = (b"application/json",)

    def decode(self, model: LoadedModel, raw: RawRequest) -> PredictRequest:
        """Read a request straight from its bytes.

        Raises:
            ProblemError: The body is not JSON, or its records do not keep the contract.
        """
        rows, explain = read_records(model, raw.body)
        if explain and len(rows) > MOST_ROWS:
            raise refuse("/explain", f"At most {MOST_ROWS} records are explained at once.")
        return PredictRequest(rows, raw.request_id, explain, trace_id=raw.trace_id)

    def encode(self, result: PredictResult) -> bytes:
        """Write the predictions with the model and the request id."""
        return msgspec.json.encode(
            {
                "request_id": result.request.request_id,
                "model": result.model.identity.__dict__,
                "predictions": result.predictions,
            }
        )
