"""Roles of columns, inferred from their values."""
