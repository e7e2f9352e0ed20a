"""A model for MLServer that takes what ours takes: the control, which shares no code with ours."""

from mlserver import MLModel
from mlserver.types import InferenceRequest, InferenceResponse, ResponseOutput


class Control(MLModel):
    """Return the same answer for every row."""

    async def load(self) -> bool:
        """There is nothing to load."""
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """A tensor per output of the metadata, or per output that was asked for."""
        given = payload.inputs[0].data
        rows = payload.inputs[0].shape[0]
        wished = {output.name for output in payload.outputs or []}
        assert given is not None
        values = {"BOOL": True, "FP64": 0.5, "INT64": 1, "BYTES": "a"}
        outputs = [
            ResponseOutput(
                name=output.name,
                shape=[rows, 1],
                datatype=output.datatype,
                data=[values[output.datatype]] * rows,
            )
            for output in self.outputs or []
            if not wished or output.name in wished
        ]
        return InferenceResponse(
            model_name=self.name, model_version=self.version, id=payload.id, outputs=outputs
        )
