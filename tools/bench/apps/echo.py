"""The limit of the framework: FastAPI with the same Pydantic model, which gives back what came."""

import os
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from mlchassis.contract.model import load_contract
from mlchassis.serving.protocols.messages import predict_request

Request: Any = predict_request(
    load_contract(Path(os.environ["BENCH"], "bundle/contract.yaml")), 1000
)
app = FastAPI()


@app.post("/predict")
async def predict(request: Request) -> Request:
    """Return the parsed body."""
    return request
