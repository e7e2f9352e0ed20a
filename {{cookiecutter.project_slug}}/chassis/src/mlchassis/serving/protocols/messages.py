"""Request and response of `POST /predict`, for both the decoder and OpenAPI."""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, FailFast, Field, ValidationError, create_model

from mlchassis.config.source_params import TableFormat
from mlchassis.contract.model import Contract, class_name
from mlchassis.contract.schemas import example_record, request_model
from mlchassis.serving.problems import INVALID_RECORDS, MALFORMED_BODY, ProblemError
from mlchassis.serving.protocols.explanation import MOST_ROWS

Location = tuple[int | str, ...]
"""Path in a document: names and positions, from the outside in."""

_MAX_ERRORS = 20
_LISTABLE_ERRORS = 1000
_LONGEST_NAME = 64
_LONGEST_DETAIL = 300


class ModelIdentity(BaseModel):
    """Identity of the model that answered."""

    name: str = Field(description="Name of the registered model")
    version: str = Field(description="Version in the registry")
    digest: str = Field(description="Digest of the bundle that is served")
    contract_version: str = Field(description="Version of the data contract")


def predict_request(
    contract: Contract, max_rows: int, formats: TableFormat | None = None
) -> type[BaseModel]:
    """The model of a request's body: it decodes requests and documents them."""
    # The first record that breaks the contract ends the check: what a body of broken records costs
    # is then bounded by one record's.
    record: Any = request_model(contract, formats)
    records: Any = Annotated[list[record], FailFast()]
    explains: Any = {"properties": {"explain": {"const": True}}, "required": ["explain"]}
    few: Any = {"properties": {"records": {"maxItems": MOST_ROWS}}}
    more = {"examples": [{"records": [example_record(contract)]}], "if": explains, "then": few}
    return create_model(
        "PredictRequest",
        __config__=ConfigDict(extra="forbid", strict=True, json_schema_extra=more),
        __doc__="One or many records to predict.",
        records=(records, Field(min_length=1, max_length=max_rows)),
        explain=(bool, Field(False, description="Explain each prediction")),
    )


class Effect(BaseModel):
    """Effect of one input on a prediction."""

    input: str = Field(description="Name of the column")
    effect: float = Field(
        description="The answer minus its mean over the usual values of this input alone; in "
        "probability, or in the unit of the predicted number"
    )


def predict_response(contract: Contract) -> type[BaseModel]:
    """The model of an answer, for documentation alone: answers are made of checked parts."""
    fields: dict[str, Any] = {
        "key": (Any, Field(None, description="The record's own key, or null")),
        "prediction": (_prediction_type(contract), Field(description="The predicted value")),
    }
    if contract.classes:
        names = ", ".join(class_name(label) for label in contract.classes)
        note = f"The probability of each class: {names}"
        fields["probabilities"] = (dict[str, float], Field(description=note))
        explained: Any = {"class": (str, Field(description="Class whose probability is explained"))}
    else:
        explained = {}
    explanation: Any = create_model(
        "Explanation",
        __doc__="What moved an answer, the largest effect first.",
        **explained,
        effects=(list[Effect], ...),
    )
    note = "Only where it was asked for"
    fields["explanation"] = (explanation, Field(None, description=note))
    prediction: Any = create_model("Prediction", __doc__="The answer to one record.", **fields)
    return create_model(
        "PredictResponse",
        __doc__="The answers, in the order of the records.",
        request_id=(str, Field(description="Equal to the header X-Request-ID")),
        model=(ModelIdentity, ...),
        predictions=(list[prediction], ...),
    )


def explain_invalid(
    error: ValidationError, locate: Callable[[Location], Location] = tuple
) -> ProblemError:
    """Describe the errors in a body, without repeating its values.

    Args:
        error: Validation error of the request model.
        locate: Function from an error's location to one in the client's own document; by default,
            the location itself.
    """
    count = error.error_count()
    errors: Sequence[Any] = ()
    # Every finding is built to list a few of them, so a flood is only counted.
    if count <= _LISTABLE_ERRORS:
        errors = error.errors(include_url=False, include_context=False, include_input=False)
    if errors and errors[0]["type"] == "json_invalid":
        return ProblemError(MALFORMED_BODY, f"{_shorten(errors[0]['msg'])}.")
    listed = [_describe(entry, locate) for entry in errors[:_MAX_ERRORS]]
    detail = f"{listed[0]['pointer']}: {listed[0]['detail']}" if listed else "Far too many errors"
    more = f" (and {count - 1} more)" if count > 1 else ""
    return ProblemError(INVALID_RECORDS, f"{detail}{more}.", errors=listed)


def _prediction_type(contract: Contract) -> Any:
    if contract.task == "regression":
        return float
    return bool if contract.target.kind == "boolean" else Literal[contract.classes]


def _describe(error: Mapping[str, Any], locate: Callable[[Location], Location]) -> dict[str, str]:
    return {"pointer": write_pointer(locate(error["loc"])), "detail": _shorten(error["msg"])}


def write_pointer(place: Location) -> str:
    """A place in a document as a JSON Pointer."""
    # A field's name may be the client's own word, so it is cut, and escaped as RFC 6901 says.
    parts = (str(part)[:_LONGEST_NAME].replace("~", "~0").replace("/", "~1") for part in place)
    return "/" + "/".join(parts)


def _shorten(text: str) -> str:
    return text if len(text) <= _LONGEST_DETAIL else text[: _LONGEST_DETAIL - 1] + "…"
