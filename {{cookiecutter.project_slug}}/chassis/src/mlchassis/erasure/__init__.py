"""Removal of a person's rows."""
