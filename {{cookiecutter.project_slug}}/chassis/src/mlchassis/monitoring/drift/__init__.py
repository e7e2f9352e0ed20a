"""Drift of windows of production: distances, their limits, and the windows themselves."""
