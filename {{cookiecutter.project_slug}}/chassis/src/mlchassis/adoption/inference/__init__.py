"""Inference of types and formats."""
