"""The pipeline and what follows it."""
