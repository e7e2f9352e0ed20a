"""The data contract: what a row is."""
