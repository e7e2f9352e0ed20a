"""`ModelDep`: the model that answers now, as a FastAPI dependency of own routes."""

from typing import Annotated

from fastapi import Depends, Request

from mlchassis.serving.loading import LoadedModel, ModelHolder


async def find_model(request: Request) -> LoadedModel:
    """Return the model that answers now; during one request it stays the same."""
    holder: ModelHolder = request.app.state.holder
    return holder.current


ModelDep = Annotated[LoadedModel, Depends(find_model)]
"""Type of a route's argument: `async def airlines(model: ModelDep) -> list[str]`."""
