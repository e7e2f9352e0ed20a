"""Base of all sections of `params.yaml`."""

from pydantic import BaseModel, ConfigDict


class ParamsSection(BaseModel):
    """A part of `params.yaml`, also of a project's own estimator: `train.NAME`.

    An unknown key, a missing one, a value of another type, NaN and infinity are rejected. Values
    cannot be changed.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True
    )
