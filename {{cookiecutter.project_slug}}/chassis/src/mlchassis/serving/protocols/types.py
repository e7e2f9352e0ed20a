"""A dialect: how one protocol asks for predictions, and how its answers are written."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
from pydantic import ValidationError
from pydantic_core import from_json, to_json

from mlchassis.serving.problems import INVALID_RECORDS, MALFORMED_BODY, ProblemError
from mlchassis.serving.protocols.messages import Location, explain_invalid

if TYPE_CHECKING:
    from mlchassis.serving.loading import ServedModel

Rows = Sequence[tuple[Any, ...]]
"""Rows that keep the contract: the values of its request columns, in their order."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """A request as it arrived.

    Attributes:
        media_type: Of the body, in lower case and without parameters.
        parameters: Of the media type, such as `header` of text/csv.
        path: The values in its path.
    """

    body: bytes
    request_id: str
    media_type: bytes = b"application/json"
    parameters: Mapping[str, str] = field(default_factory=dict)
    path: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Question:
    """Parsed prediction request of any protocol.

    Attributes:
        rows: With None for what is absent.
        explain: True if each prediction needs an explanation.
        request_id: Of the HTTP exchange.
        wishes: Options that the protocol needs again for its response.
    """

    rows: Rows
    request_id: str
    explain: bool = False
    wishes: Mapping[str, Any] = field(default_factory=dict)


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


@dataclass(frozen=True, slots=True)
class Answered:
    """A question with its answers, one per row."""

    model: "ServedModel"
    question: Question
    predictions: Sequence[Prediction]


class Dialect(Protocol):
    """Reads a protocol's requests and writes its answers; pure."""

    media_types: tuple[bytes, ...]
    """What bodies may be."""

    needs_media_type: bool
    """Whether a request must say; else the first is taken."""

    def decode(self, model: "ServedModel", incoming: Incoming) -> Question:
        """Reads a request.

        Raises:
            ProblemError: It is not of the protocol, or its rows do not keep the contract.
        """

    def encode(self, answered: Answered) -> bytes:
        """Writes the answer."""


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
    model: "ServedModel", rows: Sequence[Mapping[str, Any]], locate: Callable[[Location], Location]
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
    model: "ServedModel", body: bytes, locate: Callable[[Location], Location] = tuple
) -> tuple[Rows, bool]:
    """Reads the body of `POST /predict`: its rows, and whether they are to be explained.

    Raises:
        ProblemError: It is no JSON, or its records do not keep the contract.
    """
    found = model.decode(body)
    if found is not None:
        return found
    try:
        request: Any = model.request.__pydantic_validator__.validate_json(body)
    except ValidationError as error:
        raise explain_invalid(error, locate) from None
    return [tuple(record.__dict__.values()) for record in request.records], request.explain


def rows_from_columns(columns: Mapping[str, Sequence[Any]], pointer: str) -> list[dict[str, Any]]:
    """Turns columns of one length into rows.

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
    found = {"pointer": pointer or "/", "detail": detail}
    return ProblemError(INVALID_RECORDS, f"{found['pointer']}: {detail}", errors=[found])
