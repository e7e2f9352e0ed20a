"""The composition root of serving: NumPy, FastAPI and nothing that trains."""

from mlchassis import Service

from .features import compute_features

service = Service(features=compute_features)
