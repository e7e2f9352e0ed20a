"""Types of one request in any protocol, and the interface of a protocol."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
from pydantic import ValidationError
from pydantic_core import from_json, to_json

from mlchassis.serving.problems import INVALID_RECORDS, MALFORMED_BODY, ProblemError
from mlchassis.serving.protocols.messages import Location, explain_invalid

if TYPE_CHECKING:
    from mlchassis.serving.loading import LoadedModel

Rows = Sequence[tuple[Any, ...]]
"""Rows that keep the contract: the values of its request columns, in their order."""


class RawRequest(msgspec.Struct, frozen=True):
    """A request as it arrived.

    Attributes:
        media_type: Of the body, in lower case and without parameters.
        parameters: Of the media type, such as `header` of text/csv.
        path: The values in its path.
        trace_id: Trace id of the client's `traceparent`, if it sent a valid one.
    """

    body: bytes
    request_id: str
    media_type: bytes = b"application/json"
    parameters: Mapping[str, str] = msgspec.field(default_factory=dict)
    path: Mapping[str, str] = msgspec.field(default_factory=dict)
    trace_id: str | None = None


class PredictRequest(msgspec.Struct, frozen=True):
    """Parsed prediction request of any protocol.

    Attributes:
        rows: With None for what is absent.
        explain: True if each prediction needs an explanation.
        request_id: Of the HTTP exchange.
        options: Options that the protocol needs again for its response.
        trace_id: Of the HTTP exchange, if there is one.
    """

    rows: Rows
    request_id: str
    explain: bool = False
    options: Mapping[str, Any] = msgspec.field(default_factory=dict)
    trace_id: str | None = None


class Prediction(msgspec.Struct, gc=False):
    """The answer to one row, as JSON shows it.

    Attributes:
        probabilities: Probabilities by class; None for regression.
        explanation: Explanation, if requested.
    """

    key: Any
    prediction: Any
    probabilities: Any = msgspec.UNSET
    explanation: Any = msgspec.UNSET


class PredictResult(msgspec.Struct, frozen=True):
    """A request with its answers, one per row."""

    model: "LoadedModel"
    request: PredictRequest
    predictions: Sequence[Prediction]


class InferenceProtocol(Protocol):
    """Reader of a protocol's requests and writer of its responses; without side effects."""

    media_types: tuple[bytes, ...]
    """Media types of a request's body, one of which it has to name."""

    def decode(self, model: "LoadedModel", raw: RawRequest) -> PredictRequest:
        """Read a request.

        Raises:
            ProblemError: It is not of the protocol, or its rows do not keep the contract.
        """

    def encode(self, result: PredictResult) -> bytes:
        """Write the response."""


def parse_object(body: bytes) -> dict[str, Any]:
    """A JSON object, strictly: neither NaN nor Infinity.

    Raises:
        ProblemError: It is none.
    """
    try:
        document = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        # The parser names a place, and never what stands there.
        raise ProblemError(MALFORMED_BODY, f"Invalid JSON: {error}."[:300]) from None
    if not isinstance(document, dict):
        raise refuse("", "The body must be a JSON object.")
    return document


def validate_rows(
    model: "LoadedModel", rows: Sequence[Mapping[str, Any]], locate: Callable[[Location], Location]
) -> Rows:
    """Validate rows of JSON values by the contract, exactly as `POST /predict` does.

    Args:
        model: Request model of the contract.
        rows: One mapping per row.
        locate: Function from ("records", row, field, …) to a location in the client's document.
    """
    # As JSON once more, so that there is one decoder with one idea of what a number is.
    # "constants" keeps an overflown number from becoming a harmless null.
    return read_records(model, to_json({"records": rows}, inf_nan_mode="constants"), locate)[0]


def read_records(
    model: "LoadedModel", body: bytes, locate: Callable[[Location], Location] = tuple
) -> tuple[Rows, bool]:
    """Return the rows of a body of `POST /predict`, and whether to explain their predictions.

    Raises:
        ProblemError: It is not JSON, or its records do not keep the contract.
    """
    rows = model.decode(body)
    if rows is not None:
        return rows
    try:
        request: Any = model.request.__pydantic_validator__.validate_json(body)
    except ValidationError as error:
        raise explain_invalid(error, locate) from None
    return [tuple(record.__dict__.values()) for record in request.records], request.explain


def rows_from_columns(columns: Mapping[str, Sequence[Any]], pointer: str) -> list[dict[str, Any]]:
    """Turn columns of equal length into rows.

    Raises:
        ProblemError: Their lengths differ, or there is none.
    """
    lengths = {len(values) for values in columns.values()}
    if len(lengths) != 1:
        raise refuse(pointer, "There must be at least one column, all of one length.")
    names = list(columns)
    return [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def refuse(pointer: str, detail: str) -> ProblemError:
    """A problem with the part of the request at `pointer`."""
    problem = {"pointer": pointer or "/", "detail": detail}
    return ProblemError(INVALID_RECORDS, f"{problem['pointer']}: {detail}", errors=[problem])
