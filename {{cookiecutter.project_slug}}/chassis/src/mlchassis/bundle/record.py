"""Base of the models that make up `bundle.json`."""

from pydantic import BaseModel, ConfigDict


class BundleRecord(BaseModel):
    """A part of `bundle.json`: immutable, without unknown fields, with infinity as a string."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")
