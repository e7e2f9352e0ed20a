"""BentoML's way: a service with a method that accepts and returns arrays."""

import os
from pathlib import Path

import bentoml
import lightgbm
import numpy as np


@bentoml.service(workers=1)
class Bench:
    """The trees alone, on arrays."""

    def __init__(self) -> None:
        """Load the trees."""
        self.model = lightgbm.Booster(model_file=Path(os.environ["BENCH"]) / "model.txt")

    @bentoml.api
    def predict(self, rows: np.ndarray) -> np.ndarray:
        """Return a probability for each row."""
        return np.asarray(self.model.predict(rows, num_threads=1))
