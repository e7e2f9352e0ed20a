"""Shapes of the reports that the stages `ingest`, `validate` and `split` write."""
