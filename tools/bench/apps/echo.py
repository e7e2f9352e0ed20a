"""The limit of the framework: FastAPI with the same Pydantic model, which gives back what came."""

import os
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from ml_service.contract import load_contract
from ml_service.serving.messages import predict_request

Request: Any = predict_request(
    load_contract(Path(os.environ["BENCH"], "bundle/contract.yaml")), 1000
)
app = FastAPI()


@app.post("/predict")
async def predict(request: Request) -> Request:
    """Gives back what was read."""
    return request
