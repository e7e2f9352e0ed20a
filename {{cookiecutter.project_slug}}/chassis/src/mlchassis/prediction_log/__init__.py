"""Segments of the prediction log, which the service writes and the verbs read."""
