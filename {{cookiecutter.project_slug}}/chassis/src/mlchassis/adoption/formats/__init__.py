"""How a table is written: inferred from its values."""
