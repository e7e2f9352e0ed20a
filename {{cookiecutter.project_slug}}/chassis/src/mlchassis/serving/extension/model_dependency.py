"""`ModelDep`: the model that answers now, as a FastAPI dependency of own routes."""

from typing import Annotated

from fastapi import Depends, Request

from mlchassis.serving.loading import Champion, ServedModel


async def find_model(request: Request) -> ServedModel:
    """Return the model that answers now; during one request it stays the same."""
    champion: Champion = request.app.state.champion
    return champion.current


ModelDep = Annotated[ServedModel, Depends(find_model)]
"""Type of a route's argument: `async def airlines(model: ModelDep) -> list[str]`."""
