"""Questions too expensive for each run."""
