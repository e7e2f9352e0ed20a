"""Removal of one person's rows from everything that a project keeps: `make forget`."""
