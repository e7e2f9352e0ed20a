"""Base of the models that a bundle and its store hold as JSON."""

from pydantic import BaseModel, ConfigDict


class BundleRecord(BaseModel):
    """A model for JSON: immutable, without unknown fields, with infinity as a string."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")
