"""The dialect of `POST /invocations`: what clients of `mlflow models serve` and SageMaker speak.

The forms are those of MLflow 2 and later. Stricter here: NaN is no JSON, unknown columns and fields
are refused, and so are `params`, which the model does not take.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from mlchassis.serving.loading import ServedModel
from mlchassis.serving.logs.prediction_lines import list_values
from mlchassis.serving.protocols.csv_body import read_csv
from mlchassis.serving.protocols.messages import Location
from mlchassis.serving.protocols.types import (
    Answered,
    Incoming,
    Question,
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
    needs_media_type = True

    def decode(self, model: ServedModel, incoming: Incoming) -> Question:
        """Reads any of the forms.

        Raises:
            ProblemError: It is none of them, or its rows do not keep the contract.
        """
        if incoming.media_type == b"text/csv":
            rows = read_csv(model, incoming)
        else:
            rows = validate_rows(model, *read_form(parse_object(incoming.body), FORMS))
        return Question(rows, incoming.request_id)

    def encode(self, answered: Answered) -> bytes:
        """Writes what the registered model's own frame of answers looks like."""
        return msgspec.json.encode({"predictions": flatten_predictions(answered)})


def flatten_predictions(answered: Answered) -> list[dict[str, Any]]:
    """Predictions as rows of the registered model's answer."""
    names = answered.model.contract.outputs
    return [
        dict(zip(names, (p.prediction, *list_values(p.probabilities or {})), strict=True))
        for p in answered.predictions
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
    return content, lambda found: (form, *found[1:])


def _read_split(content: Any) -> tuple[Records, Locate]:
    pointer = "/dataframe_split"
    if not isinstance(content, dict) or not {"columns", "data"} <= set(content) <= {
        "columns",
        "data",
        "index",
    }:
        raise refuse(pointer, "This must be an object of columns, data and perhaps index.")
    names, data = content["columns"], content["data"]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise refuse(f"{pointer}/columns", "This must be a list of names.")
    if len(set(names)) < len(names):
        raise refuse(f"{pointer}/columns", "A column is there twice.")
    if not isinstance(data, list) or not all(
        isinstance(row, list) and len(row) == len(names) for row in data
    ):
        raise refuse(f"{pointer}/data", "This must be a list of rows with a value per column.")

    def locate(found: Location) -> Location:
        if len(found) > 2 and found[2] not in names:
            # A column that is missing has no place among the values, but a name.
            return ("dataframe_split", "columns", found[2])
        return ("dataframe_split", "data", *found[1:2], *map(names.index, found[2:3]))

    return [dict(zip(names, row, strict=True)) for row in data], locate


def _read_columns(content: Mapping[str, Any]) -> tuple[Records, Locate]:
    if not all(isinstance(values, list) for values in content.values()):
        raise refuse("/inputs", "This must be a list of records, or an object of lists.")
    rows = rows_from_columns(content, "/inputs")
    return rows, lambda found: ("inputs", *found[2:3], *found[1:2])
