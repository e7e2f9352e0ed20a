"""Formats of a table, inferred from its values."""
