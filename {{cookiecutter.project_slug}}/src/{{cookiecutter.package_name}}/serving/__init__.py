"""The HTTP service: a deployed bundle behind FastAPI."""
