"""What each column is for: inferred from its values."""
