"""Models: fitted and exported."""
