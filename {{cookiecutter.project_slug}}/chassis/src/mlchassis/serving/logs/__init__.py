"""Prediction log and operational log."""
