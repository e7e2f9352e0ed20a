"""Requests answered together."""
