"""Estimators, metrics, intervals, conversion and parity: pure, without paths and without MLflow."""
