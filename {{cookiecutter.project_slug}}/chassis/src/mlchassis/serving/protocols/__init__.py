"""Request and response formats."""
