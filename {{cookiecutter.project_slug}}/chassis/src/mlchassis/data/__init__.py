"""Rows: ingested, validated, split."""
