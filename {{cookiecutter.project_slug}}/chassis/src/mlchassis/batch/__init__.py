"""Scoring of files, and replay of single requests."""
