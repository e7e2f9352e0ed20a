"""The server of many tutorials: scikit-learn behind FastAPI, a data frame per request."""

import os
from pathlib import Path

import joblib
import pandas as pd
from fastapi import FastAPI
from pydantic import BaseModel, create_model

folder = Path(os.environ["BENCH"])
model = joblib.load(folder / "model.joblib")
NAMES = [f"x{i:02d}" for i in range(16)]
Record = create_model("Record", **dict.fromkeys(NAMES, float))  # type: ignore[call-overload]


class Request(BaseModel):
    """Records to answer."""

    records: list[Record]  # type: ignore[valid-type]


app = FastAPI()


@app.post("/predict")
def predict(request: Request) -> dict[str, list[float]]:
    """Return a probability for each record."""
    frame = pd.DataFrame([record.model_dump() for record in request.records], columns=NAMES)
    return {"predictions": model.predict_proba(frame)[:, 1].tolist()}
