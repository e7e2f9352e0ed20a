"""Metrics, intervals, slices and fairness."""
