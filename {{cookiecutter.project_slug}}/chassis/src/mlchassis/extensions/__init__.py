"""The types of the objects that a project may pass to the chassis: metrics, gates, estimators."""
