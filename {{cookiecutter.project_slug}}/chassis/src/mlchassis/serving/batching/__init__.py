"""Micro-batching of predictions, and load shedding."""
