"""The composition root of serving: NumPy, FastAPI and nothing that trains."""

from .features import compute_features
from .serving.service import Service

service = Service(features=compute_features)
