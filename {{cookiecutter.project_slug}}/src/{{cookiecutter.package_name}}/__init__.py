"""A machine-learning service: from a data contract to a judged, registered and served model."""
