"""Types of the objects that a project passes: metrics, gates, monitors, estimators, stages."""
