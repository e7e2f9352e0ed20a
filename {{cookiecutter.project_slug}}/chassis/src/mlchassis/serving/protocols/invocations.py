"""The protocol of `POST /invocations`: that of `mlflow models serve` and SageMaker.

The forms are those of MLflow 2 and later. Stricter here: NaN is not JSON, unknown columns and
fields are refused, and so are `params`, which the model does not take.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from mlchassis.serving.loading import LoadedModel
from mlchassis.serving.logs.prediction_lines import list_values
from mlchassis.serving.protocols.csv_body import read_csv
from mlchassis.serving.protocols.messages import Location
from mlchassis.serving.protocols.types import (
    PredictRequest,
    PredictResult,
    RawRequest,
    parse_object,
    refuse,
    rows_from_columns,
    validate_rows,
)

FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")

Locate = Callable[[Location], Location]
Records = list[dict[str, Any]]


class Invocations:
    """Data frames in several forms in, a record of prediction and probabilities per row out."""

    media_types: tuple[bytes, ...] = (b"application/json", b"text/csv")

    def decode(self, model: LoadedModel, raw: RawRequest) -> PredictRequest:
        """Read a request in any of the forms.

        Raises:
            ProblemError: It is none of them, or its rows do not keep the contract.
        """
        if raw.media_type == b"text/csv":
            rows = read_csv(model, raw)
        else:
            rows = validate_rows(model, *read_form(parse_object(raw.body), FORMS))
        return PredictRequest(rows, raw.request_id, trace_id=raw.trace_id)

    def encode(self, result: PredictResult) -> bytes:
        """Write the predictions in the form of the registered model's output."""
        return msgspec.json.encode({"predictions": flatten_predictions(result)})


def flatten_predictions(result: PredictResult) -> list[dict[str, Any]]:
    """Predictions as rows of the registered model's answer."""
    names = result.model.contract.outputs
    return [
        dict(zip(names, (p.prediction, *list_values(p.probabilities or {})), strict=True))
        for p in result.predictions
    ]


def read_form(document: Mapping[str, Any], forms: Sequence[str]) -> tuple[Records, Locate]:
    """The records of a document, and where in it their fields stand.

    Raises:
        ProblemError: The document has none or several of the forms, or more than one of them.
    """
    given = [name for name in forms if name in document]
    if len(given) != 1:
        raise refuse("", f"Exactly one of {', '.join(forms)} must be there.")
    (form,) = given
    if len(document) > 1 + ("params" in document) or document.get("params"):
        raise refuse("", f"There is more than '{form}', and this model takes no parameters.")
    content = document[form]
    if form == "dataframe_split":
        return _read_split(content)
    if form == "inputs" and isinstance(content, dict):
        return _read_columns(content)
    if not isinstance(content, list) or not all(isinstance(row, dict) for row in content):
        raise refuse(f"/{form}", "This must be a list of objects: the model's columns have names.")
    return content, lambda location: (form, *location[1:])


def _read_split(content: Any) -> tuple[Records, Locate]:
    pointer = "/dataframe_split"
    if not isinstance(content, dict) or not {"columns", "data"} <= set(content) <= {
        "columns",
        "data",
        "index",
    }:
        raise refuse(pointer, "This must be an object of columns, data and perhaps index.")
    names = content["columns"]
    data = content["data"]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise refuse(f"{pointer}/columns", "This must be a list of names.")
    if len(set(names)) < len(names):
        raise refuse(f"{pointer}/columns", "A column is there twice.")
    if not isinstance(data, list) or not all(
        isinstance(row, list) and len(row) == len(names) for row in data
    ):
        raise refuse(f"{pointer}/data", "This must be a list of rows with a value per column.")

    def locate(location: Location) -> Location:
        if len(location) > 2 and location[2] not in names:
            # A column that is missing has no place among the values, but a name.
            return ("dataframe_split", "columns", location[2])
        return ("dataframe_split", "data", *location[1:2], *map(names.index, location[2:3]))

    return [dict(zip(names, row, strict=True)) for row in data], locate


def _read_columns(content: Mapping[str, Any]) -> tuple[Records, Locate]:
    if not all(isinstance(values, list) for values in content.values()):
        raise refuse("/inputs", "This must be a list of records, or an object of lists.")
    rows = rows_from_columns(content, "/inputs")
    return rows, lambda location: ("inputs", *location[2:3], *location[1:2])
